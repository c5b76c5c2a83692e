//! What happened in each minute of the last hours.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::AdminError;
use super::time::iso;
use crate::app::App;
use crate::domain::history::{KEPT, MINUTE_MS, minute_of, unwritten};
use crate::store::history::{self, Minute};

/// Most minutes of a response: a day.
pub const MOST: i64 = KEPT;
/// An hour, in minutes.
const HOUR: i64 = 60;

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

/// Returns the last `minutes` minutes that are over, the oldest first; 60 when it is not given. A minute in which no process
/// held the lease may be missing.
///
/// # Errors
/// [`AdminError::Invalid`] when it is not a number from 1 to [`MOST`]; when the database query fails.
pub async fn history(app: &App, minutes: Option<&str>) -> Result<Vec<MinuteView>, AdminError> {
    let minutes = read(minutes).ok_or_else(|| {
        let wrong = BTreeMap::from([("minutes".to_owned(), format!("must be a whole number from 1 to {MOST}"))]);
        AdminError::invalid_parts("some query parameters are not valid", wrong)
    })?;
    let from = minute_of(app.now()) - minutes;
    let mut tx = app.db.read().await?;
    Ok(history::since(&mut tx, from).await?.into_iter().map(Into::into).collect())
}

/// Returns the minutes of the last hour as [`history()`] does, and what is known of the running one.
///
/// # Errors
/// When the database query fails.
pub async fn last_hour(app: &App) -> Result<Vec<MinuteView>, AdminError> {
    let now = app.now();
    let mut tx = app.db.read().await?;
    let mut minutes = history::since(&mut tx, minute_of(now) + 1 - HOUR).await?;
    let last = minutes.last().map(|minute| minute.minute);
    if let Some(unwritten) = unwritten(last, now) {
        minutes.extend(history::count(&mut tx, &unwritten).await?);
    }
    Ok(minutes.into_iter().map(Into::into).collect())
}

fn read(minutes: Option<&str>) -> Option<i64> {
    match minutes.filter(|text| !text.is_empty()) {
        None => Some(HOUR),
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().ok().filter(|minutes| (1..=MOST).contains(minutes))
        }
        Some(_) => None,
    }
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
    let history::Latency { verdicts, p50, p95 } = history::latency(&mut tx, app.now() - HOUR * MINUTE_MS).await?;
    Ok(p50.zip(p95).map(|(p50, p95)| Latency { verdicts, p50, p95 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_minutes_is_an_hour_or_up_to_a_day() {
        let table = [
            (None, Some(60)),
            (Some(""), Some(60)),
            (Some("1"), Some(1)),
            (Some("1440"), Some(1_440)),
            (Some("1441"), None),
            (Some("0"), None),
            (Some("-1"), None),
            (Some("+5"), None),
            (Some("5.0"), None),
            (Some("99999999999999999999"), None),
        ];
        for (text, minutes) in table {
            assert_eq!(read(text), minutes, "{text:?}");
        }
    }
}
