//! The connection to Meta: sealed, and every late write refused.

use catalog_sync::domain::credential::TokenKind;
use catalog_sync::store::StoreError;
use catalog_sync::store::credential::{self, Credential, Metadata};
use catalog_sync::store::seal::Keyring;
use secrecy::{ExposeSecret, SecretString};

use super::{Done, NOW, TestDb, conformance, keyring};

conformance![
    a_connection_is_read_back_and_replaced,
    tokens_are_sealed_at_rest,
    a_late_refresh_neither_overwrites_nor_revives,
    versions_only_grow,
    of_many_refreshes_of_one_version_one_wins,
];

fn credential(token: &str) -> Credential {
    Credential {
        account_id: "42".into(),
        access_token: SecretString::from(token),
        access_token_expires_at: Some(NOW + 60),
        user_token: Some(SecretString::from("user-hunter2")),
        user_token_expires_at: None,
        scope: Some("catalog_management,business_management".into()),
        metadata: Metadata { token_kind: TokenKind::SystemUser, account_name: Some("Šéf".into()) },
        version: 0,
        connected_at: NOW,
    }
}

async fn replace(db: &TestDb, keyring: &Keyring, new: &Credential) -> Result<i64, StoreError> {
    let mut tx = db.write().await?;
    let version = credential::replace(&mut tx, keyring, new, NOW).await?;
    tx.commit().await?;
    Ok(version)
}

async fn refresh(db: &TestDb, keyring: &Keyring, new: &Credential) -> Result<Option<i64>, StoreError> {
    let mut tx = db.write().await?;
    let version = credential::replace_if_current(&mut tx, keyring, new, NOW).await?;
    tx.commit().await?;
    Ok(version)
}

async fn load(db: &TestDb, keyring: &Keyring) -> Result<Option<Credential>, StoreError> {
    let mut tx = db.read().await?;
    credential::load(&mut tx, keyring).await
}

async fn version(db: &TestDb) -> Result<Option<i64>, StoreError> {
    let mut tx = db.read().await?;
    credential::version(&mut tx).await
}

async fn delete(db: &TestDb) -> Result<bool, StoreError> {
    let mut tx = db.write().await?;
    let was_there = credential::delete(&mut tx).await?;
    tx.commit().await?;
    Ok(was_there)
}

async fn a_connection_is_read_back_and_replaced(db: &TestDb) -> Done {
    let keyring = keyring();
    assert!(load(db, &keyring).await?.is_none());
    assert_eq!(version(db).await?, None);
    let written = replace(db, &keyring, &credential("hunter2")).await?;
    let read = load(db, &keyring).await?.expect("connected");
    assert_eq!((read.version, version(db).await?), (written, Some(written)));
    assert_eq!(read.access_token.expose_secret(), "hunter2");
    assert_eq!(read.user_token.as_ref().map(ExposeSecret::expose_secret), Some("user-hunter2"));
    let new = credential("hunter2");
    assert_eq!((read.account_id, read.scope, read.metadata), (new.account_id, new.scope, new.metadata));
    assert_eq!(
        (read.access_token_expires_at, read.user_token_expires_at, read.connected_at),
        (Some(NOW + 60), None, NOW)
    );

    let user = Metadata { token_kind: TokenKind::User, account_name: None };
    let next = Credential { user_token: None, scope: None, metadata: user.clone(), ..credential("hunter3") };
    assert!(replace(db, &keyring, &next).await? > written);
    let read = load(db, &keyring).await?.expect("connected");
    assert_eq!((read.access_token.expose_secret(), read.metadata), ("hunter3", user));
    assert!(read.user_token.is_none() && read.scope.is_none());
    assert_eq!(db.number("SELECT COUNT(*) FROM integration_credentials").await?, 1);
    Ok(())
}

async fn tokens_are_sealed_at_rest(db: &TestDb) -> Done {
    replace(db, &keyring(), &credential("hunter2")).await?;
    let stored = db.texts("SELECT access_token || ' ' || user_token FROM integration_credentials").await?;
    assert_eq!(stored[0].matches("v1:").count(), 2, "{stored:?}");
    assert!(!stored[0].contains("hunter2"));
    assert!(matches!(load(db, &keyring()).await, Err(StoreError::Seal(_))), "another key does not open them");
    Ok(())
}

async fn a_late_refresh_neither_overwrites_nor_revives(db: &TestDb) -> Done {
    let keyring = keyring();
    let first = replace(db, &keyring, &credential("first")).await?;
    let late = Credential { version: first, ..credential("late") };
    // In time.
    let second = refresh(db, &keyring, &Credential { version: first, ..credential("second") }).await?;
    let second = second.expect("it was current");
    assert!(second > first);
    assert_eq!(refresh(db, &keyring, &late).await?, None);
    assert_eq!(load(db, &keyring).await?.expect("connected").access_token.expose_secret(), "second");

    assert!(delete(db).await?);
    assert!(!delete(db).await?);
    assert_eq!(refresh(db, &keyring, &Credential { version: second, ..credential("late") }).await?, None);
    assert!(load(db, &keyring).await?.is_none(), "a disconnected one is not revived");
    Ok(())
}

async fn versions_only_grow(db: &TestDb) -> Done {
    let keyring = keyring();
    let first = replace(db, &keyring, &credential("first")).await?;
    delete(db).await?;
    let second = replace(db, &keyring, &credential("second")).await?;
    assert!(second > first, "also across a disconnect, or a late refresh would match");
    assert_eq!(refresh(db, &keyring, &Credential { version: first, ..credential("late") }).await?, None);
    Ok(())
}

async fn of_many_refreshes_of_one_version_one_wins(db: &TestDb) -> Done {
    let keyring = keyring();
    let first = replace(db, &keyring, &credential("first")).await?;
    let refreshes: Vec<_> = (0..8)
        .map(|index| {
            let (db, keyring) = (catalog_sync::store::Db::clone(db), keyring.clone());
            let new = Credential { version: first, ..credential(&format!("token {index}")) };
            tokio::spawn(async move {
                let mut tx = db.write().await?;
                let version = credential::replace_if_current(&mut tx, &keyring, &new, NOW).await?;
                tx.commit().await?;
                Ok::<_, StoreError>(version.map(|version| (version, new)))
            })
        })
        .collect();
    let mut won = Vec::new();
    for refresh in refreshes {
        won.extend(refresh.await.expect("no panic")?);
    }
    let [(version, new)] = won.try_into().expect("exactly one");
    let read = load(db, &keyring).await?.expect("connected");
    assert_eq!((read.version, read.access_token.expose_secret()), (version, new.access_token.expose_secret()));
    Ok(())
}
