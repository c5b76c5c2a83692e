//! The outbox: intents, appended in the transaction of the change that caused them and marked by exact id in the
//! transaction that records their effect.

mod settled;

use std::collections::HashMap;

pub use settled::{Place, Settled, forget, settled};

use super::sync_state::MaybeState;
use super::{Result, StoreError, Tx, execute, fetch_all, fetch_one, json};
use crate::clock::Millis;
use crate::domain::intent::{Intent, OpenIntent, Origin};
use crate::domain::state::SyncState;

/// What became of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntentOutcome {
    /// Sent; the verdict is with the submission.
    Submitted,
    /// Refused by name.
    Failed,
    /// Meta holds it already.
    Noop,
    /// Not eligible.
    Skipped,
    /// Nothing to delete.
    Dropped,
    /// Would have been sent; `feed_mode` is `preview`.
    Previewed,
    /// Was previewed, and asked for again when `feed_mode` became `live`.
    Requeued,
}

impl IntentOutcome {
    /// The word in the store.
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

/// Appends one intent per variant; an unknown variant's first upsert creates its state row as `pending`.
///
/// # Errors
/// When the database does not answer.
pub async fn append(tx: &mut Tx, variants: &[String], intent: Intent, origin: Origin, now: Millis) -> Result<u64> {
    let list = json(variants)?;
    if intent == Intent::Upsert {
        // In id order, or two intakes that meet could wait for each other. The product by a scalar subquery: joined, SQLite
        // builds the whole view for each call.
        execute!(
            tx,
            "INSERT INTO meta_sync_state (variant_id, product_id, status, created_at, updated_at)
             SELECT DISTINCT new.id, (SELECT i.product_id FROM variant_index i WHERE i.variant_id = new.id), 'pending',
                 CAST($2 AS BIGINT), CAST($2 AS BIGINT)
             FROM @ids($1) AS new
             WHERE true ORDER BY 1
             ON CONFLICT (variant_id) DO NOTHING",
            &list,
            now
        )?;
    }
    execute!(
        tx,
        "INSERT INTO meta_outbox (variant_id, intent, origin, enqueued_at)
         SELECT id, $2, $3, CAST($4 AS BIGINT) FROM @ids($1) AS new",
        &list,
        intent.as_str(),
        origin.as_str(),
        now
    )
}

/// Appends one intent for each of these variants that has no open one, a held one included: it says more than a
/// repetition.
///
/// # Errors
/// When the database does not answer.
pub async fn append_if_idle(
    tx: &mut Tx,
    variants: &[&str],
    intent: Intent,
    origin: Origin,
    now: Millis,
) -> Result<u64> {
    execute!(
        tx,
        "INSERT INTO meta_outbox (variant_id, intent, origin, enqueued_at)
         SELECT id, $2, $3, CAST($4 AS BIGINT) FROM @ids($1) AS again
         WHERE NOT EXISTS (SELECT 1 FROM meta_outbox o
             WHERE o.variant_id = id AND o.processed_at IS NULL AND o.parked_at IS NULL)",
        json(variants)?,
        intent.as_str(),
        origin.as_str(),
        now
    )
}

/// A stretch of the outbox: all open rows of the variants that a window of live rows names, and what is held of them.
#[derive(Debug, Default)]
pub struct Window {
    /// Open rows, parked ones included.
    pub rows: Vec<OpenIntent>,
    /// The states of their variants, as they were when the rows were read.
    pub states: HashMap<String, SyncState>,
    /// Where the next window begins.
    pub cursor: i64,
    /// How many live rows the window held.
    pub live: usize,
}

#[derive(sqlx::FromRow)]
struct WindowRow {
    seq: i64,
    variant_id: String,
    intent: String,
    origin: String,
    attempts: i64,
    released: bool,
    cursor: i64,
    live: i64,
    #[sqlx(flatten)]
    state: MaybeState,
}

/// Reads the window of at most `limit` live rows after `cursor`, in order of arrival; none at the end.
///
/// Rows and states are of one moment, since they are read by one statement. States read later would show verdicts whose
/// fresh intents are not among the rows: the drain would decide without them, and they would come after what it sends.
///
/// # Errors
/// When the database does not answer or holds a word this version does not know.
pub async fn read_window(tx: &mut Tx, cursor: i64, limit: i64) -> Result<Option<Window>> {
    // SQLite keeps no statistics unless asked: left alone it takes the first index on processed_at, and each window
    // reads and sorts the whole backlog. INDEXED BY fails where the index does not fit, so it cannot go stale unseen.
    let rows: Vec<WindowRow> = fetch_all!(
        tx,
        WindowRow,
        "WITH live AS (
             SELECT seq, variant_id FROM meta_outbox @sqlite{INDEXED BY meta_outbox_open}
             WHERE processed_at IS NULL AND parked_at IS NULL AND held_at IS NULL AND seq > $1
             ORDER BY seq LIMIT $2)
         SELECT o.seq, o.variant_id, o.intent, o.origin, o.attempts, o.released_at IS NOT NULL AS released,
             (SELECT MAX(seq) FROM live) AS cursor, (SELECT COUNT(*) FROM live) AS live,
             s.status, s.catalog_id, s.last_pushed_hash, s.at_meta, s.fields_at_meta, s.attempts AS failures, s.version
         FROM meta_outbox AS o @sqlite{INDEXED BY meta_outbox_open_variant}
         LEFT JOIN meta_sync_state AS s ON s.variant_id = o.variant_id
         WHERE o.processed_at IS NULL AND o.variant_id IN (SELECT variant_id FROM live)
         ORDER BY o.seq",
        cursor,
        limit
    )?;
    let Some((cursor, live)) = rows.first().map(|row| (row.cursor, row.live)) else { return Ok(None) };
    let corrupt = |column, found| StoreError::Corrupt { table: "meta_outbox", column, found };
    let mut states = HashMap::new();
    let rows = rows
        .into_iter()
        .map(|row| {
            let open = OpenIntent {
                seq: row.seq,
                variant_id: row.variant_id,
                intent: row.intent.parse().map_err(|found| corrupt("intent", found))?,
                origin: row.origin.parse().map_err(|found| corrupt("origin", found))?,
                attempts: row.attempts,
                released: row.released,
            };
            if let Some(state) = row.state.into_state()? {
                states.insert(open.variant_id.clone(), state);
            }
            Ok(open)
        })
        .collect::<Result<_>>()?;
    Ok(Some(Window { rows, states, cursor, live: usize::try_from(live).unwrap_or(usize::MAX) }))
}

