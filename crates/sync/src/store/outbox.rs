//! The outbox: intents, appended in the transaction of the change that caused them, and marked by exact id in the
//! transaction that records their effect.

mod window;

mod settled;

pub use settled::{Place, Settled, forget, settled};
pub use window::{Cursor, Window, read_window};

use super::{Result, Tx, execute, fetch_one, list};
use crate::clock::Millis;
use crate::domain::intent::{Intent, Lane, Origin};

/// The outcome of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntentOutcome {
    /// Sent. The verdict belongs to the submission.
    Submitted,
    /// Refused individually by Meta.
    Failed,
    /// Meta already holds the payload.
    Noop,
    /// Not eligible.
    Skipped,
    /// Nothing to delete.
    Dropped,
    /// Not sent because `feed_mode` is `preview`.
    Previewed,
    /// Previewed, and asked for again when `feed_mode` became `live`.
    Requeued,
}

impl IntentOutcome {
    /// Returns its word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Failed => "failed",
            Self::Noop => "noop",
            Self::Skipped => "skipped",
            Self::Dropped => "dropped",
            Self::Previewed => "previewed",
            Self::Requeued => "requeued",
        }
    }
}

/// Appends one intent per variant, in the lane of its origin. An unknown variant's first upsert creates its state row as
/// `pending`.
///
/// # Errors
/// When the database query fails.
pub async fn append(tx: &mut Tx, variants: &[String], intent: Intent, origin: Origin, now: Millis) -> Result<u64> {
    append_to(tx, Lane::of(origin, intent), variants, intent, origin, now).await
}

/// Appends one intent per variant to a lane: see [`append`].
///
/// # Errors
/// When the database query fails.
pub async fn append_to(
    tx: &mut Tx,
    lane: Lane,
    variants: &[String],
    intent: Intent,
    origin: Origin,
    now: Millis,
) -> Result<u64> {
    if intent == Intent::Upsert {
        begin_states(tx, variants, now).await?;
    }
    execute!(
        tx,
        "INSERT INTO meta_outbox (variant_id, intent, origin, enqueued_at, lane)
         SELECT id, $2, $3, CAST($4 AS BIGINT), CAST($5 AS BIGINT) FROM @ids($1) AS new",
        list::ids(variants),
        intent.as_str(),
        origin.as_str(),
        now,
        lane.number()
    )
}

/// Creates the state rows of variants that have none.
async fn begin_states(tx: &mut Tx, variants: &[String], now: Millis) -> Result<()> {
    // Rows are written in id order; otherwise two concurrent intakes could deadlock. The product is a scalar
    // subquery: with a join, SQLite builds the whole view for each call.
    execute!(
        tx,
        "INSERT INTO meta_sync_state (variant_id, product_id, status, created_at, updated_at)
             SELECT DISTINCT new.id, (SELECT i.product_id FROM variant_index i WHERE i.variant_id = new.id), 'pending',
                 CAST($2 AS BIGINT), CAST($2 AS BIGINT)
             FROM @ids($1) AS new
             WHERE true ORDER BY 1
             ON CONFLICT (variant_id) DO NOTHING",
        list::ids(variants),
        now
    )?;
    Ok(())
}

/// Appends an operator's intent for each of these variants but those whose latest open intent is just that, so that a
/// request that is repeated asks once.
///
/// # Errors
/// When the database query fails.
pub async fn append_once(tx: &mut Tx, lane: Lane, variants: &[String], intent: Intent, now: Millis) -> Result<u64> {
    if intent == Intent::Upsert {
        begin_states(tx, variants, now).await?;
    }
    execute!(
        tx,
        "INSERT INTO meta_outbox (variant_id, intent, origin, enqueued_at, lane)
         SELECT id, $2, $3, CAST($4 AS BIGINT), CAST($5 AS BIGINT) FROM @ids($1) AS new
         WHERE NOT COALESCE((
             SELECT o.intent = $2 AND o.origin = $3 AND o.lane <= $5 AND o.parked_at IS NULL AND o.held_at IS NULL
             FROM meta_outbox AS o @sqlite{INDEXED BY meta_outbox_open_variant}
             WHERE o.variant_id = new.id AND o.processed_at IS NULL ORDER BY o.seq DESC LIMIT 1), FALSE)",
        list::ids(variants),
        intent.as_str(),
        Origin::Operator.as_str(),
        now,
        lane.number()
    )
}

