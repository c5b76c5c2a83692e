//! The limiter against Meta's real bucket: 8 batch calls in a rolling minute, reported in headers.

use catalog_sync::domain::budget::{Admission, Bucket, LimiterConfig};
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