/// Marks exactly these rows as processed. A preview counts only while the mode is `preview`: a tick that began before
/// the change to `live` leaves its rows open, or [`requeue_previewed`] would have missed them.
///
/// # Errors
/// When the database does not answer.
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
        json(&list)?,
        now
    )
}

/// Asks again for every variant whose latest word is a preview, with the intent of that row; once, since the row's
/// outcome becomes [`IntentOutcome::Requeued`]. Answers how many.
///
/// A variant with a newer intent, processed or open, is left alone: that one is what the shop wants now, and the older
/// intent would come after it. The caller holds the pipeline, so that no preview is recorded meanwhile.
///
/// # Errors
/// When the database does not answer.
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
    // Rows requeued before have what was asked for them behind them, so the latest ones are those of above. What was
    // previewed together counts as one, as in a fold: an operator's delete before later events and still as one, a
    // recovery after everything else.
    execute!(
        tx,
        "WITH previewed AS (
             SELECT last.seq AS last, COALESCE(MAX(CASE WHEN o.origin <> 'recovery' THEN o.seq END), last.seq) AS seq,
                 MAX(CASE WHEN o.origin = 'operator' THEN o.seq END) AS asked
             FROM meta_outbox AS last
             JOIN meta_outbox AS o ON o.variant_id = last.variant_id AND o.processed_at = last.processed_at
                 AND o.outcome IN ($1, $4)
             WHERE last.outcome = $1 AND last.seq IN (SELECT MAX(seq) FROM meta_outbox GROUP BY variant_id)
             GROUP BY last.seq)
         INSERT INTO meta_outbox (variant_id, intent, origin, enqueued_at)
         SELECT word.variant_id, CASE WHEN asked.intent = 'delete' THEN 'delete' ELSE word.intent END,
             CASE WHEN asked.intent = 'delete' THEN 'operator' ELSE $2 END, CAST($3 AS BIGINT)
         FROM previewed AS p
         JOIN meta_outbox AS word ON word.seq = p.seq
         LEFT JOIN meta_outbox AS asked ON asked.seq = p.asked
         ORDER BY p.last",
        IntentOutcome::Requeued.as_str(),
        Origin::Recovery.as_str(),
        now,
        IntentOutcome::Previewed.as_str()
    )
}