/// Appends one intent for each of these variants that has no open intent that is not parked. A held intent counts as
/// open: it carries more information than a repetition.
///
/// # Errors
/// When the database query fails.
pub async fn append_if_idle(
    tx: &mut Tx,
    variants: &[&str],
    intent: Intent,
    origin: Origin,
    now: Millis,
) -> Result<u64> {
    execute!(
        tx,
        "INSERT INTO meta_outbox (variant_id, intent, origin, enqueued_at, lane)
         SELECT id, $2, $3, CAST($4 AS BIGINT), CAST($5 AS BIGINT) FROM @ids($1) AS again
         WHERE NOT EXISTS (SELECT 1 FROM meta_outbox o
             WHERE o.variant_id = id AND o.processed_at IS NULL AND o.parked_at IS NULL)",
        list::ids(variants),
        intent.as_str(),
        origin.as_str(),
        now,
        Lane::of(origin, intent).number()
    )
}

/// Marks exactly these rows as processed. A preview is marked only while the mode is `preview`: a tick that began
/// before the change to `live` leaves its rows open, because [`requeue_previewed`] would have missed them.
///
/// # Errors
/// When the database query fails.
pub async fn mark(tx: &mut Tx, rows: &[(i64, IntentOutcome)], now: Millis) -> Result<u64> {
    if rows.is_empty() {
        return Ok(0);
    }
    let list: Vec<_> = rows.iter().map(|(seq, outcome)| (seq, outcome.as_str())).collect();
    execute!(
        tx,
        "UPDATE meta_outbox SET processed_at = $2, outcome = r.outcome, parked_at = NULL, held_at = NULL
         FROM @rows($1: seq bigint, outcome text) AS r
         WHERE meta_outbox.seq = r.seq AND @sqlite{+}meta_outbox.processed_at IS NULL
           AND (r.outcome <> 'previewed' OR EXISTS (
               SELECT 1 FROM setting WHERE grp = 'meta' AND key = 'feed_mode' AND value = '\"preview\"'))",
        list::rows(&list),
        now
    )
}

/// Asks again for every variant whose latest intent was previewed, with the intent of that row. It happens once, since
/// the outcome of the row becomes [`IntentOutcome::Requeued`]. Returns the number of variants.
///
/// A variant with a newer intent, processed or open, is left alone: the newer intent is what the shop wants now, and
/// the older one would come after it. The caller holds the pipeline, so no preview is recorded meanwhile.
///
/// # Errors
/// When the database query fails.
pub async fn requeue_previewed(tx: &mut Tx, now: Millis) -> Result<u64> {
    let latest = execute!(
        tx,
        "UPDATE meta_outbox SET outcome = $1
         WHERE outcome = $2 AND seq IN (SELECT MAX(seq) FROM meta_outbox GROUP BY variant_id)",
        IntentOutcome::Requeued.as_str(),
        IntentOutcome::Previewed.as_str()
    )?;
    if latest == 0 {
        return Ok(0);
    }
    // Rows that were requeued before are followed by the new intents, so the latest rows are those marked above.
    // Intents that were previewed together count as one, as in a fold: an operator's delete beats later events and
    // stays an operator's delete, and a recovery gives way to every other intent.
    execute!(
        tx,
        "WITH previewed AS (
             SELECT last.seq AS last, COALESCE(MAX(CASE WHEN o.origin NOT IN ('recovery', 'drift') THEN o.seq END), last.seq) AS seq,
                 MAX(CASE WHEN o.origin = 'operator' THEN o.seq END) AS asked
             FROM meta_outbox AS last
             JOIN meta_outbox AS o ON o.variant_id = last.variant_id AND o.processed_at = last.processed_at
                 AND o.outcome IN ($1, $4)
             WHERE last.outcome = $1 AND last.seq IN (SELECT MAX(seq) FROM meta_outbox GROUP BY variant_id)
             GROUP BY last.seq)
         INSERT INTO meta_outbox (variant_id, intent, origin, enqueued_at, lane)
         SELECT word.variant_id, CASE WHEN asked.intent = 'delete' THEN 'delete' ELSE word.intent END,
             CASE WHEN asked.intent = 'delete' THEN 'operator' ELSE $2 END, CAST($3 AS BIGINT),
             CASE WHEN 'delete' IN (word.intent, asked.intent) THEN CAST($5 AS BIGINT) ELSE $6 END
         FROM previewed AS p
         JOIN meta_outbox AS word ON word.seq = p.seq
         LEFT JOIN meta_outbox AS asked ON asked.seq = p.asked
         ORDER BY p.last",
        IntentOutcome::Requeued.as_str(),
        Origin::Recovery.as_str(),
        now,
        IntentOutcome::Previewed.as_str(),
        Lane::Prompt.number(),
        Lane::Bulk.number()
    )
}

