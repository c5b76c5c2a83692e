//! `/admin/meta/drift`.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, ToSchema};

use super::items::{or_empty, up_to_200};
use crate::http::Api;
use crate::http::auth::{Manage, View};
use crate::http::envelope::Envelope;
use crate::http::error::ApiError;
use crate::http::extract::{Body, Params, present};
use catalog_sync::admin::drift::{self, Choice, DriftAsked, DriftView};
use catalog_sync::admin::schema;

fn a_class() -> Schema {
    or_empty(schema::drift_class())
}

fn an_id() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).max_length(Some(1000)).pattern(Some(r"^[^\u0000]*$")).into()
}

/// Query parameters of `/drift`.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DriftQuery {
    /// Also list the findings of this class.
    #[serde(default)]
    #[param(schema_with = a_class, required = false)]
    pub class: Option<String>,
    /// Only findings of later variants: the `next` of the part before.
    #[serde(default)]
    #[param(schema_with = an_id, required = false)]
    pub after: Option<String>,
    /// 1 to 200; default 50.
    #[serde(default)]
    #[param(schema_with = up_to_200, required = false)]
    pub limit: Option<String>,
}

/// `GET /admin/meta/drift`.
///
/// # Errors
/// 400 with each unacceptable parameter under `details`; 401, 403; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/meta/drift", tag = "Drift", operation_id = "getDrift",
    summary = "What Meta shows differently",
    description = "A sweep reads what Meta shows of every item that this service holds to be there, and compares it with what was sent. A difference counts after a second look (`drift_grace_minutes` later). The answer tells the last sweeps, how much of the catalog they covered, the calls that they spent, and the findings by class; with `class`, also the findings themselves.",
    params(DriftQuery),
    security(("bearerToken" = ["metaCatalog:view"])),
    responses((status = 200, description = "The drift.", body = Envelope<DriftView>,
        example = json!({"data": {
            "sweep": {"number": 3, "startedAt": "2025-11-24T16:00:00.000Z", "finishedAt": "2025-11-24T17:00:00.000Z",
                "looked": 4990, "passed": 10, "unknown": 0, "coveragePercent": 99, "calls": 101},
            "previous": null,
            "nextSweepAt": "2025-11-25T16:00:00.000Z",
            "classes": [{"class": "price", "repairable": true, "automatic": false, "suspected": 0, "confirmed": 1,
                "ignored": 0, "repaired": 0, "flapping": 0}],
            "repairs": {"lastHour": 0, "left": 100, "dryRun": false, "held": false},
            "findings": [{"variantId": "v-1", "class": "price", "standing": "confirmed",
                "differences": [{"field": "price", "ours": "299.00 INR", "meta": "₹199.00"}],
                "firstSeenAt": "2025-11-24T16:10:00.000Z", "lastSeenAt": "2025-11-24T17:10:00.000Z", "repairedAt": null}],
            "next": null
        }, "message": "Success", "statusCode": 200}))),
)]
pub async fn read(
    _: View,
    State(api): State<Api>,
    Params(query): Params<DriftQuery>,
) -> Result<Envelope<DriftView>, ApiError> {
    let DriftQuery { class, after, limit } = query;
    let asked = DriftAsked { class: class.as_deref(), after: after.as_deref(), limit: limit.as_deref() };
    Ok(Envelope::ok(drift::drift(&api.app, asked).await?))
}

/// Whether a sweep began.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct SweepBegun {
    /// False when one was under way already; it goes on.
    pub begun: bool,
}

/// `POST /admin/meta/drift/sweep`.
///
/// # Errors
/// 400 when no catalog is selected; 401, 403; 5xx when the database query fails.
#[utoipa::path(
    post, path = "/admin/meta/drift/sweep", tag = "Drift", operation_id = "sweepDrift",
    summary = "Begin a sweep now",
    description = "The sweep runs in the background, within its share of Meta's allowance (`drift_budget_percent`). One that is under way goes on.",
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["meta_misconfigured"]))),
    responses((status = 202, description = "A sweep is under way.", body = Envelope<SweepBegun>,
        example = json!({"data": {"begun": true}, "message": "Success", "statusCode": 202}))),
)]
pub async fn sweep(_: Manage, State(api): State<Api>) -> Result<Envelope<SweepBegun>, ApiError> {
    Ok(Envelope::accepted(SweepBegun { begun: drift::sweep(&api.app).await? }))
}

