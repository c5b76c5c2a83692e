//! The row of Meta's notifications.

use catalog_sync::domain::webhook::Subscription;
use catalog_sync::store::StoreError;
use catalog_sync::store::webhook::{self, Webhook};

use super::{Done, NOW, TestDb, conformance};

conformance![what_came_and_what_is_subscribed_are_kept];

async fn load(db: &TestDb) -> Result<Webhook, StoreError> {
    webhook::load(&mut db.read().await?).await
}

async fn what_came_and_what_is_subscribed_are_kept(db: &TestDb) -> Done {
    assert_eq!(load(db).await?, Webhook::default());
    let mut tx = db.write().await?;
    webhook::received(&mut tx, NOW).await?;
    tx.commit().await?;
    let known = load(db).await?;
    assert_eq!((known.received_at, known.woke_at, known.wakes), (Some(NOW), None, 0));
    let mut tx = db.write().await?;
    webhook::received(&mut tx, NOW + 1).await?;
    webhook::woke(&mut tx, NOW + 1).await?;
    webhook::woke(&mut tx, NOW + 2).await?;
    webhook::failed(&mut tx, "4", "no", NOW + 3).await?;
    tx.commit().await?;
    let known = load(db).await?;
    assert_eq!((known.received_at, known.woke_at, known.wakes), (Some(NOW + 1), Some(NOW + 2), 2));
    let failed = Subscription { held: None, failed: Some(("4".into(), NOW + 3)) };
    assert_eq!((&known.subscription, known.problem.as_deref()), (&failed, Some("no")));

    let mut tx = db.write().await?;
    webhook::subscribed(&mut tx, Some("4"), NOW + 4).await?;
    tx.commit().await?;
    let known = load(db).await?;
    let held = Subscription { held: Some(("4".into(), NOW + 4)), failed: None };
    assert_eq!((&known.subscription, known.problem, known.wakes), (&held, None, 2));
    let mut tx = db.write().await?;
    webhook::subscribed(&mut tx, None, NOW + 5).await?;
    tx.commit().await?;
    assert_eq!(load(db).await?.subscription, Subscription::default());
    Ok(())
}