/// A fault of the channel, recorded on rows that stay open. It never parks them.
#[derive(Clone, Copy, Debug)]
pub struct ChannelFault<'a> {
    /// Class of the fault, such as `throttled`.
    pub class: &'static str,
    /// What happened.
    pub error: &'a str,
}

/// Records a channel fault on exactly these rows.
///
/// # Errors
/// When the database query fails.
pub async fn note_fault(tx: &mut Tx, seqs: &[i64], fault: ChannelFault<'_>) -> Result<u64> {
    if seqs.is_empty() {
        return Ok(0);
    }
    execute!(
        tx,
        "UPDATE meta_outbox SET attempts = attempts + 1, class = $2, last_error = $3
         FROM @rows($1: seq bigint) AS r
         WHERE meta_outbox.seq = r.seq AND @sqlite{+}meta_outbox.processed_at IS NULL",
        list::rows(&seqs.iter().map(|seq| (seq,)).collect::<Vec<_>>()),
        fault.class,
        fault.error
    )
}

/// Records a row's own fault on exactly these rows, each with its own error. A row with `park_at` of them is parked.
///
/// # Errors
/// When the database query fails.
pub async fn note_faults(
    tx: &mut Tx,
    faults: &[(i64, &str)],
    class: &'static str,
    park_at: i64,
    now: Millis,
) -> Result<u64> {
    if faults.is_empty() {
        return Ok(0);
    }
    execute!(
        tx,
        "UPDATE meta_outbox SET attempts = attempts + 1, row_faults = row_faults + 1, class = $2, last_error = r.error,
                parked_at = CASE WHEN row_faults + 1 >= CAST($3 AS BIGINT) THEN CAST($4 AS BIGINT) ELSE parked_at END
         FROM @rows($1: seq bigint, error text) AS r
         WHERE meta_outbox.seq = r.seq AND @sqlite{+}meta_outbox.processed_at IS NULL",
        list::rows(faults),
        class,
        park_at,
        now
    )
}

/// Records a fault on every open row of these variants, for calls whose exact rows are no longer known.
///
/// # Errors
/// When the database query fails.
pub async fn note_fault_of_variants(tx: &mut Tx, variants: &[&str], fault: ChannelFault<'_>) -> Result<u64> {
    execute!(
        tx,
        "UPDATE meta_outbox @sqlite{INDEXED BY meta_outbox_open_variant}
         SET attempts = attempts + 1, class = $2, last_error = $3
         WHERE processed_at IS NULL AND variant_id IN (SELECT id FROM @ids($1) AS variants)",
        list::ids(variants),
        fault.class,
        fault.error
    )
}

/// Returns whether at least `count` intents of a lane are live. Reads no more than `count` of them.
///
/// # Errors
/// When the database query fails.
pub async fn has_live(tx: &mut Tx, lane: Lane, count: i64) -> Result<bool> {
    let (found,): (i64,) = fetch_one!(
        tx,
        (i64,),
        // The order keeps PostgreSQL to the index, as in a window: it would read all that is processed to find a few.
        "SELECT COUNT(*) FROM (
             SELECT 1 FROM meta_outbox @sqlite{INDEXED BY meta_outbox_open}
             WHERE processed_at IS NULL AND parked_at IS NULL AND held_at IS NULL AND (lane, seq) > ($1, 0) AND lane <= $1
             ORDER BY lane, seq LIMIT $2) AS live",
        lane.number(),
        count
    )?;
    Ok(found >= count)
}

