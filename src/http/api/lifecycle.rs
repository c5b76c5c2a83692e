//! `/admin/meta/status`, `/bootstrap`, and what is asked for single variants.

use std::collections::BTreeSet;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};

use super::events::Enqueued;
use crate::http::Api;
use crate::http::auth::{Manage, View};
use crate::http::envelope::Envelope;
use crate::http::error::ApiError;
use crate::http::extract::{Body, Params, VariantId};
use catalog_sync::admin::bootstrap;
use catalog_sync::admin::intents::{self, MOST, Request};
use catalog_sync::admin::status::{self, ConnectionStatus};

/// Number of queued variants.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrapped {
    /// Number of variants.
    pub enqueued_variants: u64,
}

/// Whether payloads that Meta confirmed are sent as well.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ForceQuery {
    /// `true`: send the payload even when Meta confirmed it, for an item that Meta lost.
    #[serde(default)]
    #[param(required = false)]
    pub force: bool,
}

/// A variant was queued.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnqueuedVariant {
    /// The variant.
    pub variant_id: String,
    /// Always `true`.
    pub enqueued: bool,
}

/// `GET /admin/meta/status`.
///
/// # Errors
/// 401, 403; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/meta/status", tag = "Connection", operation_id = "getStatus",
    summary = "Connection, configuration and counts",
    description = "Whether Meta is connected, which settings are missing, which catalog is selected, how many variants are in each state, and which problem the operator has to fix.",
    security(("bearerToken" = ["metaCatalog:view"])),
    responses((status = 200, description = "The status.", body = Envelope<ConnectionStatus>,
        example = json!({"data": {
            "connected": true, "accountId": "5000000001", "connectedAt": "2025-11-24T16:00:00.000Z",
            "scope": "catalog_management,business_management", "syncEnabled": true,
            "configuration": {"oauthClient": "configured", "feed": "configured", "missingKeys": []},
            "selection": {
                "businessId": "3000000001", "businessName": "Acme Holdings",
                "catalogId": "4000000001", "catalogName": "Acme Master Catalog",
                "systemUserId": "5000000001", "tokenKind": "system_user"
            },
            "counts": {
                "synced": 440, "submitted": 0, "pending": 0, "failed": 4, "skipped": 12, "deleted": 1,
                "outboxPending": 0, "handlesPending": 0
            },
            "problem": null, "outboxParked": 0, "outboxOldestAt": null, "heldDeletes": 0,
            "reasks": [{
                "reason": "settings", "running": true, "total": 440, "queued": 200,
                "startedAt": "2025-11-24T16:00:00.000Z", "finishedAt": null, "secondsLeft": 8
            }]
        }, "message": "Success", "statusCode": 200}))),
)]
pub async fn status(_: View, State(api): State<Api>) -> Result<Envelope<ConnectionStatus>, ApiError> {
    Ok(Envelope::ok(status::status(&api.app).await?))
}

/// `POST /admin/meta/bootstrap`.
///
/// # Errors
/// 401, 403; 5xx when the database query fails.
#[utoipa::path(
    post, path = "/admin/meta/bootstrap", tag = "Catalog", operation_id = "bootstrap",
    summary = "Queue every eligible variant",
    description = "Starts to queue an upsert for every variant whose product is active, public and not deleted, and returns how many there are. The first are queued at once, the others in the background, paced so that changes of the shop do not wait; `reasks` of the status shows the progress. Payloads that Meta already holds are not sent again, except with `force=true`.",
    params(ForceQuery),
    security(("bearerToken" = ["metaCatalog:manage"])),
    responses((status = 202, description = "Queued.", body = Envelope<Bootstrapped>,
        example = json!({"data": {"enqueuedVariants": 444}, "message": "Success", "statusCode": 202}))),
)]
pub async fn bootstrap(
    _: Manage,
    State(api): State<Api>,
    Params(ForceQuery { force }): Params<ForceQuery>,
) -> Result<Envelope<Bootstrapped>, ApiError> {
    let enqueued_variants = bootstrap::bootstrap(&api.app, force).await?;
    Ok(Envelope::accepted(Bootstrapped { enqueued_variants }))
}