/// Notes a fault of the channel on rows that stay open; it never parks them.
#[derive(Clone, Copy, Debug)]
pub struct ChannelFault<'a> {
    /// Class of the fault, such as `throttled`.
    pub class: &'static str,
    /// What happened.
    pub error: &'a str,
}

/// Counts a fault on exactly these rows.
///
/// # Errors
/// When the database does not answer.
pub async fn note_fault(tx: &mut Tx, seqs: &[i64], fault: ChannelFault<'_>) -> Result<u64> {
    if seqs.is_empty() {
        return Ok(0);
    }
    execute!(
        tx,
        "UPDATE meta_outbox SET attempts = attempts + 1, class = $2, last_error = $3
         FROM @rows($1: seq bigint) AS r
         WHERE meta_outbox.seq = r.seq AND @sqlite{+}meta_outbox.processed_at IS NULL",
        json(&seqs.iter().map(|seq| [seq]).collect::<Vec<_>>())?,
        fault.class,
        fault.error
    )
}

/// Counts a fault of their own on exactly these rows, each with what happened to it; a row that has seen `park_at` of
/// them is parked.
///
/// # Errors
/// When the database does not answer.
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
        json(faults)?,
        class,
        park_at,
        now
    )
}

/// Counts a fault on every open row of these variants: for calls whose exact rows are not known any more.
///
/// # Errors
/// When the database does not answer.
pub async fn note_fault_of_variants(tx: &mut Tx, variants: &[&str], fault: ChannelFault<'_>) -> Result<u64> {
    execute!(
        tx,
        "UPDATE meta_outbox @sqlite{INDEXED BY meta_outbox_open_variant}
         SET attempts = attempts + 1, class = $2, last_error = $3
         WHERE processed_at IS NULL AND variant_id IN (SELECT id FROM @ids($1) AS variants)",
        json(variants)?,
        fault.class,
        fault.error
    )
}

/// Whether at least `count` intents are waiting to be processed; reads no more of them than that.
///
/// # Errors
/// When the database does not answer.
pub async fn has_live(tx: &mut Tx, count: i64) -> Result<bool> {
    let (found,): (i64,) = fetch_one!(
        tx,
        (i64,),
        "SELECT COUNT(*) FROM (SELECT 1 FROM meta_outbox
             WHERE processed_at IS NULL AND parked_at IS NULL AND held_at IS NULL LIMIT $1) AS live",
        count
    )?;
    Ok(found >= count)
}

/// How many intents are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// To be processed.
    pub live: i64,
    /// Parked after too many faults of their own.
    pub parked: i64,
    /// Variants whose deletion the mass-delete guard holds back.
    pub held: i64,
}

/// Counts the open intents.
///
/// # Errors
/// When the database does not answer.
pub async fn backlog(tx: &mut Tx) -> Result<Backlog> {
    let (live, parked, held): (i64, i64, i64) = fetch_one!(
        tx,
        (i64, i64, i64),
        // Each from its own index: with a million open rows, to look into them takes seconds.
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

/// Holds exactly these rows back: see [`crate::domain::guard`]. Not one that somebody released since it
/// was decided on.
///
/// # Errors
/// When the database does not answer.
pub async fn hold(tx: &mut Tx, seqs: &[i64], now: Millis) -> Result<u64> {
    if seqs.is_empty() {
        return Ok(0);
    }
    execute!(
        tx,
        "UPDATE meta_outbox SET held_at = $2 FROM @rows($1: seq bigint) AS r
         WHERE meta_outbox.seq = r.seq AND @sqlite{+}meta_outbox.processed_at IS NULL
           AND meta_outbox.released_at IS NULL",
        json(&seqs.iter().map(|seq| [seq]).collect::<Vec<_>>())?,
        now
    )
}

/// Releases everything that is held back; answers how many variants that were.
///
/// # Errors
/// When the database does not answer.
pub async fn release_held(tx: &mut Tx, now: Millis) -> Result<i64> {
    let held = backlog(tx).await?.held;
    execute!(
        tx,
        "UPDATE meta_outbox SET held_at = NULL, released_at = $1 WHERE processed_at IS NULL AND held_at IS NOT NULL",
        now
    )?;
    Ok(held)
}
