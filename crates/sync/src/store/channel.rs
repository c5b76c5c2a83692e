//! The state of the channel to Meta: its problem, the breaker and the size of the next call.

use super::{Result, Tx, execute, fetch_one, json};
use crate::clock::Millis;
use crate::domain::channel::Channel;
use crate::domain::outcome::{Problem, Shape};

#[derive(sqlx::FromRow)]
struct ChannelRow {
    problem_code: Option<String>,
    problem_message: Option<String>,
    problem_credential: Option<i64>,
    breaker: String,
    row_cap: Option<i64>,
    refusals: i64,
}

/// Loads the state of the channel.
///
/// # Errors
/// When the database query fails.
pub async fn load(tx: &mut Tx) -> Result<Channel> {
    let row: ChannelRow = fetch_one!(
        tx,
        ChannelRow,
        "SELECT problem_code, problem_message, problem_credential, breaker, row_cap, refusals
         FROM channel WHERE id = 1"
    )?;
    Ok(Channel {
        problem: row.problem_code.map(|code| Problem { code, message: row.problem_message.unwrap_or_default() }),
        problem_credential: row.problem_credential,
        // An unreadable breaker starts closed: the worst consequence is one early call.
        breaker: serde_json::from_str(&row.breaker).unwrap_or_default(),
        shape: Shape {
            row_cap: row.row_cap.and_then(|cap| usize::try_from(cap).ok()),
            refusals: u32::try_from(row.refusals).unwrap_or(0),
        },
    })
}

/// Saves the state of the channel.
///
/// # Errors
/// When the database query fails.
pub async fn save(tx: &mut Tx, channel: &Channel, now: Millis) -> Result<()> {
    execute!(
        tx,
        "UPDATE channel SET problem_code = $1, problem_message = $2, problem_credential = $3, breaker = $4,
             row_cap = $5, refusals = $6,
             problem_since = CASE WHEN $1 IS NULL THEN NULL WHEN problem_code IS NOT DISTINCT FROM $1 THEN problem_since
                                  ELSE CAST($7 AS BIGINT) END
         WHERE id = 1",
        channel.problem.as_ref().map(|problem| problem.code.clone()),
        channel.problem.as_ref().map(|problem| problem.message.clone()),
        channel.problem_credential,
        json(&channel.breaker)?,
        channel.shape.row_cap.map(|cap| i64::try_from(cap).unwrap_or(i64::MAX)),
        i64::from(channel.shape.refusals),
        now
    )?;
    Ok(())
}