/// `POST /admin/meta/items/{variantId}/resync`.
///
/// # Errors
/// 401, 403; 404 when the variant is neither in the shop nor in the state; 5xx when the database query fails.
#[utoipa::path(
    post, path = "/admin/meta/items/{variantId}/resync", tag = "Items", operation_id = "resyncItem",
    summary = "Queue one variant again",
    description = "Queues an upsert. The resulting action is decided when the intent is processed: a payload that Meta confirmed is not sent again, except with `force=true`.",
    params(("variantId" = String, Path, description = "The variant's id.", pattern = r"^[^\u0000]+$", example = "v-1"), ForceQuery),
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["NOT_FOUND"]))),
    responses((status = 200, description = "Queued.", body = Envelope<EnqueuedVariant>,
        example = json!({"data": {"variantId": "v-1", "enqueued": true}, "message": "Success", "statusCode": 200}))),
)]
pub async fn resync(
    _: Manage,
    State(api): State<Api>,
    VariantId(variant_id): VariantId,
    Params(ForceQuery { force }): Params<ForceQuery>,
) -> Result<Envelope<EnqueuedVariant>, ApiError> {
    Ok(Envelope::ok(enqueue(&api, variant_id, Request::Resync { force }).await?))
}

async fn enqueue(api: &Api, variant_id: String, request: Request) -> Result<EnqueuedVariant, ApiError> {
    let variants = [variant_id];
    intents::enqueue(&api.app, &variants, request).await?;
    let [variant_id] = variants;
    Ok(EnqueuedVariant { variant_id, enqueued: true })
}

/// `POST /admin/meta/resync/{variantId}`: the same under the seed's other path.
///
/// # Errors
/// As [`resync`].
#[utoipa::path(
    post, path = "/admin/meta/resync/{variantId}", tag = "Items", operation_id = "resyncVariant",
    summary = "Queue one variant again",
    description = "The same as `POST /admin/meta/items/{variantId}/resync`.",
    params(("variantId" = String, Path, description = "The variant's id.", pattern = r"^[^\u0000]+$", example = "v-1"), ForceQuery),
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["NOT_FOUND"]))),
    responses((status = 200, description = "Queued.", body = Envelope<EnqueuedVariant>,
        example = json!({"data": {"variantId": "v-1", "enqueued": true}, "message": "Success", "statusCode": 200}))),
)]
pub async fn resync_variant(
    may: Manage,
    api: State<Api>,
    variant_id: VariantId,
    force: Params<ForceQuery>,
) -> Result<Envelope<EnqueuedVariant>, ApiError> {
    resync(may, api, variant_id, force).await
}

fn variant_ids() -> Array {
    let id = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).pattern(Some(r"^[^\u0000]+$"));
    ArrayBuilder::new().items(id).min_items(Some(1)).max_items(Some(MOST)).build()
}

/// The variants to queue again.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResyncRequest {
    /// Their ids.
    #[schema(schema_with = variant_ids)]
    pub variant_ids: Vec<String>,
    /// `true`: send the payloads even when Meta confirmed them.
    #[serde(default)]
    #[schema(required = false)]
    pub force: bool,
}

