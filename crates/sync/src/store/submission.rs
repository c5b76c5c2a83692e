//! Submissions: `items_batch` calls, from the moment before the call until the verdict.
//!
//! A row is written as `sending` and committed before the call; only then may the call be made. A row that is still
//! `sending` when the pipeline looks again is a call with an unknown outcome. `late` marks a call that was resolved as
//! such and may have reached Meta after that; see [`note_late`].

mod listing;
mod polls;

use std::collections::HashMap;

pub use listing::{Listing, Recent, Show, Told, find, list, recent};
pub use polls::{Answered, Due, MOST_NOTICES, ask_again, asked_in_vain, bring_forward, due, next_poll, polled};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;

use super::{Result, Tx, execute, fetch_all, fetch_one, list};
use crate::clock::Millis;
use crate::domain::guard;
use crate::domain::state::{Op, SyncStatus};

/// One record of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row(
    /// Variant id, which is also the retailer id.
    pub String,
    /// The operation.
    pub Op,
    /// Hash of the payload. `None` for a delete.
    pub Option<String>,
    /// Id of the set of sent fields. `None` for a delete.
    pub Option<i64>,
);

impl Row {
    /// Whether the record is a delete.
    #[must_use]
    pub fn is_delete(&self) -> bool {
        self.1.is_delete()
    }
}

/// Separates the handles of one submission in the `handle` column. The Graph client refuses a handle with such a
/// character.
const HANDLE_SEPARATOR: char = '\n';

/// Returns the handles of a call in their stored form, or `None` when there are none.
///
/// Meta documents at most one. Rows wait for all of them, since Meta does not state which row belongs to which handle.
#[must_use]
pub fn join_handles(handles: &[String]) -> Option<String> {
    (!handles.is_empty()).then(|| handles.join(&HANDLE_SEPARATOR.to_string()))
}

/// Returns the handles of a `handle` column.
pub fn split_handles(handle: &str) -> impl Iterator<Item = &str> {
    handle.split(HANDLE_SEPARATOR)
}

/// A call that is about to be made.
#[derive(Clone, Debug)]
pub struct NewSubmission<'a> {
    /// Its id.
    pub id: &'a str,
    /// The catalog that is called.
    pub catalog_id: &'a str,
    /// The lease epoch of the call.
    pub epoch: i64,
    /// Its records.
    pub rows: &'a [Row],
    /// The mapper that made the payloads.
    pub mapper_digest: &'a str,
    /// The number of implicit deletes.
    pub implicit_deletes: usize,
}

/// Writes the `sending` row.
///
/// # Errors
/// When the database query fails.
pub async fn begin(tx: &mut Tx, new: &NewSubmission<'_>, now: Millis) -> Result<()> {
    let deletes: Vec<&str> = new.rows.iter().filter(|row| row.is_delete()).map(|row| row.0.as_str()).collect();
    execute!(
        tx,
        "INSERT INTO meta_batch_handles (id, catalog_id, epoch, state, rows, row_count, delete_retailer_ids,
             mapper_digest, submitted_at, implicit_deletes)
         VALUES ($1, $2, $3, 'sending', $4, $5, $6, $7, $8, $9)",
        new.id,
        new.catalog_id,
        new.epoch,
        Json(new.rows),
        i64::try_from(new.rows.len()).unwrap_or(i64::MAX),
        Json(&deletes),
        new.mapper_digest,
        now,
        i64::try_from(new.implicit_deletes).unwrap_or(i64::MAX)
    )?;
    Ok(())
}

/// Records that Meta accepted the call: the verdict on `handle` is open.
///
/// # Errors
/// When the database query fails.
pub async fn accepted(tx: &mut Tx, id: &str, handle: &str, now: Millis) -> Result<()> {
    execute!(
        tx,
        "UPDATE meta_batch_handles SET state = 'pending', handle = $2, submitted_at = $3 WHERE id = $1",
        id,
        handle,
        now
    )?;
    Ok(())
}

