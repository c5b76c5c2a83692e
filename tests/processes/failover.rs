//! Two real processes on one database: who runs the pipeline, and what the one that no longer does can still write.

use std::time::{Duration, Instant};

use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::domain::lint::Noted;
use catalog_sync::domain::state::SyncStatus;
use catalog_sync::store::lease::{self, Fence};
use catalog_sync::store::sync_state::Pushed;
use catalog_sync::store::{Db, Deposed, StoreError, outbox, settings, sync_state};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::crash::open_with;
use testkit::{CATALOG, Engine, PATIENCE, Plant, Serve, product, variant};

/// The lease where somebody waits for its end: what a busy machine may take on top is told from the wait by its length.
const LEASE: Duration = Duration::from_secs(12);
/// The lease where nobody may wait for its end: however busy the machine, nothing else takes as long.
const LONG_LEASE: Duration = Duration::from_secs(120);
const RUNS: &str = "this process runs the pipeline";

async fn open(engine: Engine) -> Plant {
    open_with(engine, LEASE).await
}

async fn price(plant: &Plant, subunits: i64) {
    plant.import(&[product("p", &[variant("a", subunits)])]).await;
}

fn price_at_meta(plant: &Plant) -> Option<String> {
    plant.item("a").and_then(|item| Some(item["price"].as_str()?.to_owned()))
}

async fn epoch(plant: &Plant) -> i64 {
    plant.count("SELECT epoch FROM lease").await
}

/// A process that runs the pipeline, and one that stands by.
async fn pair(plant: &Plant) -> (Serve, Serve) {
    let first = plant.serve_with("");
    followed(plant, first).await
}

/// Such a pair, of which the first stands still at this failpoint until [`Plant::go_on`].
async fn pair_waiting_at(plant: &Plant, failpoint: &str) -> (Serve, Serve) {
    let first = plant.serve_waiting_at(failpoint, "");
    followed(plant, first).await
}

async fn followed(plant: &Plant, first: Serve) -> (Serve, Serve) {
    first.log.until(RUNS).await;
    let second = plant.serve().await;
    assert!(!second.log.has(RUNS));
    (first, second)
}

