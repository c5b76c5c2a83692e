//! Drift: the sweeps and their cursor, and which variants a sweep looks at next.
//!
//! Promises: the cursor and what was found up to it are written in one transaction, so a process that dies loses nothing
//! and finds nothing twice. At most one sweep of a catalog is under way.
//! Left out on purpose: what is compared ([`crate::domain::drift`]) and when ([`crate::pipeline::drift`]).

pub mod findings;
pub mod repairs;

use super::sync_state::MaybeState;
use super::{Result, Tx, execute, fetch_all, fetch_one, list};
use crate::clock::Millis;
use crate::domain::drift::Candidate;

/// How many sweeps are kept.
const KEPT: i64 = 50;

/// A walk over our items.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Sweep {
    /// Its number.
    pub number: i64,
    /// Its catalog.
    pub catalog_id: String,
    /// The last variant that it passed. Empty at the start.
    pub after_id: String,
    /// When it began.
    pub started_at: Millis,
    /// When it ended. `None` while it is under way.
    pub finished_at: Option<Millis>,
    /// The number of items that were compared.
    pub looked: i64,
    /// The number of items that were in motion.
    pub passed: i64,
    /// The number of items of which Meta gave no certain answer.
    pub unknown: i64,
    /// The number of calls to Meta, second looks included.
    pub calls: i64,
}

/// Returns the latest sweeps of a catalog that were not left, the latest first.
///
/// # Errors
/// When the database query fails.
pub async fn latest(tx: &mut Tx, catalog: &str, limit: i64) -> Result<Vec<Sweep>> {
    fetch_all!(
        tx,
        Sweep,
        "SELECT number, catalog_id, after_id, started_at, finished_at, looked, passed, unknown, calls FROM drift_sweep
         WHERE catalog_id = $1 AND (outcome IS NULL OR outcome = 'done') ORDER BY number DESC LIMIT $2",
        catalog,
        limit
    )
}

/// Returns the number of the first sweep of this catalog that has ended and looked at `least` items or more. Up to that one,
/// sweeps only tell.
///
/// # Errors
/// When the database query fails.
pub async fn dry_run(tx: &mut Tx, catalog: &str, least: i64) -> Result<Option<i64>> {
    let (number,): (Option<i64>,) = fetch_one!(
        tx,
        (Option<i64>,),
        "SELECT MIN(number) FROM drift_sweep WHERE catalog_id = $1 AND outcome = 'done' AND looked >= $2",
        catalog,
        least
    )?;
    Ok(number)
}

/// Begins a sweep of a catalog. Returns false when one is under way.
///
/// # Errors
/// When the database query fails.
pub async fn begin(tx: &mut Tx, catalog: &str, now: Millis) -> Result<bool> {
    let begun = execute!(
        tx,
        "INSERT INTO drift_sweep (number, catalog_id, after_id, started_at)
         SELECT COALESCE(MAX(number), 0) + 1, $1, '', CAST($2 AS BIGINT) FROM drift_sweep WHERE true
         ON CONFLICT DO NOTHING",
        catalog,
        now
    )?;
    execute!(
        tx,
        "DELETE FROM drift_sweep WHERE outcome IS NOT NULL AND number <= (SELECT MAX(number) FROM drift_sweep) - $1",
        KEPT
    )?;
    Ok(begun > 0)
}

/// Ends the sweeps of other catalogs, and forgets some of what they found. Returns whether more is left to forget.
///
/// # Errors
/// When the database query fails.
pub async fn leave_others(tx: &mut Tx, catalog: &str, limit: i64, now: Millis) -> Result<bool> {
    execute!(
        tx,
        "UPDATE drift_sweep SET outcome = 'left', finished_at = $2 WHERE catalog_id <> $1 AND outcome IS NULL",
        catalog,
        now
    )?;
    let forgotten = execute!(
        tx,
        "DELETE FROM drift_finding WHERE (catalog_id, variant_id, class) IN (
             SELECT catalog_id, variant_id, class FROM drift_finding WHERE catalog_id <> $1 LIMIT $2)",
        catalog,
        limit
    )?;
    Ok(i64::try_from(forgotten).unwrap_or(i64::MAX) >= limit)
}

/// Returns whether there is anything of another catalog.
///
/// # Errors
/// When the database query fails.
pub async fn has_others(tx: &mut Tx, catalog: &str) -> Result<bool> {
    let (found,): (bool,) = fetch_one!(
        tx,
        (bool,),
        // The two sides of the catalog are ranges of the key.
        "SELECT EXISTS (SELECT 1 FROM drift_sweep WHERE catalog_id <> $1 AND outcome IS NULL)
             OR EXISTS (SELECT 1 FROM drift_finding WHERE catalog_id < $1)
             OR EXISTS (SELECT 1 FROM drift_finding WHERE catalog_id > $1)",
        catalog
    )?;
    Ok(found)
}

