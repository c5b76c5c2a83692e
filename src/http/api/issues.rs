//! `/admin/meta/issues`, `/admin/meta/intents` and `/admin/meta/submissions`.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa::openapi::schema::Schema;

use super::items::{or_empty, page_number, up_to_100, up_to_200};
use crate::http::Api;
use crate::http::auth::View;
use crate::http::envelope::{Envelope, Paged};
use crate::http::error::ApiError;
use crate::http::extract::Params;
use catalog_sync::admin::issues::{self, Issue};
use catalog_sync::admin::queue::{self, IntentView, STANDINGS, STATES, SubmissionView};
use catalog_sync::admin::schema::words;

/// `GET /admin/meta/issues`.
///
/// # Errors
/// 401, 403; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/meta/issues", tag = "Items", operation_id = "listIssues",
    summary = "What is wrong, grouped",
    description = "Causes of failed and skipped variants, and warnings about payloads, by source and code: how many variants, an example, what to do, and the path of their list. Errors come first, then warnings, the most frequent first.",
    security(("bearerToken" = ["metaCatalog:view"])),
    responses((status = 200, description = "The issues.", body = Envelope<Vec<Issue>>,
        example = json!({"data": [{
            "source": "warning", "code": "category_cut", "severity": "warning", "count": 4033,
            "firstSeen": "2025-11-24T16:00:00.000Z", "lastSeen": "2025-11-24T16:05:00.000Z",
            "example": {"variantId": "v-1", "message": null}, "whatToDo": "Set category_levels to 0.",
            "setting": "category_levels", "itemsUrl": "/admin/meta/items?warning=category%5Fcut"
        }], "message": "Success", "statusCode": 200}))),
)]
pub async fn list(_: View, State(api): State<Api>) -> Result<Envelope<Vec<Issue>>, ApiError> {
    Ok(Envelope::ok(issues::list(&api.app).await?))
}

fn a_standing() -> Schema {
    or_empty(words(STANDINGS))
}

fn a_state() -> Schema {
    or_empty(words(STATES))
}

/// Query parameters of `/intents`.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IntentsQuery {
    /// From 1; default 1.
    #[serde(default)]
    #[param(schema_with = page_number, required = false)]
    pub page: Option<String>,
    /// 1 to 200; default 50.
    #[serde(default)]
    #[param(schema_with = up_to_200, required = false)]
    pub limit: Option<String>,
    /// `live` (the drain reads them; the default), `held` (by the mass-delete guard) or `parked` (after too many faults).
    #[serde(default)]
    #[param(schema_with = a_standing, required = false)]
    pub state: Option<String>,
}

/// `GET /admin/meta/intents`.
///
/// # Errors
/// 400 with each unacceptable parameter under `details`; 401, 403; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/meta/intents", tag = "Items", operation_id = "listIntents",
    summary = "List open intents",
    description = "What is still to be processed, lane by lane, the oldest of a lane first.",
    params(IntentsQuery),
    security(("bearerToken" = ["metaCatalog:view"])),
    responses((status = 200, description = "A page of intents.", body = Paged<IntentView>,
        example = json!({"data": [{
            "seq": 17, "variantId": "v-1", "intent": "upsert", "origin": "import", "lane": "bulk",
            "enqueuedAt": "2025-11-24T16:00:00.000Z", "attempts": 0, "fault": null, "lastError": null, "heldAt": null,
            "parkedAt": null
        }], "message": "Success", "statusCode": 200, "metadata": {"page": 1, "limit": 50, "total": 1, "totalPages": 1}}))),
)]
pub async fn intents(
    _: View,
    State(api): State<Api>,
    Params(query): Params<IntentsQuery>,
) -> Result<Paged<IntentView>, ApiError> {
    let IntentsQuery { page, limit, state } = query;
    Ok(queue::open_intents(&api.app, page.as_deref(), limit.as_deref(), state.as_deref()).await?.into())
}

/// Query parameters of `/submissions`.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SubmissionsQuery {
    /// From 1; default 1.
    #[serde(default)]
    #[param(schema_with = page_number, required = false)]
    pub page: Option<String>,
    /// 1 to 100; default 50.
    #[serde(default)]
    #[param(schema_with = up_to_100, required = false)]
    pub limit: Option<String>,
    /// Only submissions in this state.
    #[serde(default)]
    #[param(schema_with = a_state, required = false)]
    pub state: Option<String>,
}

/// `GET /admin/meta/submissions`.
///
/// # Errors
/// 400 with each unacceptable parameter under `details`; 401, 403; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/meta/submissions", tag = "Items", operation_id = "listSubmissions",
    summary = "List calls to Meta and their verdicts",
    description = "Calls to `items_batch`, the latest first, each with a sample of Meta's errors and warnings and their numbers. They are kept for some days.",
    params(SubmissionsQuery),
    security(("bearerToken" = ["metaCatalog:view"])),
    responses((status = 200, description = "A page of submissions.", body = Paged<SubmissionView>,
        example = json!({"data": [{
            "id": "0199…", "catalogId": "4000000001", "state": "completed", "handle": "Ac5…", "items": 444,
            "implicitDeletes": 0, "submittedAt": "2025-11-24T16:00:00.000Z", "lastPolledAt": "2025-11-24T16:00:30.000Z",
            "completedAt": "2025-11-24T16:00:30.000Z", "reason": null,
            "verdict": {"errors": [], "errors_total_count": 0, "warnings": [], "warnings_total_count": 0, "ids_of_invalid_requests": []}
        }], "message": "Success", "statusCode": 200, "metadata": {"page": 1, "limit": 50, "total": 1, "totalPages": 1}}))),
)]
pub async fn submissions(
    _: View,
    State(api): State<Api>,
    Params(query): Params<SubmissionsQuery>,
) -> Result<Paged<SubmissionView>, ApiError> {
    let SubmissionsQuery { page, limit, state } = query;
    Ok(queue::submissions(&api.app, page.as_deref(), limit.as_deref(), state.as_deref()).await?.into())
}
