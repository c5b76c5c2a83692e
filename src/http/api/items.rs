//! `/admin/meta/items…` and `/admin/meta/errors`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{Object, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{IntoParams, ToSchema};

use super::events::Enqueued;
use crate::http::Api;
use crate::http::auth::{Manage, View};
use crate::http::envelope::{Envelope, PageInfo, Paged};
use crate::http::error::ApiError;
use crate::http::extract::{Params, VariantId};
use catalog_sync::admin::bulk;
use catalog_sync::admin::compare::{self, ItemComparison};
use catalog_sync::admin::explain::{self, ItemExplanation};
use catalog_sync::admin::item_detail::{self, ItemDetail};
use catalog_sync::admin::items::{self, FailedItem, ItemSummary, ItemsAsked, Listed};
use catalog_sync::admin::live::{self, LiveStatus};
use catalog_sync::admin::schema::{item_status, words};
use catalog_sync::admin::timeline::{self, TimelineEvent};
use catalog_sync::admin::walk::{self, Walked};

/// One of these words, or nothing: an empty parameter counts as absent.
pub(super) fn or_empty(mut words: Object) -> Schema {
    words.enum_values.get_or_insert_default().push(String::new().into());
    words.into()
}

fn number(most: u32) -> Schema {
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(most));
    let empty = ObjectBuilder::new().schema_type(Type::String).max_length(Some(0));
    OneOfBuilder::new().item(number).item(empty).build().into()
}

pub(super) fn up_to_a_day() -> Schema {
    number(1_440)
}

pub(super) fn page_number() -> Schema {
    number(1_000_000)
}

pub(super) fn up_to_100() -> Schema {
    number(100)
}

pub(super) fn up_to_200() -> Schema {
    number(200)
}

fn a_status() -> Schema {
    or_empty(item_status())
}

fn a_flag() -> Schema {
    or_empty(words(["true", "false", "1", "0"]))
}

/// Query parameters of `/items`. They are read as text, so that an error names the parameter.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ItemsQuery {
    /// From 1; default 1.
    #[serde(default)]
    #[param(schema_with = page_number, required = false)]
    pub page: Option<String>,
    /// 1 to 100; default 50.
    #[serde(default)]
    #[param(schema_with = up_to_100, required = false)]
    pub limit: Option<String>,
    /// A sync status, `never_synced` included.
    #[serde(default)]
    #[param(schema_with = a_status, required = false)]
    pub status: Option<String>,
    /// Text to find in the id, sku, title or slug; case-insensitive.
    #[serde(default)]
    #[param(max_length = 200, pattern = r"^[^\u0000]*$")]
    pub search: Option<String>,
    /// `true`: only variants whose product is active, public and not deleted.
    #[serde(default)]
    #[param(schema_with = a_flag, required = false)]
    pub eligible_only: Option<String>,
    /// The code of a warning, as in `warnings` of a variant.
    #[serde(default)]
    #[param(max_length = 200, pattern = r"^[^\u0000]*$")]
    pub warning: Option<String>,
    /// A cause, as in `cause` of a variant.
    #[serde(default)]
    #[param(max_length = 200, pattern = r"^[^\u0000]*$")]
    pub cause: Option<String>,
    /// `true`: only variants with a delete that the mass-delete guard holds.
    #[serde(default)]
    #[param(schema_with = a_flag, required = false)]
    pub held: Option<String>,
    /// `true`: only variants with an intent that is parked after too many faults of its own.
    #[serde(default)]
    #[param(schema_with = a_flag, required = false)]
    pub parked: Option<String>,
    /// `true`: only variants that an operator keeps out of Meta.
    #[serde(default)]
    #[param(schema_with = a_flag, required = false)]
    pub excluded: Option<String>,
    /// The id or name of a vendor.
    #[serde(default)]
    #[param(max_length = 200, pattern = r"^[^\u0000]*$")]
    pub vendor: Option<String>,
    /// The id or title of a brand.
    #[serde(default)]
    #[param(max_length = 200, pattern = r"^[^\u0000]*$")]
    pub brand: Option<String>,
    /// The id or title of a category, which stands for those below it too.
    #[serde(default)]
    #[param(max_length = 200, pattern = r"^[^\u0000]*$")]
    pub category: Option<String>,
    /// Instead of `page`: `start`, or `next` of the page before.
    #[serde(default)]
    #[param(max_length = 2000, pattern = r"^[A-Za-z0-9_-]*$")]
    pub after: Option<String>,
    /// Instead of `page`: `previous` of the page behind.
    #[serde(default)]
    #[param(max_length = 2000, pattern = r"^[A-Za-z0-9_-]*$")]
    pub before: Option<String>,
}