/// What a step of a sweep adds to its figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// See [`Sweep::looked`].
    pub looked: i64,
    /// See [`Sweep::passed`].
    pub passed: i64,
    /// See [`Sweep::unknown`].
    pub unknown: i64,
    /// See [`Sweep::calls`].
    pub calls: i64,
}

/// Moves the cursor of a sweep from where it was read, and adds to its figures. At the end it marks the sweep as done.
/// Returns false when the cursor is elsewhere: nothing is written then.
///
/// # Errors
/// When the database query fails.
pub async fn step(
    tx: &mut Tx,
    sweep: &Sweep,
    after_id: &str,
    counted: Counted,
    is_last: bool,
    now: Millis,
) -> Result<bool> {
    let moved = execute!(
        tx,
        "UPDATE drift_sweep SET after_id = $3, looked = looked + $4, passed = passed + $5, unknown = unknown + $6,
             calls = calls + $7, outcome = CASE WHEN $8 THEN 'done' END,
             finished_at = CASE WHEN $8 THEN CAST($9 AS BIGINT) END
         WHERE number = $1 AND after_id = $2 AND outcome IS NULL",
        sweep.number,
        &sweep.after_id,
        after_id,
        counted.looked,
        counted.passed,
        counted.unknown,
        counted.calls,
        is_last,
        now
    )?;
    Ok(moved > 0)
}

/// Adds calls to the figures of a sweep: second looks, and calls that failed.
///
/// # Errors
/// When the database query fails.
pub async fn count_calls(tx: &mut Tx, number: i64, calls: i64) -> Result<()> {
    execute!(tx, "UPDATE drift_sweep SET calls = calls + $2 WHERE number = $1", number, calls)?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    variant_id: String,
    #[sqlx(flatten)]
    state: MaybeState,
    written_at: i64,
    reeval_at: Option<i64>,
    waits: bool,
}

impl Row {
    fn into_candidate(self) -> Result<Option<Candidate>> {
        let Self { variant_id, state, written_at, reeval_at, waits } = self;
        Ok(state.into_state()?.map(|state| Candidate { variant_id, state, written_at, reeval_at, waits }))
    }
}

// What a candidate is made of. `chunk` has the rows; whether an intent is open is asked row by row, so that PostgreSQL
// does not read all of them.
macro_rules! candidates {
    ($tx:ident, $chunk:literal, $($argument:expr),+) => {{
        let rows: Vec<Row> = fetch_all!(
            $tx,
            Row,
            concat!(
                "SELECT variant_id, status, catalog_id, last_pushed_hash, at_meta, fields_at_meta, attempts AS failures,
                     excluded, version, updated_at AS written_at, reeval_at,
                     COALESCE((
                         SELECT TRUE FROM meta_outbox AS o @sqlite{INDEXED BY meta_outbox_open_variant}
                         WHERE o.variant_id = chunk.variant_id AND o.processed_at IS NULL LIMIT 1), FALSE) AS waits
                 FROM (", $chunk, ") AS chunk ORDER BY variant_id"
            ),
            $($argument),+
        )?;
        rows.into_iter().filter_map(|row| row.into_candidate().transpose()).collect()
    }};
}

/// Returns the states behind the cursor, in the order of their ids.
///
/// # Errors
/// When the database query fails, or the database holds a word that this version does not know.
pub async fn candidates_after(tx: &mut Tx, after_id: &str, limit: i64) -> Result<Vec<Candidate>> {
    candidates!(
        tx,
        "SELECT variant_id, status, catalog_id, last_pushed_hash, at_meta, fields_at_meta, attempts, excluded, version,
             updated_at, reeval_at
         FROM meta_sync_state WHERE variant_id > $1 ORDER BY variant_id LIMIT $2",
        after_id,
        limit
    )
}

/// Returns the states of these variants.
///
/// # Errors
/// As [`candidates_after`].
pub async fn candidates_of(tx: &mut Tx, variants: &[&str]) -> Result<Vec<Candidate>> {
    candidates!(
        tx,
        "SELECT variant_id, status, catalog_id, last_pushed_hash, at_meta, fields_at_meta, attempts, excluded, version,
             updated_at, reeval_at
         FROM meta_sync_state WHERE variant_id IN (SELECT id FROM @ids($1) AS wanted)",
        list::ids(variants)
    )
}
