//! Re-asks: a changed setting, another built-in mapper and a bootstrap ask again for what they can change, and for nothing
//! else; behind what the shop changes. The kills are in `tests/processes/reask.rs`.

use std::collections::BTreeMap;

use catalog_sync::admin::status;
use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::domain::reask::Reason;
use catalog_sync::domain::state::SyncStatus;
use catalog_sync::store::{bulk, reask};
use serde_json::json;

use testkit::{CATALOG, Engine, Shop, half_branded, product, variant};

const VARIANTS: usize = 2_000;

/// The re-ask of a reason, if there was one.
async fn find(shop: &Shop, reason: Reason) -> Option<reask::Reask> {
    let mut tx = shop.db().read().await.expect("a connection");
    reask::find(&mut tx, reason).await.expect("read")
}

/// Waits until no re-ask is under way and everything is settled.
async fn settle(shop: &Shop) {
    shop.until("no re-ask is under way", async || {
        shop.service.app.wake.all();
        let mut tx = shop.db().read().await.expect("a connection");
        // In this order: a re-ask that begins in between is seen.
        !reask::is_renamed(&mut tx).await.expect("read") && reask::next(&mut tx).await.expect("read").is_none()
    })
    .await;
    shop.settle().await;
}

fn rows(shop: &Shop) -> u64 {
    shop.meta.calls().batch_rows
}

/// How often each price is at Meta.
fn currencies(shop: &Shop) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for item in shop.meta.items(CATALOG).expect("the catalog").values() {
        let price = item["price"].as_str().expect("a price");
        *counts.entry(price.split(' ').nth(1).expect("a currency").to_owned()).or_default() += 1;
    }
    counts
}

async fn synced(engine: Engine) -> Shop {
    let shop = Shop::open(engine).await;
    shop.set(json!({"identifier_exists_fallback": true})).await;
    shop.import(&half_branded(VARIANTS)).await;
    shop.import(&[product("free", &[variant("no-price", 0)])]).await;
    shop.settle().await;
    assert_eq!(currencies(&shop), [("INR".to_owned(), VARIANTS)].into());
    shop
}

