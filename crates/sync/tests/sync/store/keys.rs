//! Keys: every sealed value is opened at the start, and another key takes over without a loss.

use catalog_sync::admin::keys::{Rotated, forget, rotate};
use catalog_sync::domain::credential::TokenKind;
use catalog_sync::store::StoreError;
use catalog_sync::store::credential::{self, Credential, Metadata};
use catalog_sync::store::seal::{Keyring, SealError};
use catalog_sync::store::sealed::{self, Kind, check_key};
use catalog_sync::store::settings::{self, Changes};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::{Done, NOW, TestDb, conformance, keyring};

conformance![
    the_key_is_proved_at_start,
    replicas_may_prove_a_new_key_at_once,
    a_start_that_does_not_open_everything_is_refused,
    a_rotation_seals_everything_again_and_changes_nothing_else,
    a_rotation_needs_every_key_before_it_writes,
    a_value_that_changed_meanwhile_is_kept,
    what_no_key_opens_is_forgotten,
    half_of_a_connection_is_forgotten_whole,
];

/// The keyrings of a rotation.
struct Keys {
    old: Keyring,
    both: Keyring,
    new: Keyring,
}

impl Keys {
    fn make() -> Result<Self, SealError> {
        let (old, new) = (Keyring::generate()?, Keyring::generate()?);
        let (old, new) = (format!("old:{}", old.expose_secret()), format!("new:{}", new.expose_secret()));
        let ring = |text: String| Keyring::parse(&SecretString::from(text));
        Ok(Self { both: ring(format!("{new},{old}"))?, old: ring(old)?, new: ring(new)? })
    }
}

async fn connect(db: &TestDb, keyring: &Keyring, token: &str) -> Result<i64, StoreError> {
    let new = Credential {
        account_id: "42".into(),
        access_token: SecretString::from(token),
        access_token_expires_at: None,
        user_token: Some(SecretString::from("user-hunter2")),
        user_token_expires_at: None,
        scope: None,
        metadata: Metadata { token_kind: TokenKind::User, account_name: None },
        version: 0,
        connected_at: NOW,
    };
    let mut tx = db.write().await?;
    let version = credential::replace(&mut tx, keyring, &new, NOW).await?;
    tx.commit().await?;
    Ok(version)
}

async fn set_secret(db: &TestDb, keyring: &Keyring) -> Done {
    let values = [("batch_size".to_owned(), Some(json!(7)))].into();
    let changes = Changes { values, app_secret: Some(SecretString::from("app-hunter2")) };
    let mut tx = db.write().await?;
    settings::write(&mut tx, keyring, &changes, NOW).await?;
    tx.commit().await
}

/// Starts with the old key, and seals everything that can be sealed.
async fn fill(db: &TestDb, keyring: &Keyring) -> Result<i64, StoreError> {
    check_key(db, keyring).await?;
    set_secret(db, keyring).await?;
    connect(db, keyring, "access-hunter2").await
}

/// What opens: the app secret, the access token and the user token.
async fn opened(db: &TestDb, keyring: &Keyring) -> Result<[Option<String>; 3], StoreError> {
    let shown = |secret: SecretString| secret.expose_secret().to_owned();
    let mut tx = db.read().await?;
    let secret = settings::app_secret(&mut tx, keyring).await?.map(shown);
    let Some(known) = credential::load(&mut tx, keyring).await? else { return Ok([secret, None, None]) };
    Ok([secret, Some(shown(known.access_token)), known.user_token.map(shown)])
}

fn all_of_it() -> [Option<String>; 3] {
    ["app-hunter2", "access-hunter2", "user-hunter2"].map(|text| Some(text.to_owned()))
}

async fn revisions(db: &TestDb) -> Result<Vec<String>, StoreError> {
    db.texts("SELECT CAST(value AS TEXT) FROM revision ORDER BY name").await
}