impl ItemsQuery {
    /// What selects variants, and the page number.
    #[must_use]
    pub fn asked(&self) -> ItemsAsked<'_> {
        ItemsAsked {
            page: self.page.as_deref(),
            limit: self.limit.as_deref(),
            status: self.status.as_deref(),
            search: self.search.as_deref(),
            eligible_only: self.eligible_only.as_deref(),
            warning: self.warning.as_deref(),
            cause: self.cause.as_deref(),
            held: self.held.as_deref(),
            parked: self.parked.as_deref(),
            excluded: self.excluded.as_deref(),
            id: None,
            vendor: self.vendor.as_deref(),
            brand: self.brand.as_deref(),
            category: self.category.as_deref(),
        }
    }
}

/// A page of variants, by number or by cursor.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ItemsPage {
    /// By number.
    Numbered(Paged<ItemSummary>),
    /// By cursor.
    Walked(WalkedPage),
}

impl IntoResponse for ItemsPage {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// A page between two cursors: `{"data", "message": "Success", "statusCode", "metadata"}`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WalkedPage {
    /// The rows of the page.
    pub data: Vec<ItemSummary>,
    /// Always `Success`.
    #[schema(pattern = "^Success$", example = "Success")]
    pub message: &'static str,
    /// The HTTP status.
    pub status_code: u16,
    /// The cursors of the neighbouring pages.
    pub metadata: Cursors,
}

/// The cursors of the neighbouring pages.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cursors {
    /// Maximum number of rows per page.
    pub limit: u64,
    /// For `after`: the next page. With fewer rows than the limit, the search goes on there. Null at the end.
    pub next: Option<String>,
    /// For `before`: the page before. Null at the beginning.
    pub previous: Option<String>,
}

impl From<Walked> for WalkedPage {
    fn from(Walked { rows, limit, next, previous }: Walked) -> Self {
        Self { data: rows, message: "Success", status_code: 200, metadata: Cursors { limit, next, previous } }
    }
}

/// Query parameters of `/errors`.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// From 1; default 1.
    #[serde(default)]
    #[param(schema_with = page_number, required = false)]
    pub page: Option<String>,
    /// 1 to 200; default 50.
    #[serde(default)]
    #[param(schema_with = up_to_200, required = false)]
    pub limit: Option<String>,
    /// A cause, as in `cause` of a variant.
    #[serde(default)]
    #[param(max_length = 200, pattern = r"^[^\u0000]*$")]
    pub cause: Option<String>,
}

impl<T> From<Listed<T>> for Paged<T> {
    fn from(listed: Listed<T>) -> Self {
        let Listed { rows, page, total } = listed;
        Self::new(rows, PageInfo::new(page.number, page.limit, total))
    }
}

/// `GET /admin/meta/items`.
///
/// # Errors
/// 400 with each unacceptable parameter under `details`; 401, 403; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/meta/items", tag = "Items", operation_id = "listItems",
    summary = "List variants with their state at Meta",
    description = "Every variant of the shop, and those that it no longer has and Meta may, most recently sent first, then by id. A variant that was never queued has the status `never_synced`. With `after=start` and then the cursors of each page, a page costs the same wherever it is: a state that is not at Meta is then in the order of its latest change, a search, a flag, a vendor, a brand or a category in that of the ids.",
    params(ItemsQuery),
    security(("bearerToken" = ["metaCatalog:view"])),
    responses((status = 200, description = "A page of variants.", body = ItemsPage,
        example = json!({"data": [{
            "variantId": "v-1", "productId": "p-1", "productTitle": "Linen shirt", "productSlug": "linen-shirt",
            "productStatus": "active", "productVisibility": "public", "sku": "LS-1", "price": 29900,
            "thumbnail": "img/p-1.jpg", "syncStatus": "synced", "metaRetailerId": "v-1", "lastHandle": "Ac5…",
            "lastPushedAt": "2025-11-24T16:00:00.000Z", "lastError": null, "attempts": 0,
            "warnings": ["not_google_category"], "cause": null, "excluded": false, "deleted": false
        }], "message": "Success", "statusCode": 200, "metadata": {"page": 1, "limit": 50, "total": 1, "totalPages": 1}}))),
)]
pub async fn list(_: View, State(api): State<Api>, Params(query): Params<ItemsQuery>) -> Result<ItemsPage, ApiError> {
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    let is_walked = given(&query.after) || given(&query.before);
    match (is_walked, given(&query.page)) {
        (false, _) => Ok(ItemsPage::Numbered(items::list(&api.app, query.asked()).await?.into())),
        (true, true) => Err(ApiError::validation("page goes with neither after nor before")),
        (true, false) => {
            let walked = walk::page(&api.app, query.asked(), query.after.as_deref(), query.before.as_deref()).await?;
            Ok(ItemsPage::Walked(walked.into()))
        }
    }
}

