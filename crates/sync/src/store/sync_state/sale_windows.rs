//! Payloads that change by time alone: a sale begins or ends.

use crate::clock::Millis;
use crate::domain::intent::{Intent, Lane, Origin};
use crate::store::{Result, Tx, execute, fetch_all, fetch_optional, list};

/// Returns whether any payload has changed by time alone by now. A cheap check outside the pipeline's transactions.
///
/// # Errors
/// When the database query fails.
pub async fn windows_due(tx: &mut Tx, now: Millis) -> Result<bool> {
    let row: Option<(String,)> =
        fetch_optional!(tx, (String,), "SELECT variant_id FROM meta_sync_state WHERE reeval_at <= $1 LIMIT 1", now)?;
    Ok(row.is_some())
}

/// Queues an upsert for up to `limit` variants whose payload has changed by time alone, the longest due first. Returns
/// the number of variants.
///
/// # Errors
/// When the database query fails.
pub async fn open_windows(tx: &mut Tx, limit: i64, now: Millis) -> Result<u64> {
    let due: Vec<(String,)> = fetch_all!(
        tx,
        (String,),
        "SELECT variant_id FROM meta_sync_state WHERE reeval_at <= $1 ORDER BY reeval_at, variant_id LIMIT $2",
        now,
        limit
    )?;
    if due.is_empty() {
        return Ok(0);
    }
    let due: Vec<String> = due.into_iter().map(|(id,)| id).collect();
    let queued = execute!(
        tx,
        "INSERT INTO meta_outbox (variant_id, intent, origin, enqueued_at, lane)
         SELECT id, 'upsert', 'window', CAST($2 AS BIGINT), CAST($3 AS BIGINT) FROM @ids($1) AS due",
        list::ids(&due),
        now,
        Lane::of(Origin::Window, Intent::Upsert).number()
    )?;
    execute!(
        tx,
        "UPDATE meta_sync_state SET reeval_at = NULL WHERE variant_id IN (SELECT id FROM @ids($1) AS due)",
        list::ids(&due)
    )?;
    Ok(queued)
}
