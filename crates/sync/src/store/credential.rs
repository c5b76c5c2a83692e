//! The connection to Meta: one row with sealed tokens. Every write is bound to the version that it was decided on.

use secrecy::SecretString;
use sqlx::types::Json;

use super::seal::{Keyring, Place};
use super::{Result, Tx, execute, fetch_one, fetch_optional};
use crate::clock::Millis;
use crate::domain::credential::TokenKind;

pub(super) const PROVIDER: &str = "meta_catalog";
pub(super) const ACCESS: Place<'_> = Place { table: "integration_credentials", row: PROVIDER, column: "access_token" };
pub(super) const USER: Place<'_> = Place { table: "integration_credentials", row: PROVIDER, column: "user_token" };

/// Facts stored beside the tokens.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Whether the access token belongs to a user or to a system user.
    pub token_kind: TokenKind,
    /// Display name of that account.
    #[serde(default)]
    pub account_name: Option<String>,
}

/// The connection.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Facebook user id or system user id.
    pub account_id: String,
    /// The token that calls are made with.
    pub access_token: SecretString,
    /// When it expires. `None` means that no expiry is recorded.
    pub access_token_expires_at: Option<Millis>,
    /// The operator's own token, which lists businesses.
    pub user_token: Option<SecretString>,
    /// When the user token expires.
    pub user_token_expires_at: Option<Millis>,
    /// Granted scopes.
    pub scope: Option<String>,
    /// Facts beside the tokens.
    pub metadata: Metadata,
    /// The version that a later write must state.
    pub version: i64,
    /// When the operator connected.
    pub connected_at: Millis,
}

#[derive(sqlx::FromRow)]
struct CredentialRow {
    account_id: Option<String>,
    access_token: Option<String>,
    access_token_expires_at: Option<i64>,
    user_token: Option<String>,
    user_token_expires_at: Option<i64>,
    scope: Option<String>,
    metadata: Json<Metadata>,
    version: i64,
    connected_at: Option<i64>,
}

/// Returns the connection, or `None`.
///
/// # Errors
/// When the database query fails or a token cannot be decrypted.
pub async fn load(tx: &mut Tx, keyring: &Keyring) -> Result<Option<Credential>> {
    let row: Option<CredentialRow> = fetch_optional!(
        tx,
        CredentialRow,
        "SELECT account_id, access_token, access_token_expires_at, user_token, user_token_expires_at, scope, metadata,
             version, connected_at
         FROM integration_credentials WHERE provider = $1",
        PROVIDER
    )?;
    let Some(row) = row else { return Ok(None) };
    let Some(sealed) = row.access_token else { return Ok(None) };
    Ok(Some(Credential {
        account_id: row.account_id.unwrap_or_default(),
        access_token: keyring.open(ACCESS, &sealed)?,
        access_token_expires_at: row.access_token_expires_at,
        user_token: row.user_token.map(|sealed| keyring.open(USER, &sealed)).transpose()?,
        user_token_expires_at: row.user_token_expires_at,
        scope: row.scope,
        metadata: row.metadata.0,
        version: row.version,
        connected_at: row.connected_at.unwrap_or_default(),
    }))
}

/// Returns the version of the connection, or `None`. It is cheap and decrypts nothing.
///
/// # Errors
/// When the database query fails.
pub async fn version(tx: &mut Tx) -> Result<Option<i64>> {
    let row: Option<(i64,)> =
        fetch_optional!(tx, (i64,), "SELECT version FROM integration_credentials WHERE provider = $1", PROVIDER)?;
    Ok(row.map(|(version,)| version))
}

/// Replaces the connection unconditionally, since an operator connected. Returns the new version.
///
/// # Errors
/// When the database query fails.
pub async fn replace(tx: &mut Tx, keyring: &Keyring, new: &Credential, now: Millis) -> Result<i64> {
    let version = next_version(tx).await?;
    let access = keyring.seal(ACCESS, &new.access_token)?;
    let user = new.user_token.as_ref().map(|token| keyring.seal(USER, token)).transpose()?;
    execute!(
        tx,
        "INSERT INTO integration_credentials (provider, account_id, access_token, access_token_expires_at, user_token,
             user_token_expires_at, scope, metadata, version, connected_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (provider) DO UPDATE SET account_id = excluded.account_id, access_token = excluded.access_token,
             access_token_expires_at = excluded.access_token_expires_at, user_token = excluded.user_token,
             user_token_expires_at = excluded.user_token_expires_at, scope = excluded.scope,
             metadata = excluded.metadata, version = excluded.version, connected_at = excluded.connected_at,
             updated_at = excluded.updated_at",
        PROVIDER,
        &new.account_id,
        access,
        new.access_token_expires_at,
        user,
        new.user_token_expires_at,
        &new.scope,
        Json(&new.metadata),
        version,
        new.connected_at,
        now
    )?;
    Ok(version)
}

/// Replaces the connection only if its version is still `new.version`. Returns the new version, or `None` when the
/// account was connected or disconnected since.
///
/// # Errors
/// When the database query fails.
pub async fn replace_if_current(tx: &mut Tx, keyring: &Keyring, new: &Credential, now: Millis) -> Result<Option<i64>> {
    // The revision row is locked first, so the check and the write are atomic.
    let next = next_version(tx).await?;
    if version(tx).await? != Some(new.version) {
        return Ok(None);
    }
    debug_assert!(next > new.version);
    replace(tx, keyring, new, now).await.map(Some)
}

/// Disconnects. Returns whether there was a connection.
///
/// # Errors
/// When the database query fails.
pub async fn delete(tx: &mut Tx) -> Result<bool> {
    next_version(tx).await?;
    let gone = execute!(tx, "DELETE FROM integration_credentials WHERE provider = $1", PROVIDER)?;
    Ok(gone > 0)
}

async fn next_version(tx: &mut Tx) -> Result<i64> {
    let (version,): (i64,) =
        fetch_one!(tx, (i64,), "UPDATE revision SET value = value + 1 WHERE name = 'credential' RETURNING value")?;
    Ok(version)
}