/// Findings to repair. Give `classes`, `variantIds` or both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepairRequest {
    /// Words of classes; without them every class that sending again can repair.
    #[serde(default, deserialize_with = "present")]
    #[schema(min_items = 1, nullable = false, required = false, schema_with = schema::repairable_classes)]
    pub classes: Option<Vec<String>>,
    /// Variants, at most 1,000; without them all.
    #[serde(default, deserialize_with = "present")]
    #[schema(min_items = 1, max_items = 1000, nullable = false, required = false)]
    pub variant_ids: Option<Vec<String>>,
}

/// How many findings were marked.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct DriftMarked {
    /// The number of findings.
    pub findings: u64,
}

/// `POST /admin/meta/drift/repair`.
///
/// # Errors
/// 400 when the choice is not valid or no catalog is selected; 401, 403; 5xx when the database query fails.
#[utoipa::path(
    post, path = "/admin/meta/drift/repair", tag = "Drift", operation_id = "repairDrift",
    summary = "Repair findings",
    description = "Sends the items of confirmed findings again, as any change: with the guards and verdicts of the pipeline. Suspicions and ignored findings are not touched. Within an hour at most a hundredth of the items is repaired, and at least a hundred; the rest follows.",
    request_body(content = RepairRequest, example = json!({"classes": ["price", "availability"]})),
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["meta_misconfigured"]))),
    responses((status = 202, description = "Queued.", body = Envelope<DriftMarked>,
        example = json!({"data": {"findings": 12}, "message": "Success", "statusCode": 202}))),
)]
pub async fn repair(
    _: Manage,
    State(api): State<Api>,
    Body(request): Body<RepairRequest>,
) -> Result<Envelope<DriftMarked>, ApiError> {
    let choice = Choice { classes: request.classes, variant_ids: request.variant_ids };
    Ok(Envelope::accepted(DriftMarked { findings: drift::repair(&api.app, &choice).await? }))
}

/// Findings to ignore. Give `classes`, `variantIds` or both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IgnoreRequest {
    /// Words of classes; without them every class.
    #[serde(default, deserialize_with = "present")]
    #[schema(min_items = 1, nullable = false, required = false, schema_with = schema::drift_classes)]
    pub classes: Option<Vec<String>>,
    /// Variants, at most 1,000; without them all.
    #[serde(default, deserialize_with = "present")]
    #[schema(min_items = 1, max_items = 1000, nullable = false, required = false)]
    pub variant_ids: Option<Vec<String>>,
    /// False takes it back.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub ignored: bool,
}

fn yes() -> bool {
    true
}

/// `POST /admin/meta/drift/ignore`.
///
/// # Errors
/// 400 when the choice is not valid or no catalog is selected; 401, 403; 5xx when the database query fails.
#[utoipa::path(
    post, path = "/admin/meta/drift/ignore", tag = "Drift", operation_id = "ignoreDrift",
    summary = "Ignore findings",
    description = "An ignored finding is shown as such and never repaired. It goes when Meta shows what was sent. For a field that Meta rewrites in every item, `drift_ignored_fields` is the better place.",
    request_body(content = IgnoreRequest, example = json!({"classes": ["hidden"], "variantIds": ["v-1"], "ignored": true})),
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["meta_misconfigured"]))),
    responses((status = 200, description = "Marked.", body = Envelope<DriftMarked>,
        example = json!({"data": {"findings": 1}, "message": "Success", "statusCode": 200}))),
)]
pub async fn ignore(
    _: Manage,
    State(api): State<Api>,
    Body(request): Body<IgnoreRequest>,
) -> Result<Envelope<DriftMarked>, ApiError> {
    let choice = Choice { classes: request.classes, variant_ids: request.variant_ids };
    Ok(Envelope::ok(DriftMarked { findings: drift::ignore(&api.app, &choice, request.ignored).await? }))
}
