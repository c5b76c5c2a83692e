//! What an operator asks for and the shop does not take back: an exclusion, and a push of what Meta lost.

use catalog_sync::admin::intents::{Request, enqueue};
use catalog_sync::admin::{AdminError, bootstrap};
use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::domain::reask::Reason;
use catalog_sync::domain::state::SyncStatus;
use catalog_sync::store::reask;
use testkit::{CATALOG, Engine, Shop, product, variant};

async fn ask(shop: &Shop, variant: &str, request: Request) {
    enqueue(&shop.service.app, &[variant.to_owned()], request).await.expect("queued");
}

async fn exclusion(engine: Engine) {
    let shop = Shop::open(engine).await;
    shop.import(&[product("p", &[variant("in", 100), variant("out", 100)]), product("q", &[variant("new", 0)])]).await;
    shop.settle().await;

    ask(&shop, "out", Request::Exclude).await;
    shop.settle().await;
    assert_eq!((shop.item("out"), shop.status("out").await), (None, Some(SyncStatus::Deleted)));
    shop.check().await;

    // Whatever comes, it stays out: an event, a change in the shop, a bootstrap, a re-map.
    shop.ask(&["out"], Intent::Upsert, Origin::Event).await;
    shop.import(&[product("p", &[variant("in", 200), variant("out", 200)])]).await;
    shop.bootstrap().await;
    let mut tx = shop.db().write().await.expect("a transaction");
    reask::begin(&mut tx, Reason::Remap, None, shop.service.app.now()).await.expect("begun");
    tx.commit().await.expect("committed");
    shop.until("the re-map has passed", async || {
        shop.service.app.wake.all();
        let mut tx = shop.db().read().await.expect("a connection");
        reask::next(&mut tx).await.expect("read").is_none()
    })
    .await;
    shop.settle().await;
    assert_eq!((shop.item("out"), shop.status("out").await), (None, Some(SyncStatus::Deleted)));
    let reason =
        "SELECT COUNT(*) FROM meta_sync_state WHERE variant_id = 'out' AND last_error = 'excluded_by_operator'";
    assert_eq!(shop.count(reason).await, 1);
    shop.check().await;

    // One that was never sent is skipped, and one that only the state knows is not forgotten.
    ask(&shop, "new", Request::Exclude).await;
    shop.import(&[product("q", &[variant("new", 500)])]).await;
    shop.settle().await;
    assert_eq!((shop.item("new"), shop.status("new").await), (None, Some(SyncStatus::Skipped)));

    ask(&shop, "out", Request::Include).await;
    ask(&shop, "new", Request::Include).await;
    shop.settle().await;
    assert_eq!(shop.item("out").expect("at Meta")["price"], "2.00 INR");
    assert_eq!(shop.item("new").expect("at Meta")["price"], "5.00 INR");
    shop.check().await;

    // All of them or none.
    let unknown = enqueue(&shop.service.app, &["in".to_owned(), "who".to_owned()], Request::Exclude).await;
    assert!(matches!(unknown, Err(AdminError::NotFound(message)) if message.contains("who")));
    shop.settle().await;
    assert!(shop.item("in").is_some());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_excluded_variant_stays_out_on_sqlite() {
    exclusion(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_excluded_variant_stays_out_on_postgres() {
    exclusion(Engine::Postgres).await;
}

async fn lost_items(engine: Engine) {
    let shop = Shop::open(engine).await;
    shop.import(&[product("p", &[variant("a", 100), variant("b", 100), variant("c", 100)])]).await;
    shop.settle().await;
    assert_eq!(shop.meta.lose_items(CATALOG, &["a", "b"]), Some(2));
    ask(&shop, "a", Request::Resync { force: false }).await;
    shop.settle().await;
    assert_eq!(shop.item("a"), None, "Meta confirmed this payload");
    let before = shop.meta.calls().batch_rows;
    ask(&shop, "a", Request::Resync { force: true }).await;
    shop.settle().await;
    assert!(shop.item("a").is_some());
    assert_eq!(shop.meta.calls().batch_rows - before, 1);

    assert_eq!(shop.meta.lose_items(CATALOG, &["a", "b"]), Some(1));
    bootstrap::bootstrap(&shop.service.app, true).await.expect("begun");
    shop.settle().await;
    assert_eq!(shop.meta.calls().batch_rows - before, 4, "all three");
    shop.check().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_meta_lost_is_sent_again_when_forced_on_sqlite() {
    lost_items(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_meta_lost_is_sent_again_when_forced_on_postgres() {
    lost_items(Engine::Postgres).await;
}