/// `POST /admin/meta/items/bulk/resync`.
///
/// # Errors
/// 400 for no ids or too many; 401, 403; 404 when one variant is neither in the shop nor in the state.
#[utoipa::path(
    post, path = "/admin/meta/items/bulk/resync", tag = "Items", operation_id = "resyncItems",
    summary = "Queue chosen variants again",
    description = "All or none of them. A payload that Meta confirmed is not sent again, except with `force`.",
    request_body(content = ResyncRequest, example = json!({"variantIds": ["v-1"], "force": true})),
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["NOT_FOUND"]))),
    responses((status = 202, description = "Queued.", body = Envelope<Enqueued>,
        example = json!({"data": {"enqueued": 1}, "message": "Success", "statusCode": 202}))),
)]
pub async fn resync_items(
    _: Manage,
    State(api): State<Api>,
    Body(ResyncRequest { variant_ids, force }): Body<ResyncRequest>,
) -> Result<Envelope<Enqueued>, ApiError> {
    if variant_ids.is_empty()
        || variant_ids.len() > MOST
        || variant_ids.iter().any(|id| id.is_empty() || id.contains('\0'))
    {
        return Err(ApiError::validation(format!("variantIds: takes 1 to {MOST} ids")));
    }
    let ids: BTreeSet<String> = variant_ids.into_iter().collect();
    let ids: Vec<String> = ids.into_iter().collect();
    let enqueued = intents::enqueue(&api.app, &ids, Request::Resync { force }).await?;
    Ok(Envelope::accepted(Enqueued { enqueued }))
}

/// `POST /admin/meta/items/{variantId}/delete-from-meta`.
///
/// # Errors
/// As [`resync`].
#[utoipa::path(
    post, path = "/admin/meta/items/{variantId}/delete-from-meta", tag = "Items", operation_id = "deleteItemFromMeta",
    summary = "Queue the removal of one variant from Meta",
    description = "The variant stays in the shop and is sent again with its next change or resync. A variant that was never sent is not affected.",
    params(("variantId" = String, Path, description = "The variant's id.", pattern = r"^[^\u0000]+$", example = "v-1")),
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["NOT_FOUND"]))),
    responses((status = 202, description = "Queued.", body = Envelope<EnqueuedVariant>,
        example = json!({"data": {"variantId": "v-1", "enqueued": true}, "message": "Success", "statusCode": 202}))),
)]
pub async fn delete_from_meta(
    _: Manage,
    State(api): State<Api>,
    VariantId(variant_id): VariantId,
) -> Result<Envelope<EnqueuedVariant>, ApiError> {
    Ok(Envelope::accepted(enqueue(&api, variant_id, Request::Delete).await?))
}

/// `POST /admin/meta/items/{variantId}/exclude`.
///
/// # Errors
/// As [`resync`].
#[utoipa::path(
    post, path = "/admin/meta/items/{variantId}/exclude", tag = "Items", operation_id = "excludeItem",
    summary = "Keep one variant out of Meta",
    description = "The item is removed from Meta and not sent again, through changes, bootstraps, re-maps and other catalogs, until it is included again.",
    params(("variantId" = String, Path, description = "The variant's id.", pattern = r"^[^\u0000]+$", example = "v-1")),
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["NOT_FOUND"]))),
    responses((status = 202, description = "Queued.", body = Envelope<EnqueuedVariant>,
        example = json!({"data": {"variantId": "v-1", "enqueued": true}, "message": "Success", "statusCode": 202}))),
)]
pub async fn exclude(
    _: Manage,
    State(api): State<Api>,
    VariantId(variant_id): VariantId,
) -> Result<Envelope<EnqueuedVariant>, ApiError> {
    Ok(Envelope::accepted(enqueue(&api, variant_id, Request::Exclude).await?))
}

/// `POST /admin/meta/items/{variantId}/include`.
///
/// # Errors
/// As [`resync`].
#[utoipa::path(
    post, path = "/admin/meta/items/{variantId}/include", tag = "Items", operation_id = "includeItem",
    summary = "Take an exclusion back",
    description = "The variant is sent again, if it is eligible.",
    params(("variantId" = String, Path, description = "The variant's id.", pattern = r"^[^\u0000]+$", example = "v-1")),
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["NOT_FOUND"]))),
    responses((status = 202, description = "Queued.", body = Envelope<EnqueuedVariant>,
        example = json!({"data": {"variantId": "v-1", "enqueued": true}, "message": "Success", "statusCode": 202}))),
)]
pub async fn include(
    _: Manage,
    State(api): State<Api>,
    VariantId(variant_id): VariantId,
) -> Result<Envelope<EnqueuedVariant>, ApiError> {
    Ok(Envelope::accepted(enqueue(&api, variant_id, Request::Include).await?))
}