/// `GET /admin/meta/errors`.
///
/// # Errors
/// As [`list`].
#[utoipa::path(
    get, path = "/admin/meta/errors", tag = "Items", operation_id = "listErrors",
    summary = "List failed variants",
    description = "Variants whose last push or mapping failed, most recently changed first.",
    params(PageQuery),
    security(("bearerToken" = ["metaCatalog:view"])),
    responses((status = 200, description = "A page of failed variants.", body = Paged<FailedItem>,
        example = json!({"data": [{
            "variantId": "v-2", "metaRetailerId": "v-2", "lastHandle": "Ac5…", "attempts": 2,
            "lastError": "image_link: cannot be fetched", "lastPushedAt": "2025-11-24T16:00:00.000Z",
            "updatedAt": "2025-11-24T16:01:00.000Z", "warnings": [], "cause": "meta:image_link: cannot be fetched"
        }], "message": "Success", "statusCode": 200, "metadata": {"page": 1, "limit": 50, "total": 1, "totalPages": 1}}))),
)]
pub async fn errors(
    _: View,
    State(api): State<Api>,
    Params(query): Params<PageQuery>,
) -> Result<Paged<FailedItem>, ApiError> {
    Ok(items::failed(&api.app, query.page.as_deref(), query.limit.as_deref(), query.cause.as_deref()).await?.into())
}

/// `GET /admin/meta/items/{variantId}`.
///
/// # Errors
/// 401, 403; 404 when the variant is not in the shop; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/meta/items/{variantId}", tag = "Items", operation_id = "getItem",
    summary = "One variant with its current payload",
    description = "The shop's data, the recorded state at Meta, the payload that the mapper builds now, and the action that the next drain would take.",
    params(("variantId" = String, Path, description = "The variant's id.", pattern = r"^[^\u0000]+$", example = "v-1")),
    security(("bearerToken" = ["metaCatalog:view"])),
    extensions(("x-error-codes" = json!(["NOT_FOUND"]))),
    responses((status = 200, description = "The variant.", body = Envelope<ItemDetail>,
        example = json!({"data": {
            "variant": {"id": "v-1", "sku": "LS-1", "price": 29900, "specialPrice": null, "thumbnail": null},
            "product": {
                "id": "p-1", "title": "Linen shirt", "slug": "linen-shirt", "status": "active", "visibility": "public",
                "thumbnail": "img/p-1.jpg"
            },
            "inventory": {"trackInventory": true, "quantityOnHand": 5, "reservedQuantity": 0, "allowBackorder": false},
            "syncState": null, "eligibility": {"eligible": true, "reason": null},
            "mappedItemData": {"id": "v-1", "title": "Linen shirt", "price": "299.00 INR"},
            "warnings": [], "clears": [], "next": {"action": "upsert", "reason": "not_at_meta"}
        }, "message": "Success", "statusCode": 200}))),
)]
pub async fn detail(
    _: View,
    State(api): State<Api>,
    VariantId(variant_id): VariantId,
) -> Result<Envelope<ItemDetail>, ApiError> {
    Ok(Envelope::ok(item_detail::detail(&api.app, &variant_id).await?))
}

