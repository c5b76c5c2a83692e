//! The running service forgets what is settled, and loses nothing by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use catalog_sync::clock::{Clock, Millis, SystemClock};
use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::domain::state::SyncStatus;
use catalog_sync::store::{Db, bulk};
use serde_json::json;

use testkit::{Engine, Shop, product, variant};

const DAY: Millis = 24 * 60 * 60 * 1_000;

/// The machine's clock, put ahead: the pipeline paces its calls, so the clock must go on by itself as well.
#[derive(Clone, Default)]
struct Ahead(Arc<AtomicI64>);

impl Ahead {
    fn advance(&self, by: Millis) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Millis {
        SystemClock.now() + self.0.load(Ordering::SeqCst)
    }
}

async fn texts(shop: &Shop, sql: &'static str) -> Vec<String> {
    match shop.db() {
        Db::Sqlite { readers, .. } => sqlx::query_scalar(sql).fetch_all(readers).await.expect("read"),
        Db::Postgres { pool, .. } => sqlx::query_scalar(sql).fetch_all(pool).await.expect("read"),
    }
}

/// Waits until it is so. A pass may have begun before the clock was put ahead, and then it is the next one that does it.
async fn forgotten(shop: &Shop, clock: &Ahead, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    shop.until(&format!("forgotten: {what}"), async || {
        clock.advance(2 * 60 * 1_000);
        is_so().await
    })
    .await;
}

async fn months_of_a_shop(engine: Engine) {
    let clock = Ahead::default();
    let shop = Shop::open_with(engine, |_| Arc::new(clock.clone()), |_| ()).await;
    let intents = async || texts(&shop, "SELECT variant_id || ' ' || intent FROM meta_outbox ORDER BY seq").await;
    let calls = async || texts(&shop, "SELECT state FROM meta_batch_handles ORDER BY state").await;

    shop.import(&[product("p", &[variant("a", 100), variant("b", 200)])]).await;
    shop.settle().await;
    shop.meta.reject("b", "Not now");
    shop.ask(&["b"], Intent::Delete, Origin::Operator).await;
    shop.settle().await;
    assert_eq!(shop.status("b").await, Some(SyncStatus::Failed));
    shop.set(json!({"sync_enabled": false})).await;
    shop.ask(&["a"], Intent::Upsert, Origin::Operator).await;
    let all = ["a upsert", "b upsert", "b delete", "a upsert"];
    assert_eq!((intents().await, calls().await), (all.map(str::to_owned).to_vec(), vec!["completed".to_owned(); 2]));

    // A pass looks at intents first: when the submissions are gone, it has left the intents alone.
    clock.advance(8 * DAY);
    forgotten(&shop, &clock, "submissions", async || calls().await.is_empty()).await;
    assert_eq!(intents().await, all);

    // The open one, and what a resync of the failed delete asks for.
    clock.advance(30 * DAY);
    forgotten(&shop, &clock, "intents", async || intents().await == ["b delete", "a upsert"]).await;

    shop.meta.clear_rejects();
    let mut tx = shop.db().write().await.expect("a transaction");
    assert_eq!(bulk::requeue_failed(&mut tx, clock.now()).await.expect("queued"), 1);
    tx.commit().await.expect("committed");
    shop.import(&[product("p", &[variant("a", 150)])]).await;
    shop.set(json!({"sync_enabled": true})).await;
    shop.settle().await;
    assert_eq!(shop.item("a").expect("at Meta")["price"], "1.50 INR");
    assert_eq!((shop.item("b"), shop.status("b").await), (None, Some(SyncStatus::Deleted)));

    // Again, with nothing left that anybody could ask for, but an operator's last word.
    clock.advance(31 * DAY);
    let removal = async || intents().await == ["b delete"];
    forgotten(&shop, &clock, "everything", async || removal().await && calls().await.is_empty()).await;
    clock.advance(366 * DAY);
    let trail = async || texts(&shop, "SELECT action FROM meta_audit").await.is_empty();
    forgotten(&shop, &clock, "the audit trail", trail).await;
    assert_eq!(shop.service.board.get("retention").expect("an actor").restarts, 0);
    shop.close().await;
}

/// On request nothing is forgotten, however old.
async fn for_ever(engine: Engine) {
    let clock = Ahead::default();
    let tune = |config: &mut catalog_sync::config::Config| {
        (config.retention.intent_days, config.retention.submission_days) = (0, 0);
        config.retention.audit_days = 0;
    };
    let shop = Shop::open_with(engine, |_| Arc::new(clock.clone()), tune).await;
    shop.import(&[product("p", &[variant("a", 100)])]).await;
    shop.settle().await;
    for _ in 0..2 {
        clock.advance(4_000 * DAY);
        // Four ticks: one may have begun before, one each ends the intents, submissions and audit trail of a pass.
        let passes = shop.ticked("retention") + 4;
        shop.until("a pass has ended", async || {
            clock.advance(DAY);
            shop.ticked("retention") >= passes
        })
        .await;
    }
    let kept = texts(&shop, "SELECT variant_id FROM meta_outbox UNION ALL SELECT state FROM meta_batch_handles").await;
    assert_eq!(kept, ["a", "completed"]);
    assert!(!texts(&shop, "SELECT action FROM meta_audit").await.is_empty());
    shop.close().await;
}

mod sqlite {
    use super::Engine;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn months_of_a_shop() {
        super::months_of_a_shop(Engine::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn for_ever() {
        super::for_ever(Engine::Sqlite).await;
    }
}

mod postgres {
    use super::Engine;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn months_of_a_shop() {
        super::months_of_a_shop(Engine::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn for_ever() {
        super::for_ever(Engine::Postgres).await;
    }
}
