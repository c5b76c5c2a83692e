//! The open intents, as operators see them.

use super::items::Stretch;
use super::{Result, Tx, fetch_all, fetch_one};

/// Which intents to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Those that the drain reads.
    Live,
    /// Those that the mass-delete guard holds.
    Held,
    /// Those that are parked after too many faults of their own.
    Parked,
}

/// An open intent.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct IntentRow {
    /// Its number.
    pub seq: i64,
    /// The variant.
    pub variant_id: String,
    /// `upsert` or `delete`.
    pub intent: String,
    /// Where it comes from.
    pub origin: String,
    /// The number of its lane.
    pub lane: i64,
    /// When it was queued.
    pub enqueued_at: i64,
    /// How often it was tried.
    pub attempts: i64,
    /// The class of its last fault.
    pub class: Option<String>,
    /// Its last fault.
    pub last_error: Option<String>,
    /// Since when it is held.
    pub held_at: Option<i64>,
    /// Since when it is parked.
    pub parked_at: Option<i64>,
}

/// Returns a page of open intents, lane by lane, the oldest of a lane first, and the total number.
///
/// # Errors
/// When the database query fails.
pub async fn list(tx: &mut Tx, standing: Standing, stretch: Stretch) -> Result<(Vec<IntentRow>, i64)> {
    macro_rules! page {
        ($index:literal, $which:literal) => {{
            let rows: Vec<IntentRow> = fetch_all!(
                tx,
                IntentRow,
                concat!(
                    "SELECT seq, variant_id, intent, origin, lane, enqueued_at, attempts, class, last_error, held_at, parked_at
                     FROM meta_outbox @sqlite{INDEXED BY ",
                    $index,
                    "} WHERE processed_at IS NULL AND ",
                    $which,
                    " ORDER BY lane, seq LIMIT $1 OFFSET $2"
                ),
                stretch.limit,
                stretch.offset
            )?;
            let (total,): (i64,) = fetch_one!(
                tx,
                (i64,),
                concat!(
                    "SELECT COUNT(*) FROM meta_outbox @sqlite{INDEXED BY ",
                    $index,
                    "} WHERE processed_at IS NULL AND ",
                    $which
                )
            )?;
            Ok((rows, total))
        }};
    }
    match standing {
        Standing::Live => page!("meta_outbox_open", "parked_at IS NULL AND held_at IS NULL"),
        Standing::Held => page!("meta_outbox_held", "held_at IS NOT NULL"),
        Standing::Parked => page!("meta_outbox_parked", "parked_at IS NOT NULL"),
    }
}