/// `GET /admin/meta/items/{variantId}/explain`.
///
/// # Errors
/// 401, 403; 404 when the variant is not in the shop; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/meta/items/{variantId}/explain", tag = "Items", operation_id = "explainItem",
    summary = "Why one variant is, or is not, at Meta as it is",
    description = "Each rule of eligibility with the value it looks at, each field that has several sources with the one that won, the warnings, what the next drain does, and what became of the last submission.",
    params(("variantId" = String, Path, description = "The variant's id.", pattern = r"^[^\u0000]+$", example = "v-1")),
    security(("bearerToken" = ["metaCatalog:view"])),
    extensions(("x-error-codes" = json!(["NOT_FOUND"]))),
    responses((status = 200, description = "The explanation.", body = Envelope<ItemExplanation>,
        example = json!({"data": {
            "mapper": {"name": "builtin", "isBuiltin": true},
            "rules": [{"rule": "missing_price", "passed": true, "saw": "29900"}],
            "fields": [{"field": "brand", "sources": [
                {"source": "brand", "value": null, "won": false}, {"source": "vendor", "value": "North Mill", "won": true}
            ]}],
            "warnings": [], "clears": [], "next": {"action": "upsert", "reason": "not_at_meta"}, "lastSubmission": null,
            "mapperError": null
        }, "message": "Success", "statusCode": 200}))),
)]
pub async fn explain(
    _: View,
    State(api): State<Api>,
    VariantId(variant_id): VariantId,
) -> Result<Envelope<ItemExplanation>, ApiError> {
    Ok(Envelope::ok(explain::explain(&api.app, &variant_id).await?))
}

/// Query parameters of `/compare`.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CompareQuery {
    /// Whether Meta is asked.
    #[serde(default)]
    pub live: bool,
}

/// `GET /admin/meta/items/{variantId}/compare`.
///
/// # Errors
/// 401, 403; 404 when the variant is not in the shop; 5xx when the database query or the call to Meta fails.
#[utoipa::path(
    get, path = "/admin/meta/items/{variantId}/compare", tag = "Items", operation_id = "compareItem",
    summary = "One variant as it would be sent, as it was sent last, and as Meta shows it",
    description = "Field by field, with what differs. Meta is asked only with `live=true`; its view may lag a push by minutes. A field that Meta does not return is `not_told`, and is no difference. The bodies of calls are kept for some days: `sent.source` says whether that of the last one still is.",
    params(("variantId" = String, Path, description = "The variant's id.", pattern = r"^[^\u0000]+$", example = "v-1"), CompareQuery),
    security(("bearerToken" = ["metaCatalog:view"])),
    extensions(("x-error-codes" = json!(["NOT_FOUND"]))),
    responses((status = 200, description = "The comparison.", body = Envelope<ItemComparison>,
        example = json!({"data": {
            "next": {"action": "upsert", "reason": "changed"},
            "sent": {"source": "body", "at": "2025-11-24T16:00:00.000Z"},
            "live": null,
            "rows": [{
                "field": "title", "readAs": "name", "now": "Linen shirt", "sent": "Shirt", "meta": null, "changes": true,
                "agreement": "not_told"
            }]
        }, "message": "Success", "statusCode": 200}))),
)]
pub async fn compare(
    _: View,
    State(api): State<Api>,
    VariantId(variant_id): VariantId,
    Params(CompareQuery { live }): Params<CompareQuery>,
) -> Result<Envelope<ItemComparison>, ApiError> {
    Ok(Envelope::ok(compare::compare(&api.app, &variant_id, live).await?))
}

/// `GET /admin/meta/items/{variantId}/timeline`.
///
/// # Errors
/// 401, 403; 404 when the variant is neither in the shop nor in the state; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/meta/items/{variantId}/timeline", tag = "Items", operation_id = "itemTimeline",
    summary = "What became of one variant, the latest first",
    description = "What was queued for it, what was decided or sent, and what Meta said, of its latest 25 intents and as far back as they are kept.",
    params(("variantId" = String, Path, description = "The variant's id.", pattern = r"^[^\u0000]+$", example = "v-1")),
    security(("bearerToken" = ["metaCatalog:view"])),
    extensions(("x-error-codes" = json!(["NOT_FOUND"]))),
    responses((status = 200, description = "The events.", body = Envelope<Vec<TimelineEvent>>,
        example = json!({"data": [{
            "at": "2025-11-24T16:00:00.000Z", "kind": "queued", "intent": "upsert", "origin": "event", "open": true, "outcome": null,
            "message": null, "submission": null
        }], "message": "Success", "statusCode": 200}))),
)]
pub async fn timeline(
    _: View,
    State(api): State<Api>,
    VariantId(variant_id): VariantId,
) -> Result<Envelope<Vec<TimelineEvent>>, ApiError> {
    Ok(Envelope::ok(timeline::timeline(&api.app, &variant_id).await?))
}

