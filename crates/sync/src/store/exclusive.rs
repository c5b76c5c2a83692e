//! Exclusive rights: the row that records which replica does a piece of work. [`crate::runtime::exclusive`] takes,
//! renews and ends them.
//!
//! It is not a lock: no transaction stays open while Meta is called. A process that loses the right is not stopped. So
//! the result of the work is committed on a condition of its own (the credential's version); the right only avoids a
//! duplicate call.

use super::{Result, Tx, execute, fetch_optional};
use crate::clock::Millis;

/// Work that one replica at a time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Selecting the catalog, from the system user to the settings.
    Selection,
    /// Exchanging the access token.
    TokenRenewal,
}

impl Work {
    /// Returns its word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Selection => "selection",
            Self::TokenRenewal => "token_renewal",
        }
    }
}

/// Takes the right for `ttl_ms` milliseconds. Returns false while another holder's right is valid. On PostgreSQL the
/// server's clock decides, since the replicas' clocks differ; on SQLite `now` counts.
///
/// # Errors
/// When the database query fails.
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

/// Renews the right for `ttl_ms` milliseconds from now. Returns false when this holder no longer has it.
///
/// # Errors
/// When the database query fails.
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

/// Ends the right if this holder still has it.
///
/// # Errors
/// When the database query fails.
pub async fn end(tx: &mut Tx, work: Work, holder: &str) -> Result<()> {
    execute!(tx, "DELETE FROM turn WHERE work = $1 AND holder = $2", work.as_str(), holder)?;
    Ok(())
}
