//! The limiter against Meta's real bucket: 8 batch calls in a rolling minute, reported in headers.

use catalog_sync::domain::budget::{Admission, Bucket, LimiterConfig};
use catalog_sync::intake::events::{self, Events};
use graph_simulator::Kind;
use serde_json::json;

use testkit::{CATALOG, Engine, Stage};

/// Opens a stage with Meta's own quota on both sides and one row per call.
async fn metered(engine: Engine) -> Stage {
    let stage = Stage::open_with(engine, |config| config.limiter = LimiterConfig::default()).await;
    stage.meta.configure(|world| world.quotas.batch_per_minute = 8);
    stage.set(json!({"batch_size": 1})).await;
    stage
}

/// Fills the outbox with this many rows. Each row becomes a call of its own.
async fn backlog(stage: &Stage, rows: usize) {
    let ids: Vec<String> = (0..rows).map(|n| format!("v{n:03}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    stage.sell(&ids, 100).await;
}

/// Lets time pass in small steps while there is a backlog. Waits at each step until a due call is made and recorded.
async fn run(stage: &Stage, ms: i64) {
    let end = stage.now() + ms;
    while stage.now() < end {
        let calls = stage.sent().await.len();
        match stage.service.app.limiter.peek(CATALOG, Bucket::Batch).await.expect("a limiter") {
            Admission::Permit => {
                stage
                    .wait("the call that is due is made and recorded", async || {
                        let sent = stage.sent().await;
                        sent.len() > calls && sent.iter().all(|sent| sent.state != "sending")
                    })
                    .await;
            }
            Admission::ClosedUntil(until) => stage.drift((until - stage.now()).min(250).min(end - stage.now())),
        }
    }
}

async fn no_throttle_and_the_allowance_used(engine: Engine) {
    let stage = metered(engine).await;
    backlog(&stage, 30).await;
    run(&stage, 3 * 60_000).await;
    let calls = stage.meta.calls();
    assert_eq!(calls.throttled, 0);
    // Three minutes contain 24 calls, plus the call at their start.
    assert!((22..=25).contains(&calls.items_batch), "{} calls", calls.items_batch);
    stage.close().await;
}

/// With `budget` pacing and three minutes of backlog, Meta throttles nothing and nine tenths of the allowance are used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_throttle_and_the_allowance_used_on_sqlite() {
    no_throttle_and_the_allowance_used(Engine::Sqlite).await;
}

/// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_throttle_and_the_allowance_used_on_postgres() {
    no_throttle_and_the_allowance_used(Engine::Postgres).await;
}

/// Everything that was sent of these variants, call by call.
async fn calls_with(stage: &Stage, variants: &[&str]) -> Vec<usize> {
    let rows: Vec<(String,)> =
        stage.rows("SELECT CAST(rows AS TEXT) FROM meta_batch_handles ORDER BY submitted_at, id").await;
    variants
        .iter()
        .map(|variant| {
            let is_in = |(rows,): &(String,)| rows.contains(&format!("\"{variant}\""));
            rows.iter().rposition(is_in).expect("it was sent")
        })
        .collect()
}

async fn a_stock_change_overtakes(engine: Engine) {
    let stage = metered(engine).await;
    stage.set(json!({"batch_size": 12})).await;
    backlog(&stage, 12).await;
    stage.settle().await;
    // At 8 calls a minute this is a backlog of half an hour; the next calls are full of it.
    let ids: Vec<String> = (100..3_100).map(|n| format!("v{n}")).collect();
    stage.sell(&ids.iter().map(String::as_str).collect::<Vec<_>>(), 100).await;
    run(&stage, 20_000).await;

    let before = stage.sent().await.len();
    stage.sql("UPDATE inventory_stock SET quantity_on_hand = 0 WHERE variant_id = 'v003'").await;
    let app = &stage.service.app;
    for event in [
        json!({"event": "inventory.stock.adjusted", "variantId": "v003"}),
        json!({"event": "vendor.product.variant.deleted", "variantId": "v004"}),
        json!({"event": "vendor.product.variant.updated", "variantId": "v3099"}),
    ] {
        let event = Events::One(event.as_object().expect("an event").clone());
        events::take(app, &event).await.expect("taken");
    }
    run(&stage, 20_000).await;
    for at in calls_with(&stage, &["v003", "v004", "v3099"]).await {
        assert!((before..before + 2).contains(&at), "call {at}, and {before} were made before the change");
    }
    // The backlog has its share of the same calls.
    let left = stage.count("SELECT COUNT(*) FROM meta_outbox WHERE processed_at IS NULL AND lane = 2").await;
    let calls = i64::try_from(stage.sent().await.len() - 1).expect("few");
    assert!(left > 2_000 && left <= 3_000 - (calls * 12 - 3), "{left} are left after {calls} calls");
    stage.close().await;
}

/// With a backlog of the whole shop, a stock change, a delete and another change reach Meta within two calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_change_overtakes_on_sqlite() {
    a_stock_change_overtakes(Engine::Sqlite).await;
}

/// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_change_overtakes_on_postgres() {
    a_stock_change_overtakes(Engine::Postgres).await;
}

/// A pause accumulates no permits: the first calls after it are not made in pairs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_time_saves_no_permit_up() {
    let stage = metered(Engine::Sqlite).await;
    stage.look_twice(60_000).await;
    backlog(&stage, 12).await;
    run(&stage, 61_000).await;
    let calls = stage.meta.calls();
    assert_eq!(calls.throttled, 0);
    assert!((8..=9).contains(&calls.items_batch), "{} calls", calls.items_batch);
    stage.close().await;
}

/// Another client uses the allowance as well. The header reports this from 80 % on, and calls slow down and are not
/// throttled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_header_slows_calls_from_80_percent() {
    let stage = metered(Engine::Sqlite).await;
    // Meta allows only 5 calls a minute, and reports this only in its headers.
    stage.meta.configure(|world| world.quotas.batch_per_minute = 5);
    backlog(&stage, 30).await;
    run(&stage, 3 * 60_000).await;
    let calls = stage.meta.calls();
    assert_eq!(calls.throttled, 0);
    assert!((6..=16).contains(&calls.items_batch), "{} calls", calls.items_batch);
    stage.close().await;
}

async fn closed_until_survives(engine: Engine) {
    let stage = metered(engine).await;
    stage.strike("items_batch", Kind::Throttle { regain_minutes: 10 });
    backlog(&stage, 2).await;
    stage.wait("the throttle is recorded", async || stage.last_asked("v000").await.attempts == 1).await;
    let Admission::ClosedUntil(until) = look(&stage).await else { panic!("open") };

    let stage = stage.restart(60_000).await;
    stage.wait("the lease is taken", async || stage.service.app.lease.current().is_some()).await;
    assert_eq!(look(&stage).await, Admission::ClosedUntil(until));
    stage.look_twice(6_000).await;
    assert_eq!(stage.batches(), 1);
    stage.pass(until - stage.now() - 1);
    stage.look_twice(0).await;
    assert_eq!(stage.batches(), 1);
    stage.settle().await;
    assert_eq!(stage.batches(), 3);
    stage.close().await;
}

async fn look(stage: &Stage) -> Admission {
    stage.service.app.limiter.peek(CATALOG, Bucket::Batch).await.expect("a limiter")
}

/// Meta's throttle survives a restart of the service. A separate test covers a restart of the limiter actor alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_until_survives_on_sqlite() {
    closed_until_survives(Engine::Sqlite).await;
}

/// The same on PostgreSQL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_until_survives_on_postgres() {
    closed_until_survives(Engine::Postgres).await;
}