/// `GET /admin/meta/items/{variantId}/meta-status`.
///
/// # Errors
/// 401, 403; 404 when the variant is neither in the shop nor in the state; 500 when Meta fails temporarily.
#[utoipa::path(
    get, path = "/admin/meta/items/{variantId}/meta-status", tag = "Items", operation_id = "getItemMetaStatus",
    summary = "The current state of one variant at Meta",
    description = "Queries Meta, whose view may lag a push by minutes. Anything that must be configured or fixed before the query is listed under `errors`.",
    params(("variantId" = String, Path, description = "The variant's id.", pattern = r"^[^\u0000]+$", example = "v-1")),
    security(("bearerToken" = ["metaCatalog:view"])),
    extensions(("x-error-codes" = json!(["NOT_FOUND"]))),
    responses((status = 200, description = "Meta's view.", body = Envelope<LiveStatus>,
        example = json!({"data": {
            "found": true, "metaId": "6000000001", "retailerId": "v-1", "availability": "in stock", "price": "₹299.00",
            "reviewStatus": "approved", "errors": []
        }, "message": "Success", "statusCode": 200}))),
)]
pub async fn meta_status(
    _: View,
    State(api): State<Api>,
    VariantId(variant_id): VariantId,
) -> Result<Envelope<LiveStatus>, ApiError> {
    Ok(Envelope::ok(live::live_status(&api.app, &variant_id).await?))
}

/// `POST /admin/meta/items/bulk/resync-failed`.
///
/// # Errors
/// 401, 403; 5xx when the database query fails.
#[utoipa::path(
    post, path = "/admin/meta/items/bulk/resync-failed", tag = "Items", operation_id = "resyncFailed",
    summary = "Queue every failed variant again",
    description = "Each variant is queued with the kind of intent that failed.",
    security(("bearerToken" = ["metaCatalog:manage"])),
    responses((status = 202, description = "Queued.", body = Envelope<Enqueued>,
        example = json!({"data": {"enqueued": 4}, "message": "Success", "statusCode": 202}))),
)]
pub async fn resync_failed(_: Manage, State(api): State<Api>) -> Result<Envelope<Enqueued>, ApiError> {
    let enqueued = bulk::resync_failed(&api.app).await?;
    Ok(Envelope::accepted(Enqueued { enqueued }))
}

/// `POST /admin/meta/items/bulk/resync-skipped`.
///
/// # Errors
/// 401, 403; 5xx when the database query fails.
#[utoipa::path(
    post, path = "/admin/meta/items/bulk/resync-skipped", tag = "Items", operation_id = "resyncSkipped",
    summary = "Queue every skipped variant again",
    description = "Use it after a change of settings or of the shop that may make skipped variants eligible.",
    security(("bearerToken" = ["metaCatalog:manage"])),
    responses((status = 202, description = "Queued.", body = Envelope<Enqueued>,
        example = json!({"data": {"enqueued": 12}, "message": "Success", "statusCode": 202}))),
)]
pub async fn resync_skipped(_: Manage, State(api): State<Api>) -> Result<Envelope<Enqueued>, ApiError> {
    let enqueued = bulk::resync_skipped(&api.app).await?;
    Ok(Envelope::accepted(Enqueued { enqueued }))
}

/// Number of variants whose deletes were released.
#[derive(Clone, Copy, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct Released {
    /// Number of variants.
    pub released: i64,
}

/// `POST /admin/meta/held-deletes/release`: the explicit confirm that the mass-delete guard waits for.
///
/// # Errors
/// 401, 403; 5xx when the database query fails.
#[utoipa::path(
    post, path = "/admin/meta/held-deletes/release", tag = "Items", operation_id = "releaseHeldDeletes",
    summary = "Release held deletes",
    description = "When many variants stop being eligible at once, their deletes are held until this confirmation, because a broken source must not empty the catalog at Meta.",
    security(("bearerToken" = ["metaCatalog:manage"])),
    responses((status = 202, description = "Released.", body = Envelope<Released>,
        example = json!({"data": {"released": 120}, "message": "Success", "statusCode": 202}))),
)]
pub async fn release_held(_: Manage, State(api): State<Api>) -> Result<Envelope<Released>, ApiError> {
    let released = bulk::release_held(&api.app).await?;
    Ok(Envelope::accepted(Released { released }))
}
