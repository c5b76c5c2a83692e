//! What happened in each minute: calls, verdicts, and what waited.
//!
//! Promises: a minute is counted from two indexes of the submissions alone, so its cost grows with the calls of the minute
//! and not with the catalog. Writing a minute again counts it again and keeps what was seen at its end.
//! Left out on purpose: which minutes ([`crate::domain::history`]).

use std::ops::RangeInclusive;

use super::{Result, Tx, execute, fetch_all, fetch_one, list};
use crate::clock::Millis;
use crate::domain::history::MINUTE_MS;

/// A minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Minute {
    /// Its number since 1970.
    pub minute: i64,
    /// Rows in calls that Meta took.
    pub sent: i64,
    /// Rows that verdicts confirmed.
    pub confirmed: i64,
    /// Rows that Meta refused, in its answer to a call or in a verdict.
    pub refused: i64,
    /// Half of the minute's verdicts came within this time after their call, in milliseconds.
    pub latency_p50: Option<i64>,
    /// 95 % of them did.
    pub latency_p95: Option<i64>,
    /// Open intents at the end of the minute. `None` when nobody looked then.
    pub backlog: Option<i64>,
    /// The age of the oldest of them, in milliseconds.
    pub oldest_age: Option<i64>,
}

/// What waits now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Open intents.
    pub backlog: i64,
    /// The age of the oldest of them, in milliseconds.
    pub oldest_age: Option<i64>,
}

/// Returns the latest minute that was written.
///
/// # Errors
/// When the database query fails.
pub async fn last(tx: &mut Tx) -> Result<Option<i64>> {
    let (last,): (Option<i64>,) = fetch_one!(tx, (Option<i64>,), "SELECT MAX(minute) FROM meta_history")?;
    Ok(last)
}

// Counts the minutes `$1`, of the instants from `$2` and before `$3`.
// The nearest-rank percentile: the first place that has the share of the verdicts up to it.
macro_rules! counted {
    ($then:expr) => {
        concat!(
            "WITH closed AS (
                 SELECT completed_at / 60000 AS minute, confirmed, refused, completed_at - submitted_at AS took,
                     ROW_NUMBER() OVER (PARTITION BY completed_at / 60000, confirmed IS NULL
                                        ORDER BY completed_at - submitted_at) AS place,
                     COUNT(confirmed) OVER (PARTITION BY completed_at / 60000) AS verdicts
                 FROM meta_batch_handles @sqlite{INDEXED BY meta_batch_handles_closed}
                 WHERE completed_at >= $2 AND completed_at < $3),
             told AS (
                 SELECT minute, CAST(SUM(confirmed) AS BIGINT) AS confirmed, CAST(SUM(refused) AS BIGINT) AS refused,
                     MIN(CASE WHEN confirmed IS NOT NULL AND place * 100 >= verdicts * 50 THEN took END) AS p50,
                     MIN(CASE WHEN confirmed IS NOT NULL AND place * 100 >= verdicts * 95 THEN took END) AS p95
                 FROM closed GROUP BY minute),
             called AS (
                 SELECT submitted_at / 60000 AS minute, CAST(SUM(row_count) AS BIGINT) AS sent
                 FROM meta_batch_handles @sqlite{INDEXED BY meta_batch_handles_sent}
                 WHERE handle IS NOT NULL AND submitted_at >= $2 AND submitted_at < $3 GROUP BY submitted_at / 60000),
             counted AS (
                 SELECT m.minute, COALESCE(called.sent, 0) AS sent, COALESCE(told.confirmed, 0) AS confirmed,
                     COALESCE(told.refused, 0) AS refused, told.p50 AS latency_p50, told.p95 AS latency_p95
                 FROM @rows($1: minute bigint) AS m
                 LEFT JOIN called ON called.minute = m.minute
                 LEFT JOIN told ON told.minute = m.minute) ",
            $then
        )
    };
}

/// The instants of these minutes: from the first one on, and before the second one.
fn bounds(minutes: &RangeInclusive<i64>) -> (Millis, Millis) {
    (minutes.start() * MINUTE_MS, (minutes.end() + 1) * MINUTE_MS)
}

