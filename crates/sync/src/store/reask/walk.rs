//! Which variants a re-ask walks next, and which of them it passes.

use super::Reask;
use crate::clock::Millis;
use crate::domain::reask::Scope;
use crate::store::{Result, Tx, fetch_all};

/// A variant of a walk.
#[derive(sqlx::FromRow)]
pub(super) struct Walked {
    pub(super) variant_id: String,
    /// Whether it has a live open intent.
    pub(super) waits: bool,
    /// Whether an operator's delete is the last word on it, among those that the re-ask respects.
    pub(super) removed: bool,
}

/// Returns the next variants of a walk, in id order.
///
/// An operator's delete is the last word unless an operator or a later tick said something newer: within one fold it beats
/// events. A recovery gives way to it until a tick acted on that recovery, as on a re-map's. The terms are split by `processed_at`, since
/// one index holds the open rows and one the others. They are no EXISTS: for that PostgreSQL reads all open rows, and all
/// processed ones, for each chunk.
pub(super) async fn chunk(tx: &mut Tx, reask: &Reask, limit: i64) -> Result<Vec<Walked>> {
    macro_rules! walk {
        ($($from:tt)+) => {
            fetch_all!(
                tx,
                Walked,
                concat!(
                    "SELECT variant_id, COALESCE((
                         SELECT TRUE FROM meta_outbox AS o @sqlite{INDEXED BY meta_outbox_open_variant}
                         WHERE o.variant_id = chunk.variant_id AND o.processed_at IS NULL AND o.parked_at IS NULL
                           AND o.held_at IS NULL LIMIT 1), FALSE) AS waits,
                     COALESCE((
                         SELECT TRUE FROM meta_outbox AS d @sqlite{INDEXED BY meta_outbox_open_variant}
                         WHERE d.variant_id = chunk.variant_id AND d.processed_at IS NULL
                           AND d.intent = 'delete' AND d.origin = 'operator' AND d.enqueued_at >= $3
                           AND NOT COALESCE((
                               SELECT TRUE FROM meta_outbox AS n @sqlite{INDEXED BY meta_outbox_open_variant}
                               WHERE n.variant_id = d.variant_id AND n.processed_at IS NULL AND n.seq > d.seq
                                 AND n.origin = 'operator' LIMIT 1), FALSE) LIMIT 1), FALSE)
                     OR COALESCE((
                         SELECT TRUE FROM meta_outbox AS d @sqlite{INDEXED BY meta_outbox_done_variant}
                         WHERE d.variant_id = chunk.variant_id AND d.processed_at IS NOT NULL
                           AND d.intent = 'delete' AND d.origin = 'operator' AND d.enqueued_at >= $3
                           AND NOT COALESCE((
                               SELECT TRUE FROM meta_outbox AS n @sqlite{INDEXED BY meta_outbox_open_variant}
                               WHERE n.variant_id = d.variant_id AND n.processed_at IS NULL
                                 AND n.origin NOT IN ('recovery', 'drift') LIMIT 1), FALSE)
                           AND NOT COALESCE((
                               SELECT TRUE FROM meta_outbox AS n @sqlite{INDEXED BY meta_outbox_done_variant}
                               WHERE n.variant_id = d.variant_id AND n.processed_at IS NOT NULL AND n.seq > d.seq
                                 AND (n.origin NOT IN ('recovery', 'drift') OR n.outcome NOT IN ('previewed', 'requeued'))
                                 AND (n.origin = 'operator' OR n.processed_at <> d.processed_at)
                               LIMIT 1), FALSE) LIMIT 1), FALSE) AS removed
                     FROM (SELECT variant_id FROM ",
                    $($from)+,
                    " AND variant_id > $1 ORDER BY variant_id LIMIT $2) AS chunk ORDER BY variant_id"
                ),
                &reask.after_id,
                limit,
                respected_from(reask)
            )
        };
    }
    match reask.reason.scope() {
        Scope::Eligible => walk!(
            "variant_index
             WHERE status = 'active' AND visibility = 'public' AND NOT product_deleted AND NOT variant_deleted"
        ),
        Scope::All => walk!("variant_index WHERE true"),
        Scope::Mapped => {
            // By the primary key: with the index on the status, each step would sort all remaining rows.
            walk!(
                "meta_sync_state
                 WHERE @sqlite{+status}@pg{(status || '')} <> 'pending'"
            )
        }
        Scope::Renamed => walk!(concat!("variant_index WHERE ", renamed!("walking", "@sqlite{+}"))),
    }
}

/// Returns the time from which an operator's delete is respected. What an operator asks for replaces earlier deletes; a
/// re-ask that the service begins replaces none.
fn respected_from(reask: &Reask) -> Millis {
    if reask.reason.is_operators() { reask.started_at } else { Millis::MIN }
}
