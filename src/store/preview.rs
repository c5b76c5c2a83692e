//! Previews of mapper modules: how far each has come, and its report.

use super::{Result, Tx, execute, fetch_one, fetch_optional};
use crate::clock::Millis;

/// So many last previews are kept.
const KEPT: i64 = 20;

/// A preview.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Preview {
    /// Its id.
    pub id: String,
    /// SHA-256 of the module's file, hex.
    pub digest: String,
    /// What the module calls itself.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// Variants at its start.
    pub total: i64,
    /// Variants compared so far.
    pub done: i64,
    /// The report, as JSON text; none before the end.
    pub report: Option<String>,
    /// Why there will be none.
    pub error: Option<String>,
    /// When it began.
    pub started_at: i64,
    /// When the process that makes it was last heard of.
    pub updated_at: i64,
    /// When it ended; none while it runs, or if its process died.
    pub finished_at: Option<i64>,
}

/// Begins a preview of a module, forgets the oldest ones, and answers how many variants there are.
///
/// # Errors
/// When the database does not answer.
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
    // One that still runs stays, however many came after it.
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

/// Notes how far it has come.
///
/// # Errors
/// When the database does not answer.
pub async fn progress(tx: &mut Tx, id: &str, done: i64, now: Millis) -> Result<()> {
    execute!(tx, "UPDATE mapper_preview SET done = $2, updated_at = $3 WHERE id = $1", id, done, now)?;
    Ok(())
}

/// Ends it, with its report or with why there is none.
///
/// # Errors
/// When the database does not answer.
pub async fn finish(tx: &mut Tx, id: &str, done: i64, end: std::result::Result<&str, &str>, now: Millis) -> Result<()> {
    execute!(
        tx,
        "UPDATE mapper_preview SET done = $2, report = $3, error = $4, updated_at = $5, finished_at = $5 WHERE id = $1",
        id,
        done,
        end.ok(),
        end.err(),
        now
    )?;
    Ok(())
}

/// One of them.
///
/// # Errors
/// When the database does not answer.
pub async fn load(tx: &mut Tx, id: &str) -> Result<Option<Preview>> {
    fetch_optional!(
        tx,
        Preview,
        "SELECT id, digest, name, version, total, done, report, error, started_at, updated_at, finished_at
         FROM mapper_preview WHERE id = $1",
        id
    )
}
