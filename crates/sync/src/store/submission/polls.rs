//! Which submissions are to be polled, and what a poll without a verdict leaves behind.
//!
//! The pause before the next poll is stored, so that a restart keeps it.

use super::{Result, Submission, SubmissionRow, Tx, execute, fetch_all, fetch_one};
use crate::clock::Millis;

/// Returns open submissions that were not polled since `before` and whose pause is over at `now`, those never polled
/// first and then those polled longest ago.
///
/// # Errors
/// When the database query fails.
pub async fn due(tx: &mut Tx, now: Millis, before: Millis, limit: i64) -> Result<Vec<Submission>> {
    let rows: Vec<SubmissionRow> = fetch_all!(
        tx,
        SubmissionRow,
        "SELECT id, catalog_id, handle, rows, submitted_at, poll_faults, polls, state, mapper_digest
         FROM meta_batch_handles @sqlite{INDEXED BY meta_batch_handles_open}
         WHERE state = 'pending' AND (last_polled_at IS NULL OR last_polled_at <= $2)
           AND (next_poll_at IS NULL OR next_poll_at <= $1)
         ORDER BY last_polled_at ASC NULLS FIRST, submitted_at ASC LIMIT $3",
        now,
        before,
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

/// An answer about a submission that is still open.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// When the question was asked.
    pub asked_at: Millis,
    /// Whether the answer did not know the handle.
    pub unknown_handle: bool,
    /// The end of the pause before the next question.
    pub next_at: Millis,
}

/// Records an answer that is not final.
///
/// # Errors
/// When the database query fails.
pub async fn polled(tx: &mut Tx, id: &str, answered: Answered) -> Result<()> {
    execute!(
        tx,
        "UPDATE meta_batch_handles SET last_polled_at = $2, next_poll_at = $4, polls = polls + 1,
             poll_faults = CASE WHEN $3 THEN poll_faults + 1 ELSE 0 END
         WHERE id = $1 AND state = 'pending'",
        id,
        answered.asked_at,
        answered.unknown_handle,
        answered.next_at
    )?;
    Ok(())
}

/// Records a poll without an answer at that time. Nothing new is known about the handle.
///
/// # Errors
/// When the database query fails.
pub async fn asked_in_vain(tx: &mut Tx, id: &str, asked_at: Millis) -> Result<()> {
    execute!(
        tx,
        "UPDATE meta_batch_handles SET last_polled_at = $2 WHERE id = $1 AND state = 'pending'",
        id,
        asked_at
    )?;
    Ok(())
}