async fn the_key_is_proved_at_start(db: &TestDb) -> Done {
    let named = |name: &str, key: &SecretString| {
        Keyring::parse(&SecretString::from(format!("{name}:{}", key.expose_secret()))).expect("a keyring")
    };
    let (old, new) = (Keyring::generate()?, Keyring::generate()?);
    check_key(db, &named("k1", &old)).await?;
    check_key(db, &named("k1", &old)).await?;
    assert!(check_key(db, &named("k1", &new)).await.is_err(), "another key under the same name");
    let error = check_key(db, &named("k2", &new)).await.expect_err("the old key is missing").to_string();
    assert!(error.contains("\"k1\"") && error.contains("META_CATALOG_KEY"), "{error}");

    let both = SecretString::from(format!("k2:{},k1:{}", new.expose_secret(), old.expose_secret()));
    check_key(db, &Keyring::parse(&both)?).await?;
    assert_eq!(db.texts("SELECT kid FROM key_check ORDER BY kid").await?, ["k1", "k2"]);
    Ok(())
}

async fn replicas_may_prove_a_new_key_at_once(db: &TestDb) -> Done {
    let keyring = keyring();
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let (db, keyring) = (catalog_sync::store::Db::clone(db), keyring.clone());
            tokio::spawn(async move { check_key(&db, &keyring).await })
        })
        .collect();
    for start in starts {
        start.await.expect("no panic")?;
    }
    assert_eq!(db.number("SELECT COUNT(*) FROM key_check").await?, 1);
    Ok(())
}

async fn a_start_that_does_not_open_everything_is_refused(db: &TestDb) -> Done {
    let keys = Keys::make()?;
    fill(db, &keys.old).await?;
    check_key(db, &keys.both).await?;
    // The check value of the new key is stored, and what the old key sealed is as it was.
    let error = check_key(db, &keys.new).await.expect_err("refused");
    assert!(matches!(error, StoreError::Seal(SealError::Unopened(_))), "{error:?}");
    let text = error.to_string();
    let tokens = ["integration_credentials.access_token", "integration_credentials.user_token"];
    for named in ["setting meta.app_secret", "table key_check"].into_iter().chain(tokens) {
        assert!(text.contains(&format!("({named}): sealed with the key \"old\"")), "{text}");
    }
    for told in ["Configured: [\"new\"]", "META_CATALOG_KEY=<new>,<old>", "keys rotate", "keys forget"] {
        assert!(text.contains(told), "{text}");
    }
    assert!(text.contains("enter the app secret again and connect to Meta again"), "{text}");
    let stored = db.texts("SELECT access_token FROM integration_credentials").await?;
    assert!(!format!("{text}{error:?}").contains(&stored[0]) && !text.contains("hunter2"), "{text}");
    assert_eq!(opened(db, &keys.both).await?, all_of_it());

    // A value of another form is named, and no part of it.
    db.run("UPDATE setting SET value = 'hunter2:typed:by:hand' WHERE key = 'app_secret'").await?;
    let error = check_key(db, &keys.both).await.expect_err("refused").to_string();
    assert!(error.contains("(setting meta.app_secret): not a value") && !error.contains("hunter2"), "{error}");
    Ok(())
}

async fn a_rotation_seals_everything_again_and_changes_nothing_else(db: &TestDb) -> Done {
    let keys = Keys::make()?;
    let version = fill(db, &keys.old).await?;
    let before = revisions(db).await?;
    let mut told = Vec::new();
    let rotated = rotate(db, &keys.both, |value| told.push(value.kind)).await.expect("rotated");
    assert_eq!(rotated, Rotated { already: 0, resealed: 3, retired: vec!["old".into()] });
    assert_eq!(told, [Kind::AppSecret, Kind::AccessToken, Kind::UserToken]);
    assert_eq!(opened(db, &keys.new).await?, all_of_it());
    assert!(opened(db, &keys.old).await.is_err());
    // What a tick decided on stays as it was.
    let mut tx = db.read().await?;
    assert_eq!((revisions(db).await?, credential::version(&mut tx).await?), (before, Some(version)));
    drop(tx);
    check_key(db, &keys.new).await?;
    assert_eq!(db.texts("SELECT kid FROM key_check").await?, ["new"]);
    assert!(check_key(db, &keys.old).await.is_err(), "the key before is not a key any more");

    let again = rotate(db, &keys.both, |value| panic!("{value:?}")).await.expect("nothing to do");
    assert_eq!(again, Rotated { already: 3, resealed: 0, retired: vec![] });
    // One value was sealed with the old key since, by a replica that has it in front.
    set_secret(db, &keys.old).await?;
    let again = rotate(db, &keys.both, |_| ()).await.expect("rotated");
    assert_eq!(again, Rotated { already: 2, resealed: 1, retired: vec![] });
    Ok(())
}