/// Waits until the second process has taken over; answers how long that took.
async fn takes_over(second: &Serve, since: Instant) -> Duration {
    second.log.until(RUNS).await;
    let took = since.elapsed();
    eprintln!("took over after {took:?}");
    assert!(took < 2 * LEASE, "took over after {took:?}");
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_holder_is_followed_within_two_leases() {
    let plant = open(Engine::Postgres).await;
    let (mut first, second) = pair(&plant).await;
    price(&plant, 100).await;
    plant.settle(&first).await;
    let since = Instant::now();
    first.kill().await;
    price(&plant, 200).await;
    takes_over(&second, since).await;
    plant.settle(&second).await;
    assert_eq!(price_at_meta(&plant).as_deref(), Some("2.00 INR"));
    plant.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_asked_end_gives_the_lease_back() {
    let plant = open_with(Engine::Postgres, LONG_LEASE).await;
    let (mut first, second) = pair(&plant).await;
    let since = Instant::now();
    first.signal("TERM").await;
    assert!(first.end().await.success(), "{}", first.log.text());
    second.log.until(RUNS).await;
    assert!(since.elapsed() < LONG_LEASE, "nobody waits for a lease that was given back: {:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_stopped_outside_a_transaction_commits_nothing_more() {
    let plant = open(Engine::Postgres).await;
    let (first, second) = pair(&plant).await;
    price(&plant, 100).await;
    plant.settle(&first).await;
    let old = epoch(&plant).await;
    let since = Instant::now();
    first.signal("STOP").await;
    takes_over(&second, since).await;
    let held = epoch(&plant).await;
    assert!(held > old);
    // Both are awake, and there is work.
    first.signal("CONT").await;
    price(&plant, 200).await;
    first.log.until("another process runs the pipeline now").await;
    plant.settle(&second).await;
    assert_eq!(epoch(&plant).await, held, "the lease is still the second's");
    assert_eq!(plant.count("SELECT COUNT(*) FROM meta_batch_handles WHERE epoch = 1").await, 1);
    plant.check().await;
}

/// Stopped with a transaction open that holds the fence.
async fn stopped_inside(failpoint: &str) {
    let plant = open(Engine::Postgres).await;
    let (first, second) = pair_waiting_at(&plant, failpoint).await;
    price(&plant, 100).await;
    plant.nudge().await;
    first.log.until(&format!("failpoint {failpoint}")).await;
    let since = Instant::now();
    first.signal("STOP").await;
    takes_over(&second, since).await;
    plant.settle(&second).await;
    let held = epoch(&plant).await;
    let settled = "SELECT COALESCE(SUM(version), 0)::BIGINT FROM meta_sync_state";
    let before = plant.count(settled).await;
    plant.go_on();
    first.signal("CONT").await;
    first.log.until("another process runs the pipeline now").await;
    assert_eq!(epoch(&plant).await, held);
    plant.settle(&second).await;
    if failpoint.starts_with("poll") {
        assert_eq!(plant.count(settled).await, before, "the verdict of the deposed holder is gone");
    } else {
        // Its call counts as one of unknown outcome, never as one that was taken.
        let taken = "SELECT COUNT(*) FROM meta_batch_handles WHERE epoch = 1 AND state IN ('pending', 'completed')";
        assert_eq!(plant.count(taken).await, 0, "the transaction of the deposed holder is gone");
    }
    price(&plant, 200).await;
    plant.until("the new price", &second, async || price_at_meta(&plant).as_deref() == Some("2.00 INR")).await;
    plant.settle(&second).await;
    plant.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_stopped_before_its_call_is_committed() {
    stopped_inside("drain.beginning").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_stopped_while_it_records_a_call() {
    stopped_inside("drain.recording").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_stopped_while_it_records_a_verdict() {
    stopped_inside("poll.recording").await;
}

/// The worst of all: stopped when everything was checked and only the socket is left to be written. The call reaches
/// Meta after the next holder's, and no fence is there. What it did is found out and mended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_reaches_meta_too_late_is_mended() {
    let plant = open(Engine::Postgres).await;
    let (first, second) = pair_waiting_at(&plant, "drain.calling").await;
    let mut rich = variant("a", 100);
    rich["options"] = json!([{"name": "Colour", "value": "Red"}]);
    plant.import(&[product("p", &[rich])]).await;
    plant.nudge().await;
    first.log.until("failpoint drain.calling").await;
    first.signal("STOP").await;
    second.log.until(RUNS).await;
    price(&plant, 200).await;
    plant.until("the second's price", &second, async || price_at_meta(&plant).as_deref() == Some("2.00 INR")).await;
    plant.settle(&second).await;
    let batches = plant.meta.calls().items_batch;
    plant.go_on();
    first.signal("CONT").await;
    plant.until("the late call", &second, async || plant.meta.calls().items_batch > batches).await;
    // Whoever comes next: the late call's price and colour are gone again.
    first.log.until("another process runs the pipeline now").await;
    plant.until("mended", &second, async || price_at_meta(&plant).as_deref() == Some("2.00 INR")).await;
    plant.settle(&second).await;
    plant.check().await;
    assert_eq!(plant.status("a").await, Some(SyncStatus::Synced));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_are_made_anew() {
    let plant = open(Engine::Postgres).await;
    let serve = plant.serve().await;
    serve.log.until(RUNS).await;
    for (round, fault) in (0..).zip([true, false, true]) {
        if fault {
            let kind = graph_simulator::Kind::Held {};
            plant.meta.plan(graph_simulator::Fault { on: "items_batch".into(), skip: 0, times: 1, kind });
        }
        let calls = plant.meta.calls().items_batch;
        price(&plant, 100 + round).await;
        plant.until("the call", &serve, async || plant.meta.calls().items_batch > calls).await;
        terminate_backends(&plant).await;
        plant.meta.clear_faults();
        plant.settle(&serve).await;
        plant.check().await;
    }
}

/// Ends every connection of the program's, of this process too.
async fn terminate_backends(plant: &Plant) {
    let text = std::fs::read_to_string(&plant.config).expect("the configuration");
    let url = text.split('\'').find(|part| part.starts_with("postgres://")).expect("a URL");
    let mut own = PgConnection::connect(url).await.expect("a connection");
    let sql = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'meta-catalog'";
    let ended: i64 = sqlx::query_scalar(sql).fetch_one(&mut own).await.expect("ended");
    assert!(ended > 1, "{ended} connections ended");
}

/// Waits until somebody waits for a lock.
async fn waits_for_a_lock(plant: &Plant) {
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let began = Instant::now();
    while plant.count(sql).await == 0 {
        assert!(began.elapsed() < PATIENCE, "nobody waits");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_may_start_at_once_on_an_empty_database() {
    let plant = open(Engine::Postgres).await;
    for _ in 0..5 {
        let Db::Postgres { pool, .. } = plant.db() else { unreachable!("PostgreSQL") };
        sqlx::query("DROP SCHEMA meta_catalog CASCADE").execute(pool).await.expect("emptied");
        let mut replicas: Vec<Serve> = (0..3).map(|_| plant.program.serve(&plant.config)).collect();
        for replica in &mut replicas {
            replica.listening().await;
            assert!(replica.ended().is_none(), "{}", replica.log.text());
        }
    }
}

/// A transaction of the pipeline that waited for the selection of another catalog must see it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fence_sees_a_catalog_that_was_selected_while_it_waited() {
    let plant = open(Engine::Postgres).await;
    let db = plant.db();
    let fence: Fence = lease::take(db, "test", 60_000).await.expect("an answer").expect("nobody has it");
    let mut selecting = db.write().await.expect("a transaction");
    let changes =
        settings::Changes { values: [("catalog_id".to_owned(), Some(json!("4000000002")))].into(), app_secret: None };
    settings::write(&mut selecting, &plant.app.keyring, &changes, 0).await.expect("written");
    let waiting = tokio::spawn({
        let (db, fence) = (db.clone(), fence.clone());
        async move { fence.begin(&db, Some(CATALOG)).await.map(drop) }
    });
    waits_for_a_lock(&plant).await;
    selecting.commit().await.expect("committed");
    let begun = waiting.await.expect("no panic");
    assert!(matches!(begun, Err(StoreError::Deposed(Deposed::Catalog))), "{begun:?}");
}

#[tokio::test]
async fn a_holder_that_lost_track_takes_its_own_lease_again() {
    let plant = open(Engine::Postgres).await;
    let take = async |holder| lease::take(plant.db(), holder, 60_000).await.expect("an answer");
    let first = take("a").await.expect("nobody has it");
    assert_eq!(take("b").await, None);
    let again = take("a").await.expect("its own");
    assert!(again.epoch > first.epoch);
    assert!(matches!(first.begin(plant.db(), None).await, Err(StoreError::Deposed(Deposed::Lease))));
}

/// An intake creates rows in the order of their ids; the pipeline has to create them in the same order.
#[tokio::test]
async fn an_intake_and_the_pipeline_do_not_wait_for_each_other() {
    let plant = open(Engine::Postgres).await;
    let db = plant.db();
    let fence = lease::take(db, "test", 60_000).await.expect("an answer").expect("nobody has it");
    let mut intake = db.write().await.expect("a transaction");
    let append =
        async |tx: &mut _, id: &str| outbox::append(tx, &[id.to_owned()], Intent::Upsert, Origin::Event, 0).await;
    append(&mut intake, "a").await.expect("appended");
    let recording = tokio::spawn({
        let db = db.clone();
        async move {
            let mut tx = fence.begin(&db, None).await?;
            let rows = ["b", "a"].map(|variant_id| Pushed {
                variant_id,
                product_id: None,
                status: SyncStatus::Failed,
                handle: None,
                hash: None,
                pushed: true,
                error: None,
                count_attempt: false,
                at_meta: true,
                fields_at_meta: None,
                mapper_digest: None,
                reeval_at: None,
                noted: &Noted::NOTHING,
                cause: None,
            });
            sync_state::record_pushed(&mut tx, CATALOG, &rows, 0).await?;
            tx.commit().await
        }
    });
    waits_for_a_lock(&plant).await;
    append(&mut intake, "b").await.expect("appended");
    intake.commit().await.expect("committed");
    recording.await.expect("no panic").expect("recorded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_sqlite_is_refused_and_says_so() {
    let plant = open_with(Engine::Sqlite, LONG_LEASE).await;
    let mut first = plant.serve().await;
    let mut second = plant.program.serve(&plant.config);
    assert_eq!(second.end().await.code(), Some(1));
    second.log.until("another meta-catalog process runs on").await;
    assert!(first.ended().is_none());

    // After a kill -9 the next start waits for nothing.
    first.kill().await;
    let since = Instant::now();
    price(&plant, 100).await;
    let third = plant.serve().await;
    third.log.until(RUNS).await;
    plant.until("at Meta", &third, async || plant.item("a").is_some()).await;
    assert!(since.elapsed() < LONG_LEASE, "waited {:?}", since.elapsed());
    plant.settle(&third).await;
    plant.check().await;
}
