//! The audit trail: one row for each action of an operator.
//!
//! Promises: rows are numbered in the order in which the actions began; a list is read along that number, so a page costs
//! the same wherever it begins. A filter reads rows until the page is full; the table is bounded ([`forget`]).

use super::{Result, Tx, execute, fetch_all, fetch_one};
use crate::clock::Millis;
use crate::domain::audit::{Action, Caller, Outcome};

/// An action that begins.
#[derive(Clone, Copy, Debug)]
pub struct Begun<'a> {
    /// What is done.
    pub action: Action,
    /// What it is done to.
    pub subject: Option<&'a str>,
    /// What is known of it beforehand, as a JSON object.
    pub details: &'a str,
}

/// Writes the row of an action that begins. Returns its number.
///
/// # Errors
/// When the database query fails.
pub async fn begin(tx: &mut Tx, caller: &Caller, begun: Begun<'_>, now: Millis) -> Result<i64> {
    let (id,): (i64,) = fetch_one!(
        tx,
        (i64,),
        "INSERT INTO meta_audit (at, principal_kind, principal_id, principal_name, impersonator, action, subject, details, outcome)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'open') RETURNING id",
        now,
        caller.kind.as_str(),
        caller.id.as_str(),
        caller.name.as_deref(),
        caller.impersonator.as_deref(),
        begun.action.as_str(),
        begun.subject,
        begun.details
    )?;
    Ok(id)
}

/// Records the end of an action: the code of its error, or that it was done.
///
/// # Errors
/// When the database query fails.
pub async fn finish(tx: &mut Tx, id: i64, details: &str, error: Option<&str>, now: Millis) -> Result<()> {
    let outcome = if error.is_some() { Outcome::Refused } else { Outcome::Ok };
    execute!(
        tx,
        "UPDATE meta_audit SET details = $2, outcome = $3, error_code = $4, finished_at = $5
         WHERE id = $1 AND outcome = 'open'",
        id,
        details,
        outcome.as_str(),
        error,
        now
    )?;
    Ok(())
}

/// A row of the trail.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Entry {
    /// Its number.
    pub id: i64,
    /// When it began.
    pub at: i64,
    /// The caller's kind.
    pub principal_kind: String,
    /// The caller's id.
    pub principal_id: String,
    /// The caller's name.
    pub principal_name: Option<String>,
    /// The user who impersonates the caller.
    pub impersonator: Option<String>,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub subject: Option<String>,
    /// What is known of it, as a JSON object.
    pub details: String,
    /// How it ended.
    pub outcome: String,
    /// The error's code.
    pub error_code: Option<String>,
    /// When it ended.
    pub finished_at: Option<i64>,
}

/// Which rows to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Only those with a lower number.
    pub before: Option<i64>,
    /// Only of this action.
    pub action: Option<Action>,
    /// Only of the caller with this id.
    pub principal: Option<&'a str>,
}

/// Returns up to `limit` rows, the latest first.
///
/// # Errors
/// When the database query fails.
pub async fn list(tx: &mut Tx, wanted: Wanted<'_>, limit: i64) -> Result<Vec<Entry>> {
    fetch_all!(
        tx,
        Entry,
        "SELECT id, at, principal_kind, principal_id, principal_name, impersonator, action, subject, details, outcome,
             error_code, finished_at
         FROM meta_audit
         WHERE id < $1 AND (CAST($2 AS TEXT) IS NULL OR action = $2) AND (CAST($3 AS TEXT) IS NULL OR principal_id = $3)
         ORDER BY id DESC LIMIT $4",
        wanted.before.unwrap_or(i64::MAX),
        wanted.action.map(Action::as_str),
        wanted.principal,
        limit
    )
}

/// Deletes up to `limit` rows, the oldest first: those that began before an instant, and those that are not among the
/// latest `most`. Returns the number of deleted rows.
///
/// # Errors
/// When the database query fails.
pub async fn forget(tx: &mut Tx, before: Option<Millis>, most: i64, limit: i64) -> Result<u64> {
    execute!(
        tx,
        "DELETE FROM meta_audit WHERE id IN (
             SELECT oldest.id FROM (SELECT id, at FROM meta_audit ORDER BY id LIMIT $3) AS oldest
             WHERE oldest.at < $1 OR oldest.id <= (SELECT MAX(id) FROM meta_audit) - $2)",
        before.unwrap_or(i64::MIN),
        most,
        limit
    )
}
