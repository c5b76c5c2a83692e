//! Whether the process is running, and whether it can serve.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Api;
use crate::http::code::Code;
use crate::http::error::ApiError;
use catalog_sync::store::ping::ping;

/// A database that takes longer is not ready.
const PING_WITHIN: Duration = Duration::from_secs(2);

/// Health status without an envelope: probes do not need one.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: &'static str,
}

const OK: Json<Health> = Json(Health { status: "ok" });

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(ready))
}

/// `GET /health`: the process answers.
#[utoipa::path(
    get, path = "/health", tag = "Health", operation_id = "getHealth",
    summary = "Whether the process is running",
    description = "Responds as long as the process is running. Does not query the database.",
    responses((status = 200, description = "The process is running.", body = Health,
        example = json!({"status": "ok"}))),
)]
pub async fn health() -> Json<Health> {
    OK
}

/// `GET /ready`: the database answers and no actor keeps failing.
///
/// # Errors
/// 503, naming what is not ready.
#[utoipa::path(
    get, path = "/ready", tag = "Health", operation_id = "getReadiness",
    summary = "Whether the service can serve requests",
    description = "Ready when the database responds and no actor fails repeatedly.",
    extensions(("x-error-codes" = json!(["SERVICE_UNAVAILABLE"]))),
    responses((status = 200, description = "The service can serve requests.", body = Health,
        example = json!({"status": "ok"}))),
)]
pub async fn ready(State(api): State<Api>) -> Result<Json<Health>, ApiError> {
    let unavailable = |message: String| ApiError::new(Code::Unavailable, message);
    if !api.board.ready() {
        let failing: Vec<String> = api
            .board
            .all()
            .into_iter()
            .filter(|vitals| vitals.recent_restarts >= catalog_sync::runtime::vitals::RESTARTS_TILL_RED)
            .map(|vitals| vitals.name)
            .collect();
        return Err(unavailable(format!("keeps failing: {}; the log says why", failing.join(", "))));
    }
    match tokio::time::timeout(PING_WITHIN, ping(&api.app.db)).await {
        Ok(Ok(())) => Ok(OK),
        Ok(Err(error)) => {
            tracing::warn!(cause = catalog_sync::report::chain(&error), "the database does not answer");
            Err(unavailable("the database does not answer".into()))
        }
        Err(_) => Err(unavailable("the database does not answer in time".into())),
    }
}