/// Returns whether one of these handles, in their stored form, is one that a submission already has. Meta gave it twice
/// then, and it does not tell which batch a verdict on it would concern.
///
/// # Errors
/// When the database query fails.
pub async fn is_repeated(tx: &mut Tx, handle: &str) -> Result<bool> {
    let given: Vec<&str> = split_handles(handle).collect();
    let exactly: Vec<&str> = given.iter().copied().chain([handle]).collect();
    // Several handles of one submission share a column, so those of open submissions are compared one by one.
    let held: Vec<(String,)> = fetch_all!(
        tx,
        (String,),
        "SELECT handle FROM meta_batch_handles WHERE handle IN (SELECT id FROM @ids($1) AS given)
         UNION SELECT handle FROM meta_batch_handles WHERE state = 'pending' AND handle IS NOT NULL",
        list::ids(&exactly)
    )?;
    Ok(held.iter().flat_map(|(held,)| split_handles(held)).any(|held| given.contains(&held)))
}

/// Notes the rows that Meta refused in its answer to the call: the verdict is not about them.
///
/// # Errors
/// When the database query fails.
pub async fn note_refused(tx: &mut Tx, id: &str, refused: usize) -> Result<()> {
    let refused = i64::try_from(refused).unwrap_or(i64::MAX);
    execute!(tx, "UPDATE meta_batch_handles SET refused = $2 WHERE id = $1", id, refused)?;
    Ok(())
}

/// What a verdict brought about: rows that it confirmed, and rows that Meta refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Confirmed rows.
    pub confirmed: usize,
    /// Refused rows.
    pub refused: usize,
}

/// Closes the submission, with or without success. `errors` is what Meta reported about its rows.
///
/// # Errors
/// When the database query fails.
pub async fn close(
    tx: &mut Tx,
    id: &str,
    failed: Option<&str>,
    errors: Option<&serde_json::Value>,
    now: Millis,
) -> Result<()> {
    close_with(tx, id, failed, errors, None, now).await
}

/// Closes the submission with its verdict; see [`close`]. Without a tally it was no verdict of Meta's.
///
/// # Errors
/// When the database query fails.
pub async fn close_with(
    tx: &mut Tx,
    id: &str,
    failed: Option<&str>,
    errors: Option<&serde_json::Value>,
    tally: Option<Tally>,
    now: Millis,
) -> Result<()> {
    let whole = |rows: usize| i64::try_from(rows).unwrap_or(i64::MAX);
    execute!(
        tx,
        "UPDATE meta_batch_handles SET state = $2, reason = $3, errors = $4, completed_at = $5, last_polled_at = COALESCE(last_polled_at, $5),
             confirmed = $6, refused = COALESCE(refused, 0) + $7
         WHERE id = $1",
        id,
        if failed.is_some() { "failed" } else { "completed" },
        failed,
        errors.map(Json),
        now,
        tally.map(|tally| whole(tally.confirmed)),
        tally.map_or(0, |tally| whole(tally.refused))
    )?;
    Ok(())
}

/// A submission as the pipeline loads it.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Its id.
    pub id: String,
    /// The catalog that was called.
    pub catalog_id: String,
    /// Meta's handle. `None` while `sending`.
    pub handle: Option<String>,
    /// Its records.
    pub rows: Vec<Row>,
    /// When it was accepted.
    pub submitted_at: Millis,
    /// The number of consecutive answers that did not know the handle.
    pub poll_faults: i64,
    /// The number of answers that were not final.
    pub polls: i64,
    /// The number of notifications that brought its poll forward.
    pub notices: i64,
    /// Whether it may have reached Meta after it was resolved.
    pub late: bool,
    /// The mapper that mapped its rows, as in state rows.
    pub mapper_digest: Option<String>,
}

#[derive(sqlx::FromRow)]
struct SubmissionRow {
    id: String,
    catalog_id: String,
    handle: Option<String>,
    rows: Json<Vec<Row>>,
    submitted_at: i64,
    poll_faults: i64,
    polls: i64,
    notices: i64,
    state: String,
    mapper_digest: Option<String>,
}

