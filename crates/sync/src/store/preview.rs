//! Previews of mapper modules: their progress and reports.

use super::{Result, Tx, execute, fetch_all, fetch_one, fetch_optional};
use crate::clock::Millis;

/// The number of last previews that are kept.
const KEPT: i64 = 20;

/// A preview.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Preview {
    /// Its id.
    pub id: String,
    /// SHA-256 of the module's file, hex.
    pub digest: String,
    /// The name that the module states.
    pub name: String,
    /// The version that the module states.
    pub version: String,
    /// Variants at its start.
    pub total: i64,
    /// Variants compared so far.
    pub done: i64,
    /// Whether there is a report ([`report`]).
    pub is_reported: bool,
    /// Whether the module's file is stored.
    pub is_kept: bool,
    /// Why there is no report.
    pub error: Option<String>,
    /// When it began.
    pub started_at: i64,
    /// When the process that runs it last reported.
    pub updated_at: i64,
    /// When it ended. `None` while it runs, or when its process died.
    pub finished_at: Option<i64>,
    /// When an operator cancelled it.
    pub cancelled_at: Option<i64>,
}

/// Begins a preview of a module and deletes the oldest previews. Returns the number of variants.
///
/// # Errors
/// When the database query fails.
pub async fn begin(tx: &mut Tx, id: &str, digest: &str, name: &str, version: &str, now: Millis) -> Result<i64> {
    let (total,): (i64,) = fetch_one!(
        tx,
        (i64,),
        "INSERT INTO mapper_preview (id, digest, name, version, total, done, started_at, updated_at)
         VALUES ($1, $2, $3, $4, (SELECT COUNT(*) FROM variant_index), 0, $5, $5)
         RETURNING total",
        id,
        digest,
        name,
        version,
        now
    )?;
    // A running preview is kept, however many came after it.
    execute!(
        tx,
        "DELETE FROM mapper_preview WHERE id NOT IN (
             SELECT id FROM mapper_preview ORDER BY started_at DESC, id DESC LIMIT $1)
           AND (finished_at IS NOT NULL OR updated_at < $2)",
        KEPT,
        now - 60 * 60 * 1_000
    )?;
    Ok(total)
}

/// Records the progress. Returns whether the preview is still wanted: `false` after [`cancel`].
///
/// # Errors
/// When the database query fails.
pub async fn progress(tx: &mut Tx, id: &str, done: i64, now: Millis) -> Result<bool> {
    let running = execute!(
        tx,
        "UPDATE mapper_preview SET done = $2, updated_at = $3 WHERE id = $1 AND finished_at IS NULL",
        id,
        done,
        now
    )?;
    Ok(running > 0)
}

/// Cancels a preview that has not ended. The process that runs it sees this at its next progress.
///
/// # Errors
/// When the database query fails.
pub async fn cancel(tx: &mut Tx, id: &str, now: Millis) -> Result<()> {
    execute!(
        tx,
        "UPDATE mapper_preview SET cancelled_at = $2, updated_at = $2, finished_at = $2
          WHERE id = $1 AND finished_at IS NULL",
        id,
        now
    )?;
    Ok(())
}

/// Ends a preview that has not ended, with its report or with the reason why there is none.
///
/// # Errors
/// When the database query fails.
pub async fn finish(tx: &mut Tx, id: &str, done: i64, end: std::result::Result<&str, &str>, now: Millis) -> Result<()> {
    execute!(
        tx,
        "UPDATE mapper_preview SET done = $2, report = $3, error = $4, updated_at = $5, finished_at = $5
          WHERE id = $1 AND finished_at IS NULL",
        id,
        done,
        end.ok(),
        end.err(),
        now
    )?;
    Ok(())
}

// A report may be long, so it is loaded apart.
macro_rules! preview {
    ($which:literal) => {
        concat!(
            r#"SELECT id, digest, name, version, total, done, report IS NOT NULL AS is_reported,
                 EXISTS (SELECT 1 FROM mapper_module m WHERE m.digest = p.digest @pg{COLLATE "C"}) AS is_kept,
                 error, started_at, updated_at, finished_at, cancelled_at
             FROM mapper_preview p "#,
            $which
        )
    };
}

/// Returns one preview.
///
/// # Errors
/// When the database query fails.
pub async fn load(tx: &mut Tx, id: &str) -> Result<Option<Preview>> {
    fetch_optional!(tx, Preview, preview!("WHERE id = $1"), id)
}

/// Returns the stored previews, the latest first.
///
/// # Errors
/// When the database query fails.
pub async fn list(tx: &mut Tx) -> Result<Vec<Preview>> {
    fetch_all!(tx, Preview, preview!("ORDER BY started_at DESC, id DESC LIMIT $1"), KEPT)
}

/// Returns the report of a preview, as JSON text. `None` before its end.
///
/// # Errors
/// When the database query fails.
pub async fn report(tx: &mut Tx, id: &str) -> Result<Option<String>> {
    let row: Option<(Option<String>,)> =
        fetch_optional!(tx, (Option<String>,), "SELECT report FROM mapper_preview WHERE id = $1", id)?;
    Ok(row.and_then(|(report,)| report))
}
