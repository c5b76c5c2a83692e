//! State nonces of OAuth consents: stored hashed, valid for ten minutes, used once.

use sha2::{Digest, Sha256};

use super::{Result, Tx, execute, fetch_optional};
use crate::clock::Millis;

/// The time limit of a consent.
pub const LIFETIME_MS: i64 = 10 * 60 * 1000;

/// Why a nonce is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Never issued, or deleted.
    Unknown,
    /// Used before.
    Replayed,
    /// Older than ten minutes.
    Expired,
}

/// Stores a nonce and deletes those that expired more than a day ago.
///
/// # Errors
/// When the database query fails.
pub async fn create(tx: &mut Tx, nonce: &str, now: Millis) -> Result<()> {
    execute!(tx, "DELETE FROM oauth_state WHERE expires_at < $1", now - 24 * 60 * 60 * 1000)?;
    execute!(
        tx,
        "INSERT INTO oauth_state (nonce_hash, created_at, expires_at) VALUES ($1, $2, $3)",
        hash(nonce),
        now,
        now + LIFETIME_MS
    )?;
    Ok(())
}

/// Consumes a nonce. Of any number of callers with the same nonce, exactly one gets `Ok`.
///
/// # Errors
/// When the database query fails.
pub async fn consume(tx: &mut Tx, nonce: &str, now: Millis) -> Result<std::result::Result<(), Refused>> {
    let used = execute!(
        tx,
        "UPDATE oauth_state SET used_at = $2 WHERE nonce_hash = $1 AND used_at IS NULL AND expires_at > $2",
        hash(nonce),
        now
    )?;
    if used == 1 {
        return Ok(Ok(()));
    }
    let row: Option<(Option<i64>,)> =
        fetch_optional!(tx, (Option<i64>,), "SELECT used_at FROM oauth_state WHERE nonce_hash = $1", hash(nonce))?;
    Ok(Err(match row {
        None => Refused::Unknown,
        Some((Some(_),)) => Refused::Replayed,
        Some((None,)) => Refused::Expired,
    }))
}

fn hash(nonce: &str) -> String {
    hex::encode(Sha256::digest(nonce.as_bytes()))
}
