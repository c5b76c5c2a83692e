//! `/admin/meta/audit`.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};

use super::items::{or_empty, up_to_200};
use crate::http::Api;
use crate::http::auth::View;
use crate::http::envelope::Envelope;
use crate::http::error::ApiError;
use crate::http::extract::Params;
use catalog_sync::admin::audit::{self, AuditAsked, AuditPage};
use catalog_sync::admin::schema;

fn a_number() -> Schema {
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(i64::MAX));
    let empty = ObjectBuilder::new().schema_type(Type::String).max_length(Some(0));
    OneOfBuilder::new().item(number).item(empty).build().into()
}

fn an_action() -> Schema {
    or_empty(schema::audit_action())
}

fn an_id() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).max_length(Some(200)).pattern(Some(r"^[^\u0000]*$")).into()
}

/// Query parameters of `/audit`.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only actions with a lower number: the `next` of the part before.
    #[serde(default)]
    #[param(schema_with = a_number, required = false)]
    pub before: Option<String>,
    /// 1 to 200; default 50.
    #[serde(default)]
    #[param(schema_with = up_to_200, required = false)]
    pub limit: Option<String>,
    /// Only this action.
    #[serde(default)]
    #[param(schema_with = an_action, required = false)]
    pub action: Option<String>,
    /// Only of the caller with this id.
    #[serde(default)]
    #[param(schema_with = an_id, required = false)]
    pub principal: Option<String>,
}

/// `GET /admin/meta/audit`.
///
/// # Errors
/// 400 with each unacceptable parameter under `details`; 401, 403; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/meta/audit", tag = "Settings", operation_id = "listAudit",
    summary = "List what operators did",
    description = "Every action of an operator through this API, the operator's page or a `mapper` command, the latest first: who did what, to what, and how it ended. A row is written before its action begins, so one that stays `open` belongs to a process that ended in between. Reports of the shop (`/events`) are not in it. Rows are kept for a year, and at most 100,000.",
    params(AuditQuery),
    security(("bearerToken" = ["metaCatalog:view"])),
    responses((status = 200, description = "A part of the trail.", body = Envelope<AuditPage>,
        example = json!({"data": {"entries": [{
            "id": 17, "at": "2025-11-24T16:00:00.000Z",
            "principal": {"kind": "api_token", "id": "0199…", "name": "ci", "impersonatedBy": null},
            "action": "settings_changed", "subject": "batch_size",
            "details": {"changes": {"batch_size": {"old": 5000, "new": 1000}}},
            "outcome": "ok", "errorCode": null, "finishedAt": "2025-11-24T16:00:00.012Z"
        }], "next": null}, "message": "Success", "statusCode": 200}))),
)]
pub async fn list(
    _: View,
    State(api): State<Api>,
    Params(query): Params<AuditQuery>,
) -> Result<Envelope<AuditPage>, ApiError> {
    let AuditQuery { before, limit, action, principal } = query;
    let asked = AuditAsked {
        before: before.as_deref(),
        limit: limit.as_deref(),
        action: action.as_deref(),
        principal: principal.as_deref(),
    };
    Ok(Envelope::ok(audit::list(&api.app, asked).await?))
}
