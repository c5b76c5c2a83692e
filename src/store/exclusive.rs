//! Turns: the row that says which replica does a piece of work. [`crate::runtime::turn`] takes, renews and ends them.
//!
//! Not a lock: nothing is open while Meta is asked. Who loses a turn is not stopped by it either, so what comes of the
//! work is committed on a condition of its own (the credential's version); a turn only saves the second asking.

use super::{Result, Tx, execute, fetch_optional};
use crate::clock::Millis;

/// What is done in turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Choosing the catalog, from the system user to the settings.
    Selection,
    /// Exchanging the access token for a new one.
    TokenRenewal,
}

impl Work {
    /// The word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Selection => "selection",
            Self::TokenRenewal => "token_renewal",
        }
    }
}

/// Takes the turn for `ttl_ms` milliseconds; false while another holder's lasts. On PostgreSQL the server's clock
/// decides, since the replicas' clocks differ; `now` counts on SQLite.
///
/// # Errors
/// When the database does not answer.
pub async fn take(tx: &mut Tx, work: Work, holder: &str, ttl_ms: i64, now: Millis) -> Result<bool> {
    let taken: Option<(String,)> = fetch_optional!(
        tx,
        (String,),
        "INSERT INTO turn (work, holder, expires_at)
         VALUES ($1, $2, @pg{clock_timestamp() + $3 * interval '1 millisecond'}@sqlite{$3 + $4})
         ON CONFLICT (work) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
         WHERE turn.expires_at < @pg{clock_timestamp()}@sqlite{$4}
         RETURNING work",
        work.as_str(),
        holder,
        ttl_ms,
        now
    )?;
    Ok(taken.is_some())
}

/// Goes on with the turn for `ttl_ms` milliseconds from now; false when it is another's, or nobody's.
///
/// # Errors
/// When the database does not answer.
pub async fn renew(tx: &mut Tx, work: Work, holder: &str, ttl_ms: i64, now: Millis) -> Result<bool> {
    let renewed = execute!(
        tx,
        "UPDATE turn
         SET expires_at = @pg{clock_timestamp() + $3 * interval '1 millisecond'}@sqlite{$3 + $4}
         WHERE work = $1 AND holder = $2",
        work.as_str(),
        holder,
        ttl_ms,
        now
    )?;
    Ok(renewed > 0)
}

/// Ends the turn, if it still is this holder's.
///
/// # Errors
/// When the database does not answer.
pub async fn end(tx: &mut Tx, work: Work, holder: &str) -> Result<()> {
    execute!(tx, "DELETE FROM turn WHERE work = $1 AND holder = $2", work.as_str(), holder)?;
    Ok(())
}
