//! Renewals of the lease while a module is being loaded.

use std::sync::Arc;

use catalog_sync::admin::mapper::{self, Source};
use catalog_sync::clock::SystemClock;
use catalog_sync::startup;

use testkit::modules::{digest, module};
use testkit::{Engine, Shop, product, variant};

/// Waits until this process has the lease. Returns its epoch and its expiry.
async fn holding(shop: &Shop) -> (i64, i64) {
    let current = || shop.service.app.lease.current();
    shop.until("it has the lease", async || current().is_some()).await;
    let held = current().expect("just seen");
    (held.fence.epoch, held.until)
}

/// Waits until the lease was renewed this many more times.
async fn renewals(shop: &Shop, more: u64) {
    let enough = shop.ticked("lease") + more;
    shop.until("the lease was renewed", async || {
        shop.service.app.lease.keeper().nudge();
        shop.ticked("lease") >= enough
    })
    .await;
}

/// While a load does not end, the lease holder keeps renewing, sends nothing with its current mapper, and switches to
/// the new one once it is loaded.
async fn a_load_without_an_end(engine: Engine) {
    let shop = Shop::open(engine).await;
    let app = &shop.service.app;
    let (epoch, until) = holding(&shop).await;
    let builtin = app.active.current();
    // A task that has the turn counts as loading.
    let follower = app.active.follower().await.expect("a turn");

    let twin = module("fixtures/twin");
    let elsewhere = startup::build(&shop.config, Arc::new(SystemClock)).await.expect("a store");
    mapper::activate(&elsewhere, twin.clone(), Source::Cli, false).await.expect("activated");
    elsewhere.db.close().await;
    shop.import(&[product("p", &[variant("a", 500)])]).await;
    renewals(&shop, 5).await;
    let held = app.lease.current().expect("it has the lease");
    assert_eq!(held.fence.epoch, epoch, "it was not lost in between");
    assert!(held.until > until, "it was renewed");
    assert_eq!(app.active.current().key(), builtin.key());
    assert_eq!(shop.batches(), 0);

    drop(follower);
    shop.settle().await;
    assert_eq!(**app.active.current().key(), *digest(&twin));
    assert_eq!(shop.item("a").expect("at Meta")["custom_label_3"], "fixture");
    assert_eq!(shop.batches(), 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_outlasts_a_load_without_an_end_on_sqlite() {
    a_load_without_an_end(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_outlasts_a_load_without_an_end_on_postgres() {
    a_load_without_an_end(Engine::Postgres).await;
}

/// Compiles a real module, which takes about a second, on a runtime with one thread. If that thread compiled, nothing
/// else would happen before the end of the compilation.
#[tokio::test]
async fn a_compile_is_not_on_the_runtime_s_threads() {
    let shop = Shop::open(Engine::Sqlite).await;
    let (_, until) = holding(&shop).await;
    let app = Arc::clone(&shop.service.app);
    let label = module("seasonal-label");
    let elsewhere = startup::build(&shop.config, Arc::new(SystemClock)).await.expect("a store");
    mapper::activate(&elsewhere, label.clone(), Source::Cli, false).await.expect("activated");
    elsewhere.db.close().await;
    // It passed its trial elsewhere, so it is compiled here at once.
    let mut load = std::pin::pin!(app.active.follow());
    tokio::select! {
        biased;
        loaded = &mut load => panic!("loaded before anything else happened: {loaded:?}"),
        () = renewals(&shop, 2) => {}
    }
    assert!(app.lease.current().is_some_and(|held| held.until > until));
    assert_eq!(**load.await.expect("a good module").key(), *digest(&label));
    shop.close().await;
}
