//! Settings: defaults, atomic writes, the sealed secret, and what another catalog brings with it.

use catalog_sync::domain::settings::{SPECS, Settings};
use catalog_sync::domain::state::SyncStatus;
use catalog_sync::store::StoreError;
use catalog_sync::store::seal::{Keyring, SealError};
use catalog_sync::store::settings::{Changes, app_secret, load, write};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::lease::select_catalog;
use super::sync_state::{held, pushed, record};
use super::{Done, NOW, TestDb, conformance, keyring};

conformance![
    an_empty_store_has_the_defaults,
    values_are_written_as_one_and_null_is_the_default,
    a_dropped_write_leaves_nothing,
    the_secret_is_sealed_at_rest,
    another_catalog_drops_claims_and_the_same_one_does_not,
    what_no_version_of_ours_wrote_reads_as_the_default,
];

async fn read(db: &TestDb) -> Result<Settings, StoreError> {
    let mut tx = db.read().await?;
    load(&mut tx).await
}

fn changes(values: &[(&str, Value)]) -> Changes {
    let values = values.iter().map(|(key, value)| ((*key).to_owned(), Some(value.clone()).filter(|v| !v.is_null())));
    Changes { values: values.collect(), ..Changes::default() }
}

async fn save(db: &TestDb, keyring: &Keyring, changes: &Changes) -> Done {
    let mut tx = db.write().await?;
    write(&mut tx, keyring, changes, NOW).await?;
    tx.commit().await
}

async fn an_empty_store_has_the_defaults(db: &TestDb) -> Done {
    let settings = read(db).await?;
    for spec in SPECS {
        assert_eq!(settings.values()[spec.key], spec.default_value(), "{}", spec.key);
    }
    assert!(!settings.app_secret.0);
    let mut tx = db.read().await?;
    assert!(app_secret(&mut tx, &keyring()).await?.is_none());
    Ok(())
}

async fn values_are_written_as_one_and_null_is_the_default(db: &TestDb) -> Done {
    let keyring = keyring();
    let before = read(db).await?.version;
    save(
        db,
        &keyring,
        &changes(&[("business_name", json!("Šop \"1\"")), ("batch_size", json!(7)), ("sync_enabled", json!(true))]),
    )
    .await?;
    let settings = read(db).await?;
    assert!(settings.version > before);
    assert_eq!(settings.mapper.business_name, "Šop \"1\"");
    assert_eq!((settings.batch_size, settings.sync_enabled), (7, true));

    save(db, &keyring, &changes(&[("batch_size", Value::Null), ("business_name", json!(""))])).await?;
    let settings = read(db).await?;
    assert_eq!((settings.batch_size, settings.mapper.business_name.clone()), (1000, String::new()));
    assert!(settings.sync_enabled, "what is not named stays");
    Ok(())
}

async fn a_dropped_write_leaves_nothing(db: &TestDb) -> Done {
    let before = read(db).await?;
    let mut tx = db.write().await?;
    write(&mut tx, &keyring(), &changes(&[("batch_size", json!(7))]), NOW).await?;
    drop(tx);
    assert_eq!(read(db).await?, before);
    Ok(())
}

async fn the_secret_is_sealed_at_rest(db: &TestDb) -> Done {
    let keyring = keyring();
    let secret = |text: &str| Changes { app_secret: Some(SecretString::from(text)), ..Changes::default() };
    save(db, &keyring, &secret("hunter2")).await?;
    let settings = read(db).await?;
    assert!(settings.app_secret.0);
    assert_eq!(settings.values()["app_secret"], json!("********"));
    let stored = db.texts("SELECT value FROM setting WHERE key = 'app_secret'").await?;
    assert!(stored[0].starts_with("v1:") && !stored[0].contains("hunter2"));

    let mut tx = db.read().await?;
    let opened = app_secret(&mut tx, &keyring).await?;
    assert_eq!(opened.as_ref().map(ExposeSecret::expose_secret), Some("hunter2"));
    let error = app_secret(&mut tx, &super::keyring()).await.expect_err("another key");
    assert!(matches!(error, StoreError::Seal(SealError::UnknownKey(_))), "{error}");
    drop(tx);

    save(db, &keyring, &changes(&[("app_id", json!("1"))])).await?;
    assert!(read(db).await?.app_secret.0, "what is not named stays");
    save(db, &keyring, &secret("")).await?;
    assert!(!read(db).await?.app_secret.0);
    Ok(())
}

async fn another_catalog_drops_claims_and_the_same_one_does_not(db: &TestDb) -> Done {
    select_catalog(db, "cat").await?;
    record(db, &[pushed("a", SyncStatus::Synced)]).await?;
    let before = held(db, "a").await?;
    select_catalog(db, "cat").await?;
    save(db, &keyring(), &changes(&[("catalog_name", json!("Other"))])).await?;
    assert_eq!(held(db, "a").await?, before);

    // Dropped with its transaction.
    let mut tx = db.write().await?;
    write(&mut tx, &keyring(), &changes(&[("catalog_id", json!("new"))]), NOW).await?;
    drop(tx);
    assert_eq!(held(db, "a").await?, before);

    save(db, &keyring(), &changes(&[("catalog_id", Value::Null)])).await?;
    let after = held(db, "a").await?.expect("the row stays");
    assert_eq!((after.status, after.hash, after.at_meta), (SyncStatus::Pending, None, false));
    assert_eq!(read(db).await?.catalog_id, "");
    Ok(())
}

async fn what_no_version_of_ours_wrote_reads_as_the_default(db: &TestDb) -> Done {
    db.run(
        "INSERT INTO setting (grp, key, value, updated_at) VALUES ('meta', 'batch_size', '0', 1),
             ('meta', 'currency', 'INR', 1), ('meta', 'gone', '1', 1), ('other', 'max_attempts', '9', 1)",
    )
    .await?;
    let settings = read(db).await?;
    assert_eq!((settings.batch_size, settings.max_attempts), (1000, 5));
    assert_eq!(settings.values().get("gone"), None);
    Ok(())
}