async fn a_rotation_needs_every_key_before_it_writes(db: &TestDb) -> Done {
    let keys = Keys::make()?;
    fill(db, &keys.old).await?;
    let before = db.texts("SELECT value FROM setting WHERE key = 'app_secret'").await?;
    connect(db, &keyring(), "sealed-with-a-third-key").await?;
    let error = rotate(db, &keys.both, |value| panic!("{value:?}")).await.expect_err("refused").to_string();
    assert!(error.contains("integration_credentials.access_token") && !error.contains("meta.app_secret)"), "{error}");
    assert_eq!(db.texts("SELECT value FROM setting WHERE key = 'app_secret'").await?, before);
    Ok(())
}

async fn a_value_that_changed_meanwhile_is_kept(db: &TestDb) -> Done {
    let keys = Keys::make()?;
    fill(db, &keys.old).await?;
    let read = sealed::load(&mut db.read().await?).await?;
    connect(db, &keys.both, "newer-hunter2").await?;
    let mut written = Vec::new();
    for value in sealed::of_other_keys(&read, &keys.both) {
        let mut tx = db.write().await?;
        if sealed::reseal(&mut tx, &keys.both, value).await? {
            written.push(value.kind);
        }
        tx.commit().await?;
    }
    assert_eq!(written, [Kind::AppSecret]);
    assert_eq!(opened(db, &keys.new).await?[1].as_deref(), Some("newer-hunter2"));
    Ok(())
}

async fn what_no_key_opens_is_forgotten(db: &TestDb) -> Done {
    let keys = Keys::make()?;
    fill(db, &keys.old).await?;
    assert!(forget(db, &keys.old).await?.is_empty());
    assert_eq!(opened(db, &keys.old).await?, all_of_it(), "what opens stays");
    let before = revisions(db).await?;

    let gone: Vec<Kind> = forget(db, &keys.new).await?.iter().map(|value| value.kind).collect();
    assert_eq!(gone, [Kind::AppSecret, Kind::AccessToken, Kind::UserToken, Kind::Check]);
    check_key(db, &keys.new).await?;
    assert_eq!(opened(db, &keys.new).await?, [None, None, None]);
    let settings = settings::load(&mut db.read().await?).await?;
    assert_eq!((settings.batch_size, settings.app_secret.0), (7, false), "other settings stay");
    let grown = revisions(db).await?.iter().zip(&before).filter(|(now, before)| now != before).count();
    assert_eq!(grown, 2, "of the settings and of the credential");
    Ok(())
}

async fn half_of_a_connection_is_forgotten_whole(db: &TestDb) -> Done {
    let keys = Keys::make()?;
    fill(db, &keys.both).await?;
    db.run("UPDATE integration_credentials SET user_token = 'v1:lost:AAAA:AAAA'").await?;
    let gone = forget(db, &keys.both).await?;
    assert_eq!(
        gone.iter().map(|value| (value.kind, value.key())).collect::<Vec<_>>(),
        [(Kind::UserToken, Some("lost"))]
    );
    assert!(sealed::after(&gone).contains("connect to Meta again"));
    assert_eq!(opened(db, &keys.both).await?, [Some("app-hunter2".into()), None, None]);
    Ok(())
}
