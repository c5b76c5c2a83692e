//! What of the outbox may be forgotten; [`crate::pipeline::retention`] asks and forgets.

use crate::clock::Millis;
use crate::store::{Result, Tx, execute, fetch_all, json};

/// A place in the order in which intents were processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Place {
    processed_at: Millis,
    enqueued_at: Millis,
    seq: i64,
}

impl Place {
    /// Before all of them.
    pub const START: Self = Self { processed_at: Millis::MIN, enqueued_at: Millis::MIN, seq: i64::MIN };
}

/// A stretch of the processed intents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Those that nobody will ask for again.
    pub seqs: Vec<i64>,
    /// Where the next stretch begins; none after the last one.
    pub next: Option<Place>,
}

#[derive(sqlx::FromRow)]
struct SettledRow {
    #[sqlx(flatten)]
    place: Place,
    is_settled: bool,
}

/// Looks through up to `limit` intents behind a place that were processed before an instant, and answers which of them
/// may be [forgotten](forget).
///
/// The last one of a variant stays, with all that was processed at once, where somebody may ask what it was: a preview
/// ([`super::requeue_previewed`]), or that of a variant which failed or may yet fail ([`crate::store::bulk::requeue_failed`]). So does
/// whatever is newer than a preview, as long as that one is there: it would become the last one again.
///
/// What is answered may be forgotten later, in another transaction: a variant fails by a verdict on what was submitted,
/// or with a newer intent.
///
/// # Errors
/// When the database does not answer.
pub async fn settled(tx: &mut Tx, before: Millis, from: Place, limit: i64) -> Result<Settled> {
    let rows: Vec<SettledRow> = fetch_all!(
        tx,
        SettledRow,
        "WITH old AS (
             SELECT seq, variant_id, enqueued_at, processed_at, outcome FROM meta_outbox @sqlite{INDEXED BY meta_outbox_fifo}
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

/// Removes exactly these rows, unless they are open.
///
/// # Errors
/// When the database does not answer.
pub async fn forget(tx: &mut Tx, seqs: &[i64]) -> Result<u64> {
    execute!(
        tx,
        "DELETE FROM meta_outbox
         WHERE seq IN (SELECT seq FROM @rows($1: seq bigint) AS gone) AND @sqlite{+}processed_at IS NOT NULL",
        json(&seqs.iter().map(|seq| [seq]).collect::<Vec<_>>())?
    )
}
