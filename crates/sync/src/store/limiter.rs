//! The state of Meta's budgets, stored so that a restart does not call into a closed bucket.

use super::{Result, StoreError, Tx, execute, fetch_all, list};
use crate::domain::budget::LimiterRow;

/// Loads every bucket.
///
/// # Errors
/// When the database query fails.
pub async fn load(tx: &mut Tx) -> Result<Vec<LimiterRow>> {
    let rows: Vec<(String, String, Option<i64>, Option<i64>)> = fetch_all!(
        tx,
        (String, String, Option<i64>, Option<i64>),
        "SELECT catalog_id, bucket, closed_until, last_call_at FROM limiter"
    )?;
    rows.into_iter()
        .map(|(catalog_id, bucket, closed_until, last_call_at)| {
            let corrupt = |found| StoreError::Corrupt { table: "limiter", column: "bucket", found };
            Ok(LimiterRow { catalog_id, bucket: bucket.parse().map_err(corrupt)?, closed_until, last_call_at })
        })
        .collect()
}

/// Stores buckets.
///
/// # Errors
/// When the database query fails.
pub async fn save(tx: &mut Tx, rows: &[LimiterRow]) -> Result<()> {
    let list: Vec<_> =
        rows.iter().map(|row| (&row.catalog_id, row.bucket.as_str(), row.closed_until, row.last_call_at)).collect();
    execute!(
        tx,
        "INSERT INTO limiter (catalog_id, bucket, closed_until, last_call_at)
         SELECT r.catalog, r.bucket, r.closed, r.last
         FROM @rows($1: catalog text, bucket text, closed bigint, last bigint) AS r WHERE true
         ON CONFLICT (catalog_id, bucket) DO UPDATE SET closed_until = excluded.closed_until,
             last_call_at = excluded.last_call_at",
        list::rows(&list)
    )?;
    Ok(())
}
