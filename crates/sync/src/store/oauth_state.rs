//! State nonces of OAuth consents: stored hashed, valid for ten minutes, used once, and bound to the caller that began
//! the login.

use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::seal::{Keyring, Place};
use super::{Result, Tx, execute, fetch_optional};
use crate::clock::Millis;

/// The time limit of a consent.
pub const LIFETIME_MS: i64 = 10 * 60 * 1000;
/// How long a completed login answers as the first time.
pub const REPEATED_MS: i64 = 5 * 60 * 1000;

/// The caller that began a login.
#[derive(Clone, Debug)]
pub enum Starter {
    /// A program.
    ApiToken {
        /// The id of its API token.
        id: String,
    },
    /// A signed-in user.
    Session {
        /// The user.
        user_id: String,
        /// The token of the user's session. It is stored sealed, until the nonce is used.
        token: SecretString,
    },
}

/// The caller that began a login which is completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Began {
    /// A program, by the id of its API token.
    ApiToken(String),
    /// A signed-in user, by the user's id.
    User(String),
}

/// A nonce that is good.
#[derive(Clone, Debug)]
pub enum Found {
    /// The login is under way. Holds the caller that began it.
    Begun(Starter),
    /// The login was completed lately.
    Completed(Began),
}

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

#[derive(Debug, sqlx::FromRow)]
struct Row {
    expires_at: Millis,
    used_at: Option<Millis>,
    completed_at: Option<Millis>,
    api_token_id: Option<String>,
    user_id: Option<String>,
    session_token: Option<String>,
}

/// Stores a nonce and deletes those that expired more than a day ago.
///
/// # Errors
/// When the database query fails, or the token of a session cannot be sealed.
pub async fn create(tx: &mut Tx, keyring: &Keyring, nonce: &str, starter: &Starter, now: Millis) -> Result<()> {
    let nonce_hash = hash(nonce);
    let (api_token_id, user_id, session_token) = match starter {
        Starter::ApiToken { id } => (Some(id), None, None),
        Starter::Session { user_id, token } => (None, Some(user_id), Some(keyring.seal(place(&nonce_hash), token)?)),
    };
    execute!(tx, "DELETE FROM oauth_state WHERE expires_at < $1", now - 24 * 60 * 60 * 1000)?;
    forget_expired(tx, now).await?;
    execute!(
        tx,
        "INSERT INTO oauth_state (nonce_hash, created_at, expires_at, api_token_id, user_id, session_token)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &nonce_hash,
        now,
        now + LIFETIME_MS,
        api_token_id,
        user_id,
        session_token
    )?;
    Ok(())
}

/// Removes the session tokens of logins that were not completed in time.
///
/// # Errors
/// When the database query fails.
pub async fn forget_expired(tx: &mut Tx, now: Millis) -> Result<()> {
    execute!(
        tx,
        "UPDATE oauth_state SET session_token = NULL WHERE expires_at <= $1 AND session_token IS NOT NULL",
        now
    )?;
    Ok(())
}

/// Returns the login with this nonce. The nonce stays valid.
///
/// # Errors
/// When the database query fails.
pub async fn find(
    tx: &mut Tx,
    keyring: &Keyring,
    nonce: &str,
    now: Millis,
) -> Result<std::result::Result<Found, Refused>> {
    let nonce_hash = hash(nonce);
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT expires_at, used_at, completed_at, api_token_id, user_id, session_token FROM oauth_state
         WHERE nonce_hash = $1",
        &nonce_hash
    )?;
    let Some(row) = row else { return Ok(Err(Refused::Unknown)) };
    if row.completed_at.is_some_and(|at| (0..REPEATED_MS).contains(&now.saturating_sub(at))) {
        let began = row.api_token_id.map(Began::ApiToken).or(row.user_id.map(Began::User));
        return Ok(began.map(Found::Completed).ok_or(Refused::Unknown));
    }
    if row.used_at.is_some() {
        return Ok(Err(Refused::Replayed));
    }
    if row.expires_at <= now {
        return Ok(Err(Refused::Expired));
    }
    Ok(match (row.api_token_id, row.user_id, row.session_token) {
        (Some(id), ..) => Ok(Found::Begun(Starter::ApiToken { id })),
        // Sealed by a key that was removed since: such a short-lived value is not re-sealed; the login is begun again.
        (None, Some(user_id), Some(sealed)) => match keyring.open(place(&nonce_hash), &sealed) {
            Ok(token) => Ok(Found::Begun(Starter::Session { user_id, token })),
            Err(_) => Err(Refused::Unknown),
        },
        // Begun by a version that did not store the caller.
        (None, ..) => Err(Refused::Unknown),
    })
}

/// Records that the login with this nonce is completed.
///
/// # Errors
/// When the database query fails.
pub async fn completed(tx: &mut Tx, nonce: &str, now: Millis) -> Result<()> {
    execute!(tx, "UPDATE oauth_state SET completed_at = $2 WHERE nonce_hash = $1", hash(nonce), now)?;
    Ok(())
}

/// Consumes a nonce. Of any number of callers with the same nonce, exactly one gets `Ok`.
///
/// # Errors
/// When the database query fails.
pub async fn consume(tx: &mut Tx, nonce: &str, now: Millis) -> Result<std::result::Result<(), Refused>> {
    let used = execute!(
        tx,
        "UPDATE oauth_state SET used_at = $2, session_token = NULL
          WHERE nonce_hash = $1 AND used_at IS NULL AND expires_at > $2",
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

fn place(nonce_hash: &str) -> Place<'_> {
    Place { table: "oauth_state", row: nonce_hash, column: "session_token" }
}

fn hash(nonce: &str) -> String {
    hex::encode(Sha256::digest(nonce.as_bytes()))
}
