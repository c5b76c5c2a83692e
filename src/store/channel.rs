//! The state of the channel to Meta: what stops it, how far the breaker is open, how large the next call may be.

use super::{Result, Tx, execute, fetch_one};
use crate::clock::Millis;
use crate::domain::outcome::{Problem, Shape};

/// The one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// What an operator has to mend before calls are made again.
    pub problem: Option<Problem>,
    /// The credential version that the problem was met with: a newer one clears it.
    pub problem_credential: Option<i64>,
    /// Faults of the channel in a row.
    pub failures: u32,
    /// No call before this time.
    pub open_until: Option<Millis>,
    /// How the next call is shaped.
    pub shape: Shape,
}

#[derive(sqlx::FromRow)]
struct ChannelRow {
    problem_code: Option<String>,
    problem_message: Option<String>,
    problem_credential: Option<i64>,
    failures: i64,
    open_until: Option<i64>,
    row_cap: Option<i64>,
    refusals: i64,
}

/// Loads it.
///
/// # Errors
/// When the database does not answer.
pub async fn load(tx: &mut Tx) -> Result<Channel> {
    let row: ChannelRow = fetch_one!(
        tx,
        ChannelRow,
        "SELECT problem_code, problem_message, problem_credential, failures, open_until, row_cap, refusals
         FROM channel WHERE id = 1"
    )?;
    Ok(Channel {
        problem: row.problem_code.map(|code| Problem { code, message: row.problem_message.unwrap_or_default() }),
        problem_credential: row.problem_credential,
        failures: u32::try_from(row.failures).unwrap_or(u32::MAX),
        open_until: row.open_until,
        shape: Shape {
            row_cap: row.row_cap.and_then(|cap| usize::try_from(cap).ok()),
            refusals: u32::try_from(row.refusals).unwrap_or(0),
        },
    })
}

/// Stores it.
///
/// # Errors
/// When the database does not answer.
pub async fn save(tx: &mut Tx, channel: &Channel, now: Millis) -> Result<()> {
    execute!(
        tx,
        "UPDATE channel SET problem_code = $1, problem_message = $2, problem_credential = $3, failures = $4,
             open_until = $5, row_cap = $6, refusals = $7,
             problem_since = CASE WHEN $1 IS NULL THEN NULL WHEN problem_code IS NOT DISTINCT FROM $1 THEN problem_since
                                  ELSE CAST($8 AS BIGINT) END
         WHERE id = 1",
        channel.problem.as_ref().map(|problem| problem.code.clone()),
        channel.problem.as_ref().map(|problem| problem.message.clone()),
        channel.problem_credential,
        i64::from(channel.failures),
        channel.open_until,
        channel.shape.row_cap.map(|cap| i64::try_from(cap).unwrap_or(i64::MAX)),
        i64::from(channel.shape.refusals),
        now
    )?;
    Ok(())
}
