//! Requeueing all variants in one state: one statement for any number of variants.

use super::{Result, Tx, execute, fetch_one};
use crate::clock::Millis;
use crate::domain::intent::{Lane, Origin};

/// Requeues every failed variant with the kind of intent that failed. Returns the number of requeued variants.
///
/// That kind is the fold ([`crate::domain::intent::fold`]) of the intents that were settled last: the latest intent,
/// but an operator's delete beats later events, and a recovery gives way to every other intent. A delete that was the
/// result of an upsert is requeued as that upsert, since the variant may be eligible again.
///
/// # Errors
/// When the database query fails.
pub async fn requeue_failed(tx: &mut Tx, now: Millis) -> Result<u64> {
    requeue(tx, None, Origin::Operator, now).await
}

/// Requeues what failed under another mapper than `digest`, since the new mapper may succeed. Variants that failed
/// before any mapper returned a word are left alone. So are variants with a live open intent: that intent states what
/// is wanted now. The intents are recoveries, so they give way to intents that arrive while this statement runs; an
/// operator's delete stays one.
///
/// # Errors
/// When the database query fails.
pub async fn requeue_failed_under_another(tx: &mut Tx, digest: &str, now: Millis) -> Result<u64> {
    requeue(tx, Some(digest), Origin::Recovery, now).await
}

// The failed variants to requeue, `$digest` being the mapper under which a failure does not count, or null for all of them.
macro_rules! failed {
    ($digest:literal) => {
        concat!(
            "SELECT variant_id FROM meta_sync_state
             WHERE idle = 'failed' AND (CAST(",
            $digest,
            " AS TEXT) IS NULL OR mapper_digest <> ",
            $digest,
            " AND NOT EXISTS (
                 SELECT 1 FROM meta_outbox AS o @sqlite{INDEXED BY meta_outbox_open_variant}
                 WHERE o.variant_id = meta_sync_state.variant_id AND o.processed_at IS NULL AND o.parked_at IS NULL
                   AND o.held_at IS NULL))"
        )
    };
}

/// Returns how many variants [`requeue_failed_under_another`] would requeue, counted up to a limit.
///
/// # Errors
/// When the database query fails.
pub async fn count_failed_under_another(tx: &mut Tx, digest: &str, limit: i64) -> Result<i64> {
    let (count,): (i64,) = fetch_one!(
        tx,
        (i64,),
        concat!("SELECT COUNT(*) FROM (", failed!("$1"), " LIMIT $2) AS failed"),
        digest,
        limit
    )?;
    Ok(count)
}

async fn requeue(tx: &mut Tx, other_than: Option<&str>, origin: Origin, now: Millis) -> Result<u64> {
    execute!(
        tx,
        concat!(
            "WITH failed AS (",
            failed!("$3"),
            "),
         latest AS (
             SELECT MAX(o.seq) AS seq FROM meta_outbox o JOIN failed ON failed.variant_id = o.variant_id
             GROUP BY o.variant_id),
         settled AS (
             SELECT last.variant_id, COALESCE(MAX(CASE WHEN o.origin NOT IN ('recovery', 'drift') THEN o.seq END), MAX(o.seq)) AS seq,
                 MAX(CASE WHEN o.origin = 'operator' THEN o.seq END) AS asked
             FROM meta_outbox last
             JOIN meta_outbox o ON o.variant_id = last.variant_id
                 AND o.processed_at IS NOT DISTINCT FROM last.processed_at
             WHERE last.seq IN (SELECT seq FROM latest) GROUP BY last.variant_id)
         INSERT INTO meta_outbox (variant_id, intent, origin, enqueued_at, lane)
         SELECT f.variant_id,
             CASE WHEN 'delete' IN (word.intent, asked.intent) THEN 'delete' ELSE 'upsert' END,
             CASE WHEN asked.intent = 'delete' THEN 'operator' ELSE $1 END, CAST($2 AS BIGINT), CAST($4 AS BIGINT)
         FROM failed f
         LEFT JOIN settled s ON s.variant_id = f.variant_id
         LEFT JOIN meta_outbox word ON word.seq = s.seq
         LEFT JOIN meta_outbox asked ON asked.seq = s.asked
         WHERE true ORDER BY f.variant_id"
        ),
        origin.as_str(),
        now,
        other_than,
        Lane::Bulk.number()
    )
}

/// Makes every delete that the mass-delete guard holds live again, so that the drain decides anew. The deletes are not
/// released: a variant that is still to be deleted is held again.
///
/// # Errors
/// When the database query fails.
pub async fn look_at_held_again(tx: &mut Tx) -> Result<u64> {
    execute!(tx, "UPDATE meta_outbox SET held_at = NULL WHERE processed_at IS NULL AND held_at IS NOT NULL")
}

/// Queues an upsert for every skipped variant. Returns the number of variants.
///
/// # Errors
/// When the database query fails.
pub async fn requeue_skipped(tx: &mut Tx, now: Millis) -> Result<u64> {
    execute!(
        tx,
        "INSERT INTO meta_outbox (variant_id, intent, origin, enqueued_at, lane)
         SELECT variant_id, 'upsert', $1, CAST($2 AS BIGINT), CAST($3 AS BIGINT) FROM meta_sync_state
         WHERE idle = 'skipped' ORDER BY variant_id",
        Origin::Operator.as_str(),
        now,
        Lane::Bulk.number()
    )
}
