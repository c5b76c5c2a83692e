//! What happened in each minute of the last hours.

use serde::Serialize;
use utoipa::ToSchema;

use super::AdminError;
use super::time::iso;
use crate::app::App;
use crate::domain::history::{KEPT, MINUTE_MS, minute_of};
use crate::store::history::{self, Minute};

/// Most minutes of a response: a day.
pub const MOST: i64 = KEPT;

/// What happened in one minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MinuteView {
    /// When the minute began, ISO 8601.
    pub at: Option<String>,
    /// Rows in calls that Meta took.
    pub sent: i64,
    /// Rows that Meta confirmed.
    pub confirmed: i64,
    /// Rows that Meta refused.
    pub refused: i64,
    /// Half of the minute's verdicts came within this time after their call, in milliseconds; null without verdicts.
    pub latency_p50_ms: Option<i64>,
    /// 95 % of them did.
    pub latency_p95_ms: Option<i64>,
    /// Open intents at the end of the minute; null when the service did not run then.
    pub backlog: Option<i64>,
    /// The age of the oldest of them, in milliseconds; null when there was none.
    pub oldest_ms: Option<i64>,
}

impl From<Minute> for MinuteView {
    fn from(minute: Minute) -> Self {
        Self {
            at: iso(minute.minute * MINUTE_MS),
            sent: minute.sent,
            confirmed: minute.confirmed,
            refused: minute.refused,
            latency_p50_ms: minute.latency_p50,
            latency_p95_ms: minute.latency_p95,
            backlog: minute.backlog,
            oldest_ms: minute.oldest_age,
        }
    }
}

/// Returns the last `minutes` minutes that are over, the oldest first. A minute in which no process held the lease may be
/// missing.
///
/// # Errors
/// When the database query fails.
pub async fn history(app: &App, minutes: i64) -> Result<Vec<MinuteView>, AdminError> {
    let from = minute_of(app.now()) - minutes.clamp(1, MOST);
    let mut tx = app.db.read().await?;
    Ok(history::since(&mut tx, from).await?.into_iter().map(Into::into).collect())
}

/// How long Meta's verdicts took in the last hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Number of verdicts.
    pub verdicts: i64,
    /// Half of them came within this time, in milliseconds.
    pub p50: i64,
    /// 95 % of them did.
    pub p95: i64,
}

/// Returns how long Meta's verdicts took in the last hour; `None` when there was none.
///
/// # Errors
/// When the database query fails.
pub async fn latency(app: &App) -> Result<Option<Latency>, AdminError> {
    let mut tx = app.db.read().await?;
    let history::Latency { verdicts, p50, p95 } = history::latency(&mut tx, app.now() - 60 * MINUTE_MS).await?;
    Ok(p50.zip(p95).map(|(p50, p95)| Latency { verdicts, p50, p95 }))
}
