//! Reading and changing the settings of the group `meta`.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::AdminError;
use super::audit::{Act, Action, recorded};
use crate::app::App;
use crate::domain::settings::{Kind, MASK, find, key};
use crate::store::settings::Changes;
use crate::store::{self, StoreError};

/// Settings that calls to Meta depend on: when one of them changes, the problem that stopped the channel may be fixed.
const OF_THE_CHANNEL: [&str; 2] = [key::app_id, key::catalog_id];

/// Returns every setting by key, the secret masked.
///
/// # Errors
/// When the database query fails.
pub async fn read(app: &App) -> Result<Map<String, Value>, StoreError> {
    Ok(app.load_settings().await?.values())
}

/// Changes settings, all or none, and returns all of them. `null` sets the default; the mask, or leaving the key out,
/// keeps the secret.
///
/// # Errors
/// [`AdminError::Invalid`] names each key that does not exist or does not accept its value.
pub async fn patch(app: &App, asked: &Map<String, Value>) -> Result<Map<String, Value>, AdminError> {
    let changes = check(asked)?;
    if !changes.values.is_empty() || changes.app_secret.is_some() {
        let is_the_switch = changes.values.keys().eq([key::sync_enabled]) && changes.app_secret.is_none();
        let action = if is_the_switch { Action::SyncSwitched } else { Action::SettingsChanged };
        let mut names: Vec<&str> = changes.values.keys().map(String::as_str).collect();
        names.extend(changes.app_secret.is_some().then_some(key::app_secret));
        let act = Act::new(action).on(&names.join(", "));
        recorded(app, act, change(app, &changes), |changed, details| details.add("changes", changed.clone())).await?;
    }
    Ok(read(app).await?)
}

/// Returns what was changed: the old and the new value by key, the secret masked.
async fn change(app: &App, changes: &Changes) -> Result<Map<String, Value>, StoreError> {
    let now = app.now();
    let of_the_channel =
        changes.app_secret.is_some() || OF_THE_CHANNEL.iter().any(|key| changes.values.contains_key(*key));
    let mut tx = app.db.write().await?;
    if of_the_channel {
        // Before any other lock: the pipeline also takes its lease first.
        store::lease::hold_pipeline(&mut tx).await?;
        super::clear_problem(&mut tx, now).await?;
    }
    let before = store::settings::load(&mut tx).await?.values();
    store::settings::write(&mut tx, &app.keyring, changes, now).await?;
    let after = store::settings::load(&mut tx).await?.values();
    tx.commit().await?;
    super::connection_changed(app).await?;
    let asked =
        |key: &str| changes.values.contains_key(key) || (key == key::app_secret && changes.app_secret.is_some());
    let differs = |key: &str, new: &Value| key == key::app_secret || before.get(key) != Some(new);
    let changed = after.into_iter().filter(|(key, new)| asked(key) && differs(key, new));
    Ok(changed.map(|(key, new)| (key.clone(), json!({"old": before.get(&key), "new": new}))).collect())
}

/// Checks every change and returns the values in their stored form.
fn check(asked: &Map<String, Value>) -> Result<Changes, AdminError> {
    let mut changes = Changes::default();
    let mut wrong = BTreeMap::new();
    for (key, value) in asked {
        let Some(spec) = find(key) else {
            wrong.insert(key.clone(), "this setting does not exist".to_owned());
            continue;
        };
        if spec.kind == Kind::Secret {
            match value {
                Value::Null => changes.app_secret = Some(SecretString::default()),
                Value::String(text) if text == MASK => {}
                _ => match spec.check(value) {
                    Ok(checked) => changes.app_secret = checked.as_str().map(SecretString::from),
                    Err(problem) => {
                        wrong.insert(key.clone(), problem);
                    }
                },
            }
        } else if value.is_null() {
            changes.values.insert(key.clone(), None);
        } else {
            match spec.check(value) {
                Ok(checked) => {
                    changes.values.insert(key.clone(), Some(checked));
                }
                Err(problem) => {
                    wrong.insert(key.clone(), problem);
                }
            }
        }
    }
    if wrong.is_empty() {
        Ok(changes)
    } else {
        Err(AdminError::invalid_parts("some settings are not valid; nothing was changed", wrong))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    fn checked(asked: Value) -> Result<Changes, AdminError> {
        check(asked.as_object().expect("an object"))
    }

    #[test]
    fn a_mask_keeps_the_secret_and_null_or_nothing_removes_it() {
        let secret = |asked| checked(asked).expect("taken").app_secret.map(|s| s.expose_secret().to_owned());
        assert_eq!(secret(json!({"app_secret": MASK})), None);
        assert_eq!(secret(json!({})), None);
        assert_eq!(secret(json!({"app_secret": null})).as_deref(), Some(""));
        assert_eq!(secret(json!({"app_secret": " s3cret "})).as_deref(), Some("s3cret"));
    }

    #[test]
    fn every_wrong_key_is_named_and_nothing_is_taken() {
        let Err(AdminError::Invalid { details, .. }) =
            checked(json!({"currency": "usd", "batch_size": 0, "app_secret": 1, "nope": true}))
        else {
            panic!("refused")
        };
        assert_eq!(details.keys().collect::<Vec<_>>(), ["app_secret", "batch_size", "nope"]);
    }
}
