//! What is left of Meta's budgets, kept so that a restart does not call into a closed bucket.

use super::{Result, Tx, execute, fetch_all, json};
use crate::clock::Millis;

/// One bucket of one catalog.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LimiterRow {
    /// The catalog.
    pub catalog_id: String,
    /// `batch` or `management`.
    pub bucket: String,
    /// No call before this time.
    pub closed_until: Option<Millis>,
    /// When the last call was made.
    pub last_call_at: Option<Millis>,
}

/// Loads every bucket.
///
/// # Errors
/// When the database does not answer.
pub async fn load(tx: &mut Tx) -> Result<Vec<LimiterRow>> {
    fetch_all!(tx, LimiterRow, "SELECT catalog_id, bucket, closed_until, last_call_at FROM limiter")
}

/// Stores buckets.
///
/// # Errors
/// When the database does not answer.
pub async fn save(tx: &mut Tx, rows: &[LimiterRow]) -> Result<()> {
    let list: Vec<_> =
        rows.iter().map(|row| (&row.catalog_id, &row.bucket, row.closed_until, row.last_call_at)).collect();
    execute!(
        tx,
        "INSERT INTO limiter (catalog_id, bucket, closed_until, last_call_at)
         SELECT r.catalog, r.bucket, r.closed, r.last
         FROM @rows($1: catalog text, bucket text, closed bigint, last bigint) AS r WHERE true
         ON CONFLICT (catalog_id, bucket) DO UPDATE SET closed_until = excluded.closed_until,
             last_call_at = excluded.last_call_at",
        json(&list)?
    )?;
    Ok(())
}
