//! `/admin/meta/system` and `/admin/meta/history`.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::items::up_to_a_day;
use crate::http::Api;
use crate::http::auth::View;
use crate::http::envelope::Envelope;
use crate::http::error::ApiError;
use crate::http::extract::Params;
use catalog_sync::admin::history::{self, MinuteView};
use catalog_sync::admin::system::{self, SystemView};

/// `GET /admin/meta/system`.
///
/// # Errors
/// 401, 403; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/meta/system", tag = "Health", operation_id = "getSystem",
    summary = "Versions, database, lease, actors and limits",
    description = "What a question to the makers of the service should come with: versions, the database, which process runs the pipeline, what is known of each actor of this process, and how much of Meta's allowances is used. It contains no secret.",
    security(("bearerToken" = ["metaCatalog:view"])),
    responses((status = 200, description = "The system.", body = Envelope<SystemView>,
        example = json!({"data": {
            "at": "2025-11-24T16:00:00.000Z",
            "service": {
                "version": "0.1.0", "platform": "linux x86_64", "instance": "shop-1",
                "startedAt": "2025-11-24T15:00:00.000Z", "uptimeSeconds": 3600
            },
            "graph": {"version": "v26.0", "endsAt": null, "age": "no_end"},
            "database": {"engine": "sqlite", "version": "3.50.4", "bytes": 1_048_576, "migration": 20},
            "lease": {"holder": "shop-1", "isHere": true, "epoch": 3, "since": "2025-11-24T15:00:00.000Z"},
            "channel": {"problem": null, "failures": 0, "openUntil": null, "rowCap": null, "batchSize": 1000},
            "limits": [{
                "bucket": "batch", "calls": 8, "perSeconds": 60, "used": 2, "left": 6, "metaPercent": null,
                "periodMs": 7650, "nextCallAt": "2025-11-24T16:00:07.650Z", "closedUntil": null
            }],
            "mapper": {"name": "builtin", "version": "0.1.0", "digest": "builtin-0.1.0-…", "unusable": null},
            "actors": [{
                "name": "drain", "running": true, "keepsFailing": false, "restarts": 0, "recentRestarts": 0, "ticks": 60,
                "lastStartedAt": "2025-11-24T16:00:00.000Z", "lastSuccessAt": "2025-11-24T16:00:00.000Z",
                "heldUntil": null, "lastErrorAt": null, "lastError": null
            }]
        }, "message": "Success", "statusCode": 200}))),
)]
pub async fn system(_: View, State(api): State<Api>) -> Result<Envelope<SystemView>, ApiError> {
    Ok(Envelope::ok(system::system(&api.app, &api.board).await?))
}

/// Query parameters of `/history`.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// 1 to 1440; default 60.
    #[serde(default)]
    #[param(schema_with = up_to_a_day, required = false)]
    pub minutes: Option<String>,
}

/// `GET /admin/meta/history`.
///
/// # Errors
/// 400 when the number of minutes is not acceptable; 401, 403; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/meta/history", tag = "Health", operation_id = "getHistory",
    summary = "What happened, minute by minute",
    description = "Rows sent, confirmed and refused, how long verdicts took, and what waited, for each of the last minutes that are over, the oldest first. A day is kept, in the database, so every replica tells the same. A minute in which no process held the lease may be missing.",
    params(HistoryQuery),
    security(("bearerToken" = ["metaCatalog:view"])),
    responses((status = 200, description = "The minutes.", body = Envelope<Vec<MinuteView>>,
        example = json!({"data": [{
            "at": "2025-11-24T16:00:00.000Z", "sent": 4000, "confirmed": 3990, "refused": 10,
            "latencyP50Ms": 12000, "latencyP95Ms": 31000, "backlog": 120_000, "oldestMs": 900_000
        }], "message": "Success", "statusCode": 200}))),
)]
pub async fn history(
    _: View,
    State(api): State<Api>,
    Params(HistoryQuery { minutes }): Params<HistoryQuery>,
) -> Result<Envelope<Vec<MinuteView>>, ApiError> {
    Ok(Envelope::ok(history::history(&api.app, minutes.as_deref()).await?))
}