impl From<SubmissionRow> for Submission {
    fn from(row: SubmissionRow) -> Self {
        Self {
            id: row.id,
            catalog_id: row.catalog_id,
            handle: row.handle,
            rows: row.rows.0,
            submitted_at: row.submitted_at,
            poll_faults: row.poll_faults,
            polls: row.polls,
            notices: row.notices,
            late: row.state == "late",
            mapper_digest: row.mapper_digest,
        }
    }
}

/// Records that a call may have reached Meta after another holder resolved it: a process that was suspended between its
/// last lease check and the socket resumes and sends. Meta has no fence, so the call may overwrite what the next holder
/// sent meanwhile. This is the only write of a deposed holder, and it affects only its own submission; the holder of
/// the lease resolves the call once more. Returns whether this was necessary.
///
/// # Errors
/// When the database query fails.
pub async fn note_late(tx: &mut Tx, id: &str) -> Result<bool> {
    // A row that is still `sending` will be resolved anyway, and after this moment.
    let noted = execute!(tx, "UPDATE meta_batch_handles SET state = 'late' WHERE id = $1 AND state = 'failed'", id)?;
    Ok(noted > 0)
}

/// Records that a late call is resolved except for these rows, whose variants wait for the verdict on another
/// submission.
///
/// # Errors
/// When the database query fails.
pub async fn keep_late(tx: &mut Tx, id: &str, rows: &[&Row]) -> Result<()> {
    execute!(tx, "UPDATE meta_batch_handles SET rows = $2 WHERE id = $1 AND state = 'late'", id, Json(rows))?;
    Ok(())
}

/// Returns the calls whose outcome is unknown.
///
/// # Errors
/// When the database query fails.
pub async fn unresolved(tx: &mut Tx) -> Result<Vec<Submission>> {
    let rows: Vec<SubmissionRow> = fetch_all!(
        tx,
        SubmissionRow,
        "SELECT id, catalog_id, handle, rows, submitted_at, poll_faults, polls, notices, state, mapper_digest FROM meta_batch_handles
         WHERE state IN ('sending', 'late') ORDER BY submitted_at"
    )?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Returns the number of submissions that wait for a verdict, and the number of calls with an unknown outcome.
///
/// # Errors
/// When the database query fails.
pub async fn open_counts(tx: &mut Tx) -> Result<(i64, i64)> {
    fetch_one!(
        tx,
        (i64, i64),
        "SELECT COALESCE(SUM(CASE WHEN state = 'pending' THEN 1 ELSE 0 END), 0),
                COALESCE(SUM(CASE WHEN state = 'pending' THEN 0 ELSE 1 END), 0)
         FROM meta_batch_handles WHERE state IN ('pending', 'sending', 'late')"
    )
}

/// Returns how many more implicit deletes the mass-delete guard ([`guard`]) allows at `now`. Calls that Meta did not
/// execute do not count.
///
/// # Errors
/// When the database query fails.
pub async fn implicit_allowance(tx: &mut Tx, catalog: &str, now: Millis) -> Result<usize> {
    let at_meta = super::sync_state::count_at_meta(tx).await?;
    let (done,): (i64,) = fetch_one!(
        tx,
        (i64,),
        "SELECT CAST(COALESCE(SUM(implicit_deletes), 0) AS BIGINT) FROM meta_batch_handles
         WHERE catalog_id = $1 AND submitted_at > $2 AND implicit_deletes > 0 AND handle IS NOT NULL
           AND (reason IS NULL OR reason NOT IN ('canceled', 'error'))",
        catalog,
        now - guard::SPAN_MS
    )?;
    Ok(guard::allowance(at_meta, done))
}

/// The verdict on one record.
#[derive(Clone, Debug)]
pub struct RowVerdict<'a> {
    /// The variant.
    pub variant_id: &'a str,
    /// `synced`, `deleted` or `failed`.
    pub status: SyncStatus,
    /// Why it failed.
    pub error: Option<&'a str>,
    /// The fields that Meta certainly holds after a clean push.
    pub fields: Option<i64>,
    /// Why it failed ([`crate::domain::cause`]).
    pub cause: Option<String>,
}

