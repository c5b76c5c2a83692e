//! State nonces of consents.

use std::sync::LazyLock;

use catalog_sync::store::StoreError;
use catalog_sync::store::oauth_state::{Found, LIFETIME_MS, Refused, Starter, consume, create, find};
use catalog_sync::store::seal::Keyring;
use secrecy::{ExposeSecret, SecretString};

use super::{Done, NOW, TestDb, conformance, keyring};

/// One keyring: what it seals, it opens.
static KEYS: LazyLock<Keyring> = LazyLock::new(keyring);

conformance![
    a_nonce_is_good_once,
    a_nonce_ends_after_ten_minutes,
    of_many_consumers_one_gets_it,
    nonces_are_stored_hashed_and_swept,
    a_nonce_knows_the_caller_that_began_the_login,
    a_nonce_without_a_caller_is_unknown,
    a_nonce_of_a_removed_key_is_unknown,
];

async fn give_out(db: &TestDb, nonce: &str, now: i64) -> Done {
    let mut tx = db.write().await?;
    create(&mut tx, &KEYS, nonce, &Starter::ApiToken { id: "t".into() }, now).await?;
    tx.commit().await
}

/// The kind and the words of what began a login.
async fn began(db: &TestDb, nonce: &str, now: i64) -> Result<Result<[String; 3], Refused>, StoreError> {
    let mut tx = db.read().await?;
    let found = find(&mut tx, &KEYS, nonce, now).await?;
    Ok(found.map(|starter| match starter {
        Found::Completed(began) => ["completed".into(), format!("{began:?}"), String::new()],
        Found::Begun(Starter::ApiToken { id }) => ["token".into(), id, String::new()],
        Found::Begun(Starter::Session { user_id, token }) => {
            ["session".into(), user_id, token.expose_secret().to_owned()]
        }
    }))
}

async fn take(db: &catalog_sync::store::Db, nonce: &str, now: i64) -> Result<Result<(), Refused>, StoreError> {
    let mut tx = db.write().await?;
    let taken = consume(&mut tx, nonce, now).await?;
    tx.commit().await?;
    Ok(taken)
}

async fn a_nonce_of_a_removed_key_is_unknown(db: &TestDb) -> Done {
    let other = Keyring::parse(&Keyring::generate().expect("random")).expect("a key");
    let starter = Starter::Session { user_id: "u".into(), token: SecretString::from("of the session".to_owned()) };
    let mut tx = db.write().await?;
    create(&mut tx, &other, "n", &starter, NOW).await?;
    tx.commit().await?;
    assert_eq!(began(db, "n", NOW + 1).await?, Err(Refused::Unknown));
    Ok(())
}

async fn a_nonce_is_good_once(db: &TestDb) -> Done {
    give_out(db, "n", NOW).await?;
    assert_eq!(take(db, "other", NOW).await?, Err(Refused::Unknown));
    assert_eq!(take(db, "n", NOW + 1).await?, Ok(()));
    assert_eq!(take(db, "n", NOW + 2).await?, Err(Refused::Replayed));
    assert_eq!(take(db, "n", NOW + 2 * LIFETIME_MS).await?, Err(Refused::Replayed), "used says more than old");
    Ok(())
}

async fn a_nonce_ends_after_ten_minutes(db: &TestDb) -> Done {
    give_out(db, "n", NOW).await?;
    assert_eq!(take(db, "n", NOW + LIFETIME_MS).await?, Err(Refused::Expired));
    assert_eq!(take(db, "n", NOW + LIFETIME_MS - 1).await?, Ok(()));
    Ok(())
}

async fn of_many_consumers_one_gets_it(db: &TestDb) -> Done {
    give_out(db, "n", NOW).await?;
    let consumers: Vec<_> = (0..20)
        .map(|_| {
            let db = catalog_sync::store::Db::clone(db);
            tokio::spawn(async move { take(&db, "n", NOW + 1).await })
        })
        .collect();
    let mut taken = 0;
    for consumer in consumers {
        match consumer.await.expect("no panic")? {
            Ok(()) => taken += 1,
            Err(refused) => assert_eq!(refused, Refused::Replayed),
        }
    }
    assert_eq!(taken, 1);
    Ok(())
}

async fn nonces_are_stored_hashed_and_swept(db: &TestDb) -> Done {
    give_out(db, "secret-nonce", NOW).await?;
    let stored = db.texts("SELECT nonce_hash FROM oauth_state").await?;
    assert!(stored[0].len() == 64 && !stored[0].contains("secret-nonce"));
    let day = 24 * 60 * 60 * 1000;
    give_out(db, "next", NOW + LIFETIME_MS + day).await?;
    assert_eq!(db.number("SELECT COUNT(*) FROM oauth_state").await?, 2);
    give_out(db, "later", NOW + LIFETIME_MS + day + 1).await?;
    assert_eq!(db.number("SELECT COUNT(*) FROM oauth_state").await?, 2);
    assert_eq!(take(db, "secret-nonce", NOW + LIFETIME_MS + day + 1).await?, Err(Refused::Unknown));
    Ok(())
}

async fn a_nonce_knows_the_caller_that_began_the_login(db: &TestDb) -> Done {
    give_out(db, "of-a-token", NOW).await?;
    let mut tx = db.write().await?;
    let session = Starter::Session { user_id: "u".into(), token: SecretString::from("session-secret") };
    create(&mut tx, &KEYS, "of-a-user", &session, NOW).await?;
    tx.commit().await?;
    let words = |words: [&str; 3]| Ok(words.map(str::to_owned));
    for _ in 0..2 {
        assert_eq!(began(db, "of-a-token", NOW).await?, words(["token", "t", ""]));
        assert_eq!(began(db, "of-a-user", NOW).await?, words(["session", "u", "session-secret"]));
    }
    assert_eq!(began(db, "nobodys", NOW).await?, Err(Refused::Unknown));
    assert_eq!(began(db, "of-a-user", NOW + LIFETIME_MS).await?, Err(Refused::Expired));
    let sealed = "SELECT session_token FROM oauth_state WHERE session_token IS NOT NULL";
    let [stored] = &db.texts(sealed).await?[..] else { panic!("one session") };
    assert!(stored.starts_with("v1:") && !stored.contains("session-secret"), "{stored}");
    assert_eq!(take(db, "of-a-user", NOW).await?, Ok(()));
    assert_eq!(began(db, "of-a-user", NOW).await?, Err(Refused::Replayed));
    assert!(db.texts(sealed).await?.is_empty(), "it is not kept longer than it is needed");
    Ok(())
}

/// As an older version stored it.
async fn a_nonce_without_a_caller_is_unknown(db: &TestDb) -> Done {
    give_out(db, "n", NOW).await?;
    db.run("UPDATE oauth_state SET api_token_id = NULL").await?;
    assert_eq!(began(db, "n", NOW).await?, Err(Refused::Unknown));
    Ok(())
}