/// Returns when the intents that wait longest were queued: of each lane the first to arrive. `None` when nothing waits.
///
/// # Errors
/// When the database query fails.
pub async fn oldest_live(tx: &mut Tx) -> Result<Option<Millis>> {
    let lanes = Lane::ALL.map(|lane| (lane.number(),));
    let (oldest,): (Option<i64>,) = fetch_one!(
        tx,
        (Option<i64>,),
        // One look at the index for each lane; see [`has_live`].
        "SELECT MIN(queued) FROM (
             SELECT (SELECT enqueued_at FROM meta_outbox @sqlite{INDEXED BY meta_outbox_open}
                     WHERE processed_at IS NULL AND parked_at IS NULL AND held_at IS NULL
                       AND (lane, seq) > (l.number, 0) AND lane <= l.number
                     ORDER BY lane, seq LIMIT 1) AS queued
             FROM @rows($1: number bigint) AS l) AS firsts",
        list::rows(&lanes)
    )?;
    Ok(oldest)
}

/// The number of open intents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Waiting to be processed.
    pub live: i64,
    /// Parked after too many faults of their own.
    pub parked: i64,
    /// Variants whose delete the mass-delete guard holds.
    pub held: i64,
}

/// Counts the open intents.
///
/// # Errors
/// When the database query fails.
pub async fn backlog(tx: &mut Tx) -> Result<Backlog> {
    let (live, parked, held): (i64, i64, i64) = fetch_one!(
        tx,
        (i64, i64, i64),
        // Each count reads its own index: with a million open rows, reading the rows takes seconds.
        "SELECT
             (SELECT COUNT(*) FROM meta_outbox @sqlite{INDEXED BY meta_outbox_open}
              WHERE processed_at IS NULL AND parked_at IS NULL AND held_at IS NULL),
             (SELECT COUNT(*) FROM meta_outbox @sqlite{INDEXED BY meta_outbox_parked}
              WHERE processed_at IS NULL AND parked_at IS NOT NULL),
             (SELECT COUNT(DISTINCT variant_id) FROM meta_outbox @sqlite{INDEXED BY meta_outbox_held}
              WHERE processed_at IS NULL AND held_at IS NOT NULL)"
    )?;
    Ok(Backlog { live, parked, held })
}

/// Holds exactly these rows: see [`crate::domain::guard`]. A row that an operator released since the decision is not
/// held.
///
/// # Errors
/// When the database query fails.
pub async fn hold(tx: &mut Tx, seqs: &[i64], now: Millis) -> Result<u64> {
    if seqs.is_empty() {
        return Ok(0);
    }
    execute!(
        tx,
        "UPDATE meta_outbox SET held_at = $2 FROM @rows($1: seq bigint) AS r
         WHERE meta_outbox.seq = r.seq AND @sqlite{+}meta_outbox.processed_at IS NULL
           AND meta_outbox.released_at IS NULL",
        list::rows(&seqs.iter().map(|seq| (seq,)).collect::<Vec<_>>()),
        now
    )
}

/// Releases the held rows of these variants. Returns the number of rows.
///
/// # Errors
/// When the database query fails.
pub async fn release(tx: &mut Tx, variants: &[String], now: Millis) -> Result<u64> {
    execute!(
        tx,
        "UPDATE meta_outbox @sqlite{INDEXED BY meta_outbox_held} SET held_at = NULL, released_at = $2
         WHERE processed_at IS NULL AND held_at IS NOT NULL AND variant_id IN (SELECT id FROM @ids($1) AS variants)",
        list::ids(variants),
        now
    )
}

/// Releases every held row. Returns the number of variants.
///
/// # Errors
/// When the database query fails.
pub async fn release_held(tx: &mut Tx, now: Millis) -> Result<i64> {
    let held = backlog(tx).await?.held;
    execute!(
        tx,
        "UPDATE meta_outbox SET held_at = NULL, released_at = $1 WHERE processed_at IS NULL AND held_at IS NOT NULL",
        now
    )?;
    Ok(held)
}