async fn a_changed_setting(engine: Engine) {
    let shop = synced(engine).await;
    let (before, asked) = (rows(&shop), find(&shop, Reason::Settings).await);
    // A setting that no payload rests on.
    shop.set(json!({"max_attempts": 7, "poll_interval_seconds": 20})).await;
    assert_eq!(find(&shop, Reason::Settings).await, asked);

    // One that changes half of the payloads: the brand of products without one.
    shop.set(json!({"business_name": "Acme Holdings"})).await;
    let begun = find(&shop, Reason::Settings).await.expect("begun in the transaction of the PATCH");
    assert!(begun.queued <= i64::try_from(VARIANTS).expect("small"));
    settle(&shop).await;
    assert_eq!(rows(&shop) - before, u64::try_from(VARIANTS / 2).expect("small"), "what changed, and nothing else");
    shop.check().await;

    // The currency changes all of them; what is not eligible stays so.
    let before = rows(&shop);
    shop.set(json!({"currency": "USD"})).await;
    settle(&shop).await;
    assert_eq!(rows(&shop) - before, u64::try_from(VARIANTS).expect("small"));
    assert_eq!(currencies(&shop), [("USD".to_owned(), VARIANTS)].into());
    assert_eq!(shop.status("no-price").await, Some(SyncStatus::Skipped));
    shop.check().await;

    // The same value again asks for nothing.
    let before = (rows(&shop), find(&shop, Reason::Settings).await);
    shop.set(json!({"currency": "USD"})).await;
    settle(&shop).await;
    assert_eq!((rows(&shop), find(&shop, Reason::Settings).await), before);

    // Operators see how far it is.
    let shown = status::status(&shop.service.app).await.expect("a status").reasks;
    let settings = shown.iter().find(|shown| shown.reason == "settings").expect("the re-ask");
    let walked = i64::try_from(VARIANTS + 1).expect("small");
    assert_eq!((settings.running, settings.total, settings.queued), (false, Some(walked), walked));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_setting_sends_what_it_changes_on_sqlite() {
    a_changed_setting(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_setting_sends_what_it_changes_on_postgres() {
    a_changed_setting(Engine::Postgres).await;
}

/// The shop's names and paths change: each ends with Meta equal to the mapper's word, without a bootstrap.
async fn renames(engine: Engine) {
    const MANY: usize = 10_000;
    let shop = Shop::open(engine).await;
    shop.set(json!({"batch_size": 5000, "identifier_exists_fallback": true})).await;
    let made_by = |title: &str| json!({"id": "brand", "title": title});
    let mut products = half_branded(MANY);
    for product in &mut products {
        product["brand"] = made_by("Old");
    }
    shop.import(&products).await;
    shop.settle().await;
    let brands = || {
        let items = shop.meta.items(CATALOG).expect("the catalog");
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for item in items.values() {
            *counts.entry(item["brand"].as_str().expect("a brand").to_owned()).or_default() += 1;
        }
        counts
    };
    assert_eq!(brands(), [("Old".to_owned(), MANY)].into());

    // One product brings the brand's new title, which all of them show. Only its own variants are asked for at once.
    products.truncate(1);
    products[0]["brand"] = made_by("New");
    assert_eq!(shop.import(&products).await.intents, 10);
    settle(&shop).await;
    assert_eq!(brands(), [("New".to_owned(), MANY)].into());
    shop.check().await;

    shop.set(json!({"storefront_product_path": "/p/{slug}"})).await;
    settle(&shop).await;
    shop.check().await;
    let linked = |item: &serde_json::Value| item["link"].as_str().is_some_and(|link| link.contains("/p/"));
    assert!(shop.meta.items(CATALOG).expect("the catalog").values().all(linked));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_brand_and_a_changed_path_reach_meta_on_sqlite() {
    renames(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_brand_and_a_changed_path_reach_meta_on_postgres() {
    renames(Engine::Postgres).await;
}

/// A change of the shop during a re-ask goes out within four calls, however much the re-ask has before it.
async fn a_change_meanwhile(engine: Engine) {
    let shop = synced(engine).await;
    shop.set(json!({"batch_size": 50})).await;
    // The first call of the re-ask stands still until the shop has changed.
    shop.meta.plan(graph_simulator::Fault {
        on: "items_batch".into(),
        skip: 0,
        times: 1,
        kind: graph_simulator::Kind::Held {},
    });
    let calls = shop.batches();
    shop.set(json!({"currency": "USD"})).await;
    shop.until("a call of the re-ask is under way", async || {
        shop.service.app.wake.all();
        shop.batches() > calls
    })
    .await;
    shop.import(&[product("p-199", &[variant("v-199-9", 99_900)])]).await;
    let calls = shop.batches();
    shop.meta.clear_faults();
    shop.until("the change is at Meta", async || {
        shop.service.app.wake.all();
        shop.item("v-199-9").is_some_and(|item| item["price"] == "999.00 USD")
    })
    .await;
    let waited = shop.batches() - calls;
    assert!(waited <= 8, "the change waited for {waited} calls of 50 rows out of {VARIANTS}");
    settle(&shop).await;
    assert_eq!(currencies(&shop), [("USD".to_owned(), VARIANTS)].into());
    shop.check().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_meanwhile_is_not_held_up_on_sqlite() {
    a_change_meanwhile(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_meanwhile_is_not_held_up_on_postgres() {
    a_change_meanwhile(Engine::Postgres).await;
}

/// The built-in mapper of the version before made other payloads for a part of the catalog.
async fn another_builtin(engine: Engine) {
    let shop = synced(engine).await;
    let before = rows(&shop);

    // The same version again asks for nothing.
    let shop = shop.restart(|_| ()).await;
    settle(&shop).await;
    assert_eq!((rows(&shop), find(&shop, Reason::MapperUpgrade).await), (before, None));

    shop.sql("UPDATE made_with SET builtin_digest = 'builtin-0.0.9-000000000000'").await;
    shop.sql("UPDATE meta_sync_state SET last_pushed_hash = 'other' WHERE variant_id LIKE 'v-1%'").await;
    let shop = shop.restart(|_| ()).await;
    shop.until("the re-ask has begun", async || find(&shop, Reason::MapperUpgrade).await.is_some()).await;
    settle(&shop).await;
    assert_eq!(rows(&shop) - before, 1_000, "what the version before made otherwise, and nothing else");
    shop.check().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_built_in_mapper_asks_again_on_sqlite() {
    another_builtin(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_built_in_mapper_asks_again_on_postgres() {
    another_builtin(Engine::Postgres).await;
}

/// What an operator removed stays so, whatever the settings become; a bootstrap brings it back.
async fn what_an_operator_removed(engine: Engine) {
    let shop = Shop::open(engine).await;
    shop.import(&[product("p", &[variant("a", 100), variant("unwanted", 200)])]).await;
    shop.settle().await;
    shop.ask(&["unwanted"], Intent::Delete, Origin::Operator).await;
    shop.settle().await;
    shop.set(json!({"currency": "USD"})).await;
    settle(&shop).await;
    assert_eq!((shop.item("unwanted"), shop.status("unwanted").await), (None, Some(SyncStatus::Deleted)));
    assert_eq!(currencies(&shop), [("USD".to_owned(), 1)].into());
    shop.bootstrap().await;
    settle(&shop).await;
    shop.check().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_removed_stays_so_on_sqlite() {
    what_an_operator_removed(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_removed_stays_so_on_postgres() {
    what_an_operator_removed(Engine::Postgres).await;
}

/// A setting changes while an operator's deletes are on their way: one waits for its verdict, one was refused, one was
/// previewed. The re-ask replaces none of them.
async fn deletes_on_their_way(engine: Engine) {
    use graph_simulator::{Fault, Kind};
    let shop = Shop::open(engine).await;
    let ids = ["kept", "previewed", "refused", "waiting"];
    shop.import(&[product("p", &ids.map(|id| variant(id, 100)))]).await;
    shop.settle().await;

    let refused = Kind::ValidationErrors { ids: vec!["refused".into()], message: "No.".into() };
    shop.meta.plan(Fault { on: "items_batch".into(), skip: 0, times: 1, kind: refused });
    shop.meta.plan(Fault { on: "check_batch_request_status".into(), skip: 0, times: 1, kind: Kind::Held {} });
    shop.ask(&["refused", "waiting"], Intent::Delete, Origin::Operator).await;
    shop.until("one delete waits, one is refused", async || {
        let states = (shop.status("waiting").await, shop.status("refused").await);
        states == (Some(SyncStatus::Submitted), Some(SyncStatus::Failed))
    })
    .await;
    shop.set(json!({"feed_mode": "preview"})).await;
    shop.ask(&["previewed"], Intent::Delete, Origin::Operator).await;
    let previewed = "SELECT COUNT(*) FROM meta_outbox WHERE variant_id = 'previewed' AND outcome = 'previewed'";
    shop.until("the delete is previewed", async || shop.count(previewed).await == 1).await;

    shop.set(json!({"currency": "USD"})).await;
    shop.until("the re-ask has passed", async || {
        shop.service.app.wake.all();
        find(&shop, Reason::Settings).await.is_some_and(|reask| reask.finished_at.is_some())
    })
    .await;
    shop.set(json!({"feed_mode": "live"})).await;
    shop.meta.clear_faults();
    settle(&shop).await;
    assert_eq!((shop.item("waiting"), shop.item("previewed")), (None, None));
    assert_eq!(shop.status("refused").await, Some(SyncStatus::Failed));
    assert_eq!(shop.item("kept").expect("at Meta")["price"], "1.00 USD");

    // The refused delete is still known as one.
    let mut tx = shop.db().write().await.expect("a transaction");
    bulk::requeue_failed(&mut tx, shop.service.app.now()).await.expect("queued");
    tx.commit().await.expect("committed");
    settle(&shop).await;
    assert_eq!(shop.item("refused"), None);

    // A re-map brings them back, and from then on they follow the settings again.
    let mut tx = shop.db().write().await.expect("a transaction");
    reask::begin(&mut tx, Reason::Remap, None, shop.service.app.now()).await.expect("begun");
    tx.commit().await.expect("committed");
    settle(&shop).await;
    shop.check().await;
    shop.set(json!({"currency": "EUR"})).await;
    settle(&shop).await;
    assert_eq!(currencies(&shop), [("EUR".to_owned(), 4)].into());
    shop.check().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletes_on_their_way_are_not_undone_on_sqlite() {
    deletes_on_their_way(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletes_on_their_way_are_not_undone_on_postgres() {
    deletes_on_their_way(Engine::Postgres).await;
}

/// A bootstrap that is not through yet: it respects what an operator removes meanwhile, and starts over for another
/// catalog.
async fn a_bootstrap_under_way(engine: Engine) {
    let shop = Shop::open(engine).await;
    let ids = ["a", "b", "c", "d", "e", "f"];
    shop.set(json!({"batch_size": 1})).await;
    shop.import(&[product("p", &ids.map(|id| variant(id, 100)))]).await;
    shop.settle().await;

    // While the sync is off, the bootstrap stops after a few variants.
    shop.set(json!({"sync_enabled": false})).await;
    shop.ticks("drain", 2).await;
    assert_eq!(shop.bootstrap().await, 6);
    let bootstrap = async || find(&shop, Reason::Bootstrap).await.expect("a bootstrap");
    shop.until("the bootstrap waits", async || {
        shop.service.app.wake.all();
        bootstrap().await.queued == 2
    })
    .await;
    shop.ask(&["f"], Intent::Delete, Origin::Operator).await;
    shop.set(json!({"sync_enabled": true})).await;
    settle(&shop).await;
    assert_eq!((shop.item("f"), shop.status("f").await), (None, Some(SyncStatus::Deleted)));
    assert!(shop.item("e").is_some());

    shop.set(json!({"sync_enabled": false})).await;
    shop.ticks("drain", 2).await;
    shop.bootstrap().await;
    shop.until("the bootstrap waits", async || {
        shop.service.app.wake.all();
        bootstrap().await.queued == 2
    })
    .await;
    shop.set(json!({"catalog_id": "4242"})).await;
    let again = bootstrap().await;
    assert_eq!((again.after_id.as_str(), again.queued, again.finished_at), ("", 0, None));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bootstrap_under_way_respects_what_comes_on_sqlite() {
    a_bootstrap_under_way(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bootstrap_under_way_respects_what_comes_on_postgres() {
    a_bootstrap_under_way(Engine::Postgres).await;
}

/// A setting changes while a call is under way whose variants the re-ask passes over, since they wait for the drain.
async fn a_call_under_way(engine: Engine) {
    let shop = Shop::open(engine).await;
    shop.import(&[product("p", &[variant("a", 100)])]).await;
    shop.settle().await;
    shop.meta.plan(graph_simulator::Fault {
        on: "items_batch".into(),
        skip: 0,
        times: 1,
        kind: graph_simulator::Kind::Held {},
    });
    shop.import(&[product("p", &[variant("a", 200)])]).await;
    shop.until("the call is under way", async || shop.batches() == 2).await;
    shop.set(json!({"currency": "USD"})).await;
    shop.until("the re-ask has passed", async || {
        shop.service.app.wake.reask.nudge();
        find(&shop, Reason::Settings).await.is_some_and(|reask| reask.finished_at.is_some())
    })
    .await;
    shop.meta.clear_faults();
    shop.settle().await;
    assert_eq!(shop.item("a").expect("at Meta")["price"], "2.00 USD");
    shop.check().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_under_way_is_asked_for_again_on_sqlite() {
    a_call_under_way(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_under_way_is_asked_for_again_on_postgres() {
    a_call_under_way(Engine::Postgres).await;
}
