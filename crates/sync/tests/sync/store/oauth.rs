//! State nonces of consents.

use catalog_sync::store::StoreError;
use catalog_sync::store::oauth_state::{LIFETIME_MS, Refused, consume, create};

use super::{Done, NOW, TestDb, conformance};

conformance![
    a_nonce_is_good_once,
    a_nonce_ends_after_ten_minutes,
    of_many_consumers_one_gets_it,
    nonces_are_stored_hashed_and_swept,
];

async fn give_out(db: &TestDb, nonce: &str, now: i64) -> Done {
    let mut tx = db.write().await?;
    create(&mut tx, nonce, now).await?;
    tx.commit().await
}

async fn take(db: &catalog_sync::store::Db, nonce: &str, now: i64) -> Result<Result<(), Refused>, StoreError> {
    let mut tx = db.write().await?;
    let taken = consume(&mut tx, nonce, now).await?;
    tx.commit().await?;
    Ok(taken)
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
