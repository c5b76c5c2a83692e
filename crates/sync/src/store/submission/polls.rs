//! Which submissions are to be polled, and what a poll without a verdict leaves behind.
//!
//! The pause before the next poll is stored, so that a restart keeps it.

use super::{
    HANDLE_SEPARATOR, Result, Submission, SubmissionRow, Tx, execute, fetch_all, fetch_one, list, split_handles,
};
use crate::clock::Millis;

/// No pause is as long, in milliseconds: an instant further ahead is from a clock that was set back since.
const LONGER_THAN_ANY_PAUSE: Millis = 10 * 60 * 1_000;

/// So often may a notification bring a submission's poll forward: each of several handles is told of, and Meta tells twice
/// what was not taken. A notification that is repeated causes no more questions than this.
pub const MOST_NOTICES: i64 = 5;

/// Which submissions are due.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// The present instant.
    pub now: Millis,
    /// Those polled after this instant are not.
    pub polled_before: Millis,
    /// Those whose pause ends after this instant are not.
    pub pauses_over: Millis,
}

/// Returns the open submissions that are due, those never polled first and then those polled longest ago.
///
/// # Errors
/// When the database query fails.
pub async fn due(tx: &mut Tx, due: Due, limit: i64) -> Result<Vec<Submission>> {
    let rows: Vec<SubmissionRow> = fetch_all!(
        tx,
        SubmissionRow,
        "SELECT id, catalog_id, handle, rows, submitted_at, poll_faults, polls, notices, state, mapper_digest
         FROM meta_batch_handles @sqlite{INDEXED BY meta_batch_handles_open}
         WHERE state = 'pending' AND (last_polled_at IS NULL OR last_polled_at <= $1 OR last_polled_at > $3)
           AND (next_poll_at IS NULL OR next_poll_at <= $2 OR next_poll_at > $4)
         ORDER BY last_polled_at ASC NULLS FIRST, submitted_at ASC LIMIT $5",
        due.polled_before,
        due.pauses_over,
        due.now,
        due.now.saturating_add(LONGER_THAN_ANY_PAUSE),
        limit
    )?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Returns when the next pause of an open submission ends. `None` when none is open.
///
/// # Errors
/// When the database query fails.
pub async fn next_poll(tx: &mut Tx) -> Result<Option<Millis>> {
    let (next,): (Option<i64>,) = fetch_one!(
        tx,
        (Option<i64>,),
        "SELECT MIN(COALESCE(next_poll_at, 0)) FROM meta_batch_handles @sqlite{INDEXED BY meta_batch_handles_open}
         WHERE state = 'pending'"
    )?;
    Ok(next)
}

/// A question about a submission that is still open afterwards.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// When the question was asked.
    pub asked_at: Millis,
    /// Whether the answer did not know the handle.
    pub unknown_handle: bool,
    /// The end of the pause before the next question.
    pub next_at: Millis,
    /// The notifications that were known when the question was asked ([`Submission::notices`]). One that came since may tell
    /// of what the answer did not have yet, so it is asked again at once.
    pub notices: i64,
}

/// Records an answer that is not final.
///
/// # Errors
/// When the database query fails.
pub async fn polled(tx: &mut Tx, id: &str, answered: Answered) -> Result<()> {
    execute!(
        tx,
        "UPDATE meta_batch_handles SET polls = polls + 1,
             last_polled_at = CASE WHEN notices > $5 THEN NULL ELSE CAST($2 AS BIGINT) END,
             next_poll_at = CASE WHEN notices > $5 THEN NULL ELSE CAST($4 AS BIGINT) END,
             poll_faults = CASE WHEN $3 THEN poll_faults + 1 ELSE 0 END
         WHERE id = $1 AND state = 'pending'",
        id,
        answered.asked_at,
        answered.unknown_handle,
        answered.next_at,
        answered.notices
    )?;
    Ok(())
}

/// Records a poll without an answer. Nothing new is known about the handle.
///
/// # Errors
/// When the database query fails.
pub async fn asked_in_vain(tx: &mut Tx, id: &str, asked: Answered) -> Result<()> {
    execute!(
        tx,
        "UPDATE meta_batch_handles SET polls = polls + 1,
             last_polled_at = CASE WHEN notices > $4 THEN NULL ELSE CAST($2 AS BIGINT) END,
             next_poll_at = CASE WHEN notices > $4 THEN NULL ELSE CAST($3 AS BIGINT) END
         WHERE id = $1 AND state = 'pending'",
        id,
        asked.asked_at,
        asked.next_at,
        asked.notices
    )?;
    Ok(())
}

/// Ends the pauses of all open submissions. Returns their number.
///
/// # Errors
/// When the database query fails.
pub async fn ask_again(tx: &mut Tx) -> Result<u64> {
    execute!(tx, "UPDATE meta_batch_handles SET next_poll_at = NULL WHERE state = 'pending'")
}

/// Makes the open submissions with these handles the next to be polled, whatever their pauses; each at most [`MOST_NOTICES`]
/// times. Returns their number. It says nothing about their verdicts, so it needs no fence.
///
/// # Errors
/// When the database query fails.
pub async fn bring_forward(tx: &mut Tx, handles: &[&str]) -> Result<u64> {
    // Several handles of one submission share a column, so those are compared one by one.
    let open: Vec<(String, String)> = fetch_all!(
        tx,
        (String, String),
        "SELECT id, handle FROM meta_batch_handles
         WHERE state = 'pending' AND handle IN (SELECT id FROM @ids($1) AS named)
         UNION ALL SELECT id, handle FROM meta_batch_handles WHERE state = 'pending' AND handle LIKE $2",
        list::ids(handles),
        format!("%{HANDLE_SEPARATOR}%")
    )?;
    let named: Vec<&str> = open
        .iter()
        .filter(|(_, handle)| split_handles(handle).any(|part| handles.contains(&part)))
        .map(|(id, _)| id.as_str())
        .collect();
    if named.is_empty() {
        return Ok(0);
    }
    execute!(
        tx,
        "UPDATE meta_batch_handles SET last_polled_at = NULL, next_poll_at = NULL, notices = notices + 1
         WHERE id IN (SELECT id FROM @ids($1) AS named) AND state = 'pending' AND notices < $2",
        list::ids(&named),
        MOST_NOTICES
    )
}
