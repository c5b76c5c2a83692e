//! Which outbox rows may be deleted; [`crate::pipeline::retention`] asks for them and deletes them.

use crate::clock::Millis;
use crate::store::{Result, Tx, execute, fetch_all, list};

/// A position in the order in which intents were processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Place {
    processed_at: Millis,
    enqueued_at: Millis,
    seq: i64,
}

impl Place {
    /// The position before all intents.
    pub const START: Self = Self { processed_at: Millis::MIN, enqueued_at: Millis::MIN, seq: i64::MIN };
}

/// A page of the processed intents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The rows that are never read again.
    pub seqs: Vec<i64>,
    /// Where the next page begins. `None` after the last one.
    pub next: Option<Place>,
}

#[derive(sqlx::FromRow)]
struct SettledRow {
    #[sqlx(flatten)]
    place: Place,
    is_settled: bool,
}

/// Reads up to `limit` intents after a position that were processed before an instant. Returns which of them may be
/// [deleted](forget).
///
/// The last intent of a variant is kept, with all intents that were processed together with it, when a later step may
/// need it: a preview ([`super::requeue_previewed`]), or an intent of a variant that failed or may yet fail
/// ([`crate::store::bulk::requeue_failed`]), or an operator's delete, which the re-asks respect
/// ([`crate::store::reask::step`]). An intent that is newer than a preview is kept while that preview exists:
/// otherwise the preview would become the last one again.
///
/// The returned rows may be deleted later, in another transaction: a variant fails only by a verdict on a submission or
/// with a newer intent.
///
/// # Errors
/// When the database query fails.
pub async fn settled(tx: &mut Tx, before: Millis, from: Place, limit: i64) -> Result<Settled> {
    let rows: Vec<SettledRow> = fetch_all!(
        tx,
        SettledRow,
        "WITH old AS (
             SELECT seq, variant_id, enqueued_at, processed_at, outcome FROM meta_outbox @sqlite{INDEXED BY meta_outbox_done}
             WHERE processed_at < $1 AND (processed_at, enqueued_at, seq) > ($2, $3, $4)
             ORDER BY processed_at, enqueued_at, seq LIMIT $5)
         SELECT o.seq, o.enqueued_at, o.processed_at,
             CASE WHEN EXISTS (
                 SELECT 1 FROM meta_outbox AS later @sqlite{INDEXED BY meta_outbox_done_variant}
                 WHERE later.variant_id = o.variant_id AND later.seq > o.seq AND later.processed_at > o.processed_at)
             THEN TRUE
             ELSE o.outcome IS DISTINCT FROM 'previewed'
               -- No EXISTS: with it PostgreSQL collects every failed row of the catalog for each page.
               AND COALESCE((SELECT s.status FROM meta_sync_state s WHERE s.variant_id = o.variant_id), '')
                   NOT IN ('failed', 'submitted')
               AND NOT EXISTS (
                 SELECT 1 FROM meta_outbox AS preview @sqlite{INDEXED BY meta_outbox_done_variant}
                 WHERE preview.variant_id = o.variant_id AND preview.seq < o.seq
                   AND preview.processed_at IS NOT NULL AND preview.outcome = 'previewed')
               AND NOT COALESCE((
                 SELECT TRUE FROM meta_outbox AS removal @sqlite{INDEXED BY meta_outbox_done_variant}
                 WHERE removal.variant_id = o.variant_id AND removal.processed_at = o.processed_at
                   AND removal.processed_at IS NOT NULL AND removal.intent = 'delete' AND removal.origin = 'operator'
                 LIMIT 1), FALSE)
             END AS is_settled
         FROM old AS o ORDER BY o.processed_at, o.enqueued_at, o.seq",
        before,
        from.processed_at,
        from.enqueued_at,
        from.seq,
        limit
    )?;
    let is_full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(Settled {
        next: rows.last().filter(|_| is_full).map(|row| row.place),
        seqs: rows.iter().filter(|row| row.is_settled).map(|row| row.place.seq).collect(),
    })
}

/// Deletes exactly these rows, except open ones.
///
/// # Errors
/// When the database query fails.
pub async fn forget(tx: &mut Tx, seqs: &[i64]) -> Result<u64> {
    execute!(
        tx,
        "DELETE FROM meta_outbox
         WHERE seq IN (SELECT seq FROM @rows($1: seq bigint) AS gone) AND @sqlite{+}processed_at IS NOT NULL",
        list::rows(&seqs.iter().map(|seq| (seq,)).collect::<Vec<_>>())
    )
}