fn listed(minutes: &RangeInclusive<i64>) -> Vec<(i64,)> {
    minutes.clone().map(|minute| (minute,)).collect()
}

/// Counts these minutes, the oldest first. What waited in them is not known.
///
/// # Errors
/// When the database query fails.
pub async fn count(tx: &mut Tx, minutes: &RangeInclusive<i64>) -> Result<Vec<Minute>> {
    let (from, to) = bounds(minutes);
    fetch_all!(
        tx,
        Minute,
        counted!(
            "SELECT minute, sent, confirmed, refused, latency_p50, latency_p95, CAST(NULL AS BIGINT) AS backlog,
                 CAST(NULL AS BIGINT) AS oldest_age
             FROM counted ORDER BY minute"
        ),
        list::rows(&listed(minutes)),
        from,
        to
    )
}

/// Counts these minutes and writes them. `waiting` belongs to the last of them.
///
/// # Errors
/// When the database query fails.
pub async fn write(tx: &mut Tx, minutes: &RangeInclusive<i64>, waiting: Waiting) -> Result<()> {
    let (from, to) = bounds(minutes);
    execute!(
        tx,
        counted!(
            "INSERT INTO meta_history (minute, sent, confirmed, refused, latency_p50, latency_p95, backlog, oldest_age)
             SELECT minute, sent, confirmed, refused, latency_p50, latency_p95,
                 CASE WHEN minute = $4 THEN CAST($5 AS BIGINT) END, CASE WHEN minute = $4 THEN CAST($6 AS BIGINT) END
             FROM counted WHERE true
             ON CONFLICT (minute) DO UPDATE SET sent = excluded.sent, confirmed = excluded.confirmed,
                 refused = excluded.refused, latency_p50 = excluded.latency_p50, latency_p95 = excluded.latency_p95"
        ),
        list::rows(&listed(minutes)),
        from,
        to,
        *minutes.end(),
        waiting.backlog,
        waiting.oldest_age
    )?;
    Ok(())
}

/// Deletes the minutes before this one.
///
/// # Errors
/// When the database query fails.
pub async fn forget(tx: &mut Tx, before: i64) -> Result<u64> {
    execute!(tx, "DELETE FROM meta_history WHERE minute < $1", before)
}

/// Returns the written minutes from this one on, the oldest first.
///
/// # Errors
/// When the database query fails.
pub async fn since(tx: &mut Tx, minute: i64) -> Result<Vec<Minute>> {
    fetch_all!(
        tx,
        Minute,
        "SELECT minute, sent, confirmed, refused, latency_p50, latency_p95, backlog, oldest_age
         FROM meta_history WHERE minute >= $1 ORDER BY minute",
        minute
    )
}

/// How long Meta's verdicts take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Latency {
    /// Number of verdicts.
    pub verdicts: i64,
    /// Half of them came within this time after their call, in milliseconds.
    pub p50: Option<i64>,
    /// 95 % of them did.
    pub p95: Option<i64>,
}

/// Returns how long the verdicts since an instant took: the latest ten thousand of them.
///
/// # Errors
/// When the database query fails.
pub async fn latency(tx: &mut Tx, since: Millis) -> Result<Latency> {
    fetch_one!(
        tx,
        Latency,
        "SELECT COUNT(*) AS verdicts,
             MIN(CASE WHEN place * 100 >= verdicts * 50 THEN took END) AS p50,
             MIN(CASE WHEN place * 100 >= verdicts * 95 THEN took END) AS p95
         FROM (SELECT took, ROW_NUMBER() OVER (ORDER BY took) AS place, COUNT(*) OVER () AS verdicts
               FROM (SELECT completed_at - submitted_at AS took
                     FROM meta_batch_handles @sqlite{INDEXED BY meta_batch_handles_closed}
                     WHERE completed_at >= $1 AND confirmed IS NOT NULL
                     ORDER BY completed_at DESC LIMIT 10000) AS latest) AS placed",
        since
    )
}
