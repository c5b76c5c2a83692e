//! The settings of the group `meta`: one row per key. The secret is sealed.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::seal::{Keyring, Place};
use super::{
    Result, StoreError, Tx, execute, fetch_all, fetch_one, fetch_optional, lease, list, outbox, reask, sync_state,
};
use crate::clock::Millis;
use crate::domain::reask::Reason;
use crate::domain::settings::{FeedMode, Settings, find, key};

const SECRET: &str = key::app_secret;
pub(super) const PLACE: Place<'_> = Place { table: "setting", row: "meta.app_secret", column: "value" };

/// Loads the settings.
///
/// # Errors
/// When the database query fails.
pub async fn load(tx: &mut Tx) -> Result<Settings> {
    // One statement, so that the revision matches the values.
    let rows: Vec<(Option<String>, Option<String>, i64)> = fetch_all!(
        tx,
        (Option<String>, Option<String>, i64),
        "SELECT s.key, s.value, r.value FROM revision r LEFT JOIN setting s ON s.grp = 'meta'
         WHERE r.name = 'settings'"
    )?;
    let version = rows.first().map_or(0, |row| row.2);
    let stored: BTreeMap<String, String> =
        rows.into_iter().filter_map(|(key, value, _)| Some((key?, value?))).collect();
    let has_secret = stored.contains_key(SECRET);
    let values = stored
        .into_iter()
        .filter(|(key, _)| key != SECRET)
        .filter_map(|(key, text)| Some((key, serde_json::from_str::<Value>(&text).ok()?)));
    Ok(Settings::new(version, has_secret, values))
}

/// Returns the app secret, decrypted. `None` when it is not set.
///
/// # Errors
/// When the database query fails or the secret cannot be decrypted.
pub async fn app_secret(tx: &mut Tx, keyring: &Keyring) -> Result<Option<SecretString>> {
    let sealed: Option<(String,)> =
        fetch_optional!(tx, (String,), "SELECT value FROM setting WHERE grp = 'meta' AND key = $1", SECRET)?;
    sealed.map(|(sealed,)| keyring.open(PLACE, &sealed).map_err(StoreError::from)).transpose()
}

/// Validated changes, ready to be written.
#[derive(Debug, Default)]
pub struct Changes {
    /// New values. `None` restores the default.
    pub values: BTreeMap<String, Option<Value>>,
    /// A new app secret. An empty one removes it.
    pub app_secret: Option<SecretString>,
}

/// Writes the changes in the caller's transaction, with their consequences: another catalog drops every claim and
/// restarts the re-asks under way; a change
/// of `feed_mode` from `preview` to `live` asks again for what was previewed; a changed setting that the mapper reads
/// asks again for every mapped variant. Each of these changes waits for the pipeline's transaction that is under way.
///
/// # Errors
/// When the database query fails.
pub async fn write(tx: &mut Tx, keyring: &Keyring, changes: &Changes, now: Millis) -> Result<()> {
    if !changes.values.keys().any(|key| moves_the_pipeline(key)) {
        return write_values(tx, keyring, changes, now).await;
    }
    lease::hold_pipeline(tx).await?;
    let before = load(tx).await?;
    write_values(tx, keyring, changes, now).await?;
    let after = load(tx).await?;
    if before.catalog_id != after.catalog_id {
        // Nothing is claimed for the new catalog. The operator decides what to ask for there.
        sync_state::drop_claims(tx, now).await?;
        reask::restart(tx, now).await?;
    } else if before.mapper != after.mapper {
        reask::begin(tx, Reason::Settings, None, now).await?;
    }
    if (before.feed_mode, after.feed_mode) == (FeedMode::Preview, FeedMode::Live) {
        outbox::requeue_previewed(tx, now).await?;
    }
    Ok(())
}

fn moves_the_pipeline(key: &str) -> bool {
    [key::catalog_id, key::feed_mode].contains(&key) || find(key).is_some_and(|spec| spec.is_mapped)
}

async fn write_values(tx: &mut Tx, keyring: &Keyring, changes: &Changes, now: Millis) -> Result<()> {
    let mut set: Vec<(&str, String)> = Vec::new();
    let mut unset: Vec<&str> = Vec::new();
    for (key, value) in &changes.values {
        match value {
            Some(value) => set.push((key, value.to_string())),
            None => unset.push(key),
        }
    }
    match &changes.app_secret {
        Some(secret) if secret.expose_secret().is_empty() => unset.push(SECRET),
        Some(secret) => set.push((SECRET, keyring.seal(PLACE, secret)?)),
        None => {}
    }
    execute!(
        tx,
        "INSERT INTO setting (grp, key, value, updated_at)
         SELECT 'meta', r.key, r.value, CAST($2 AS BIGINT) FROM @rows($1: key text, value text) AS r WHERE true
         ON CONFLICT (grp, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        list::rows(&set),
        now
    )?;
    execute!(
        tx,
        "DELETE FROM setting WHERE grp = 'meta' AND key IN (SELECT id FROM @ids($1) AS gone)",
        list::ids(&unset)
    )?;
    let _: (i64,) =
        fetch_one!(tx, (i64,), "UPDATE revision SET value = value + 1 WHERE name = 'settings' RETURNING value")?;
    Ok(())
}
