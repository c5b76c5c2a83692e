//! API tokens: bearer secrets for programs, stored as hashes.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::{Result, Tx, execute, fetch_all, fetch_optional};
use crate::clock::Millis;

/// A token without its secret.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ApiToken {
    /// Its id, which is used to revoke it.
    pub id: String,
    /// Its purpose.
    pub name: String,
    /// Its role, which determines its permissions.
    pub role: String,
    /// When it was created.
    pub created_at: Millis,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
    /// When it expires. `None` means that it does not.
    pub expires_at: Option<Millis>,
}

impl ApiToken {
    /// Returns whether it has expired.
    #[must_use]
    pub fn has_expired(&self, now: Millis) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// Stores a new token.
///
/// # Errors
/// When the database query fails.
pub async fn create(tx: &mut Tx, token: &ApiToken, secret: &SecretString) -> Result<()> {
    execute!(
        tx,
        "INSERT INTO api_token (id, name, role, token_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
        &token.id,
        &token.name,
        &token.role,
        hash(secret),
        token.created_at,
        token.expires_at
    )?;
    Ok(())
}

/// Returns the token with this secret, unless it is revoked. It may have expired.
///
/// # Errors
/// When the database query fails.
pub async fn find(tx: &mut Tx, secret: &SecretString) -> Result<Option<ApiToken>> {
    fetch_optional!(
        tx,
        ApiToken,
        "SELECT id, name, role, created_at, revoked_at, expires_at FROM api_token
          WHERE token_hash = $1 AND revoked_at IS NULL",
        hash(secret)
    )
}

/// Returns the token with this id, unless it is revoked. It may have expired.
///
/// # Errors
/// When the database query fails.
pub async fn by_id(tx: &mut Tx, id: &str) -> Result<Option<ApiToken>> {
    fetch_optional!(
        tx,
        ApiToken,
        "SELECT id, name, role, created_at, revoked_at, expires_at FROM api_token WHERE id = $1 AND revoked_at IS NULL",
        id
    )
}

/// Returns every token, oldest first.
///
/// # Errors
/// When the database query fails.
pub async fn list(tx: &mut Tx) -> Result<Vec<ApiToken>> {
    fetch_all!(
        tx,
        ApiToken,
        "SELECT id, name, role, created_at, revoked_at, expires_at FROM api_token ORDER BY created_at, id"
    )
}

/// Revokes a token. Returns whether it existed and was not revoked yet.
///
/// # Errors
/// When the database query fails.
pub async fn revoke(tx: &mut Tx, id: &str, now: Millis) -> Result<bool> {
    let revoked = execute!(tx, "UPDATE api_token SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", id, now)?;
    Ok(revoked > 0)
}

fn hash(secret: &SecretString) -> String {
    hex::encode(Sha256::digest(secret.expose_secret().as_bytes()))
}