/// Applies a verdict to the rows that still wait for `handle`. Returns the changed ones with their attempts so far. A
/// row that waits for another handle by now is left alone.
///
/// # Errors
/// When the database query fails.
pub async fn apply_verdict(
    tx: &mut Tx,
    handle: &str,
    verdicts: &[RowVerdict<'_>],
    now: Millis,
) -> Result<HashMap<String, i64>> {
    let list: Vec<_> = verdicts
        .iter()
        .map(|row| (row.variant_id, row.status.as_str(), row.error, row.fields, row.cause.as_deref()))
        .collect();
    let changed: Vec<(String, i64)> = fetch_all!(
        tx,
        (String, i64),
        "UPDATE meta_sync_state SET
             status = r.status,
             last_error = r.error,
             attempts = CASE r.status WHEN 'failed' THEN attempts + 1 ELSE 0 END,
             -- A refused payload is no claim: if its hash stayed, a resync would be a noop.
             last_pushed_hash = CASE r.status WHEN 'synced' THEN last_pushed_hash END,
             at_meta = (r.status <> 'deleted'),
             -- Only a clean push shrinks the set of fields; only a confirmed delete empties it.
             fields_at_meta = CASE r.status WHEN 'synced' THEN r.fields WHEN 'failed' THEN fields_at_meta END,
             reeval_at = CASE r.status WHEN 'deleted' THEN NULL ELSE reeval_at END,
             -- Where Meta gives no message, a required field that is missing explains it.
             cause = CASE
                 WHEN r.cause IS NULL OR r.cause <> 'meta:no_message' THEN r.cause
                 WHEN ',' || meta_sync_state.warnings || ',' LIKE '%,missing!_brand,%' ESCAPE '!' THEN 'meta:missing_brand'
                 WHEN ',' || meta_sync_state.warnings || ',' LIKE '%,missing!_image,%' ESCAPE '!' THEN 'meta:missing_image'
                 WHEN ',' || meta_sync_state.warnings || ',' LIKE '%,missing!_title,%' ESCAPE '!' THEN 'meta:missing_title'
                 WHEN ',' || meta_sync_state.warnings || ',' LIKE '%,missing!_description,%' ESCAPE '!' THEN 'meta:missing_description'
                 ELSE r.cause END,
             warnings = CASE r.status WHEN 'deleted' THEN NULL ELSE meta_sync_state.warnings END,
             traits = CASE r.status WHEN 'deleted' THEN NULL ELSE meta_sync_state.traits END,
             lint = CASE r.status WHEN 'deleted' THEN NULL ELSE meta_sync_state.lint END,
             issue_at = CASE r.status WHEN 'synced' THEN issue_at ELSE $3 END,
             version = version + 1,
             updated_at = $3
         FROM @rows($1: id text, status text, error text, fields bigint, cause text) AS r
         WHERE variant_id = r.id AND @sqlite{+}last_handle = $2 AND @sqlite{+}meta_sync_state.status = 'submitted'
         RETURNING variant_id, attempts",
        list::rows(&list),
        handle,
        now
    )?;
    Ok(changed.into_iter().collect())
}

/// Deletes up to `limit` submissions whose verdict came before an instant, the oldest first. Returns the number of
/// deleted submissions. A submission that a row still waits for is kept, whatever its state is.
///
/// Recently failed submissions must not be deleted, because [`note_late`] must find them.
///
/// # Errors
/// When the database query fails.
pub async fn forget(tx: &mut Tx, before: Millis, limit: i64) -> Result<u64> {
    // A row that is being marked as late at this moment is skipped.
    execute!(
        tx,
        "DELETE FROM meta_batch_handles WHERE id IN (
             SELECT h.id FROM meta_batch_handles AS h @sqlite{INDEXED BY meta_batch_handles_closed}
             WHERE h.completed_at < $1 AND h.state IN ('completed', 'failed') AND NOT EXISTS (
                 -- Its rows were pushed when it was accepted: the index is that of the time.
                 SELECT 1 FROM meta_sync_state s
                 WHERE s.last_pushed_at = h.submitted_at AND s.last_handle = h.handle AND s.status = 'submitted')
             ORDER BY h.completed_at LIMIT $2 @pg{FOR UPDATE OF h SKIP LOCKED})",
        before,
        limit
    )
}
