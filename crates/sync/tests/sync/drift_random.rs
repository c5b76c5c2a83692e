//! Without tampering nothing drifts, whatever the shop does while sweeps go on. `DRIFT_SEEDS` sets how many plans are
//! tried, `DRIFT_SEED` the first one.

use catalog_sync::admin::drift;
use catalog_sync::domain::intent::{Intent, Origin};
use fastrand::Rng;
use serde_json::json;
use testkit::{Engine, Stage, variable};

use crate::drift::{GRACE, at_rest, looked};

const VARIANTS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
const STEPS: usize = 12;

/// Something that a shop, an operator or the time does.
async fn act(stage: &Stage, rng: &mut Rng) -> String {
    let variant = VARIANTS[rng.usize(..VARIANTS.len())];
    match rng.u8(..9) {
        0..=2 => {
            let price = rng.i64(1..1_000_000);
            stage.sell(&[variant], price).await;
            format!("{variant} costs {price}")
        }
        3 => {
            let is_archived = rng.bool();
            stage.archive(is_archived).await;
            format!("archived: {is_archived}")
        }
        4 => {
            stage.ask(&[variant], Intent::Delete, Origin::Operator).await;
            format!("{variant} is deleted")
        }
        5 => {
            let condition = ["new", "used", "refurbished"][rng.usize(..3)];
            stage.set(json!({"default_condition": condition})).await;
            format!("everything is {condition}")
        }
        6 => {
            let ms = rng.i64(1..2 * GRACE);
            stage.pass(ms);
            format!("{ms} ms pass")
        }
        7 => {
            stage.settle().await;
            "it settles".into()
        }
        _ => {
            stage.ask(&[variant], Intent::Upsert, Origin::Operator).await;
            format!("{variant} is asked for")
        }
    }
}

async fn nothing_is_found(engine: Engine) {
    let stage = at_rest(engine, &VARIANTS).await;
    let (first, seeds) = (variable("DRIFT_SEED").unwrap_or(1u64), variable("DRIFT_SEEDS").unwrap_or(6u64));
    for seed in first..first + seeds {
        let mut rng = Rng::with_seed(seed);
        let mut done = Vec::new();
        for _ in 0..STEPS {
            done.push(act(&stage, &mut rng).await);
            if rng.bool() {
                drift::sweep(&stage.service.app).await.expect("begun");
            }
            if rng.u8(..3) == 0 {
                looked(&stage).await;
            }
            stage.pass(rng.i64(0..GRACE));
            stage.service.app.wake.drift.nudge();
            let found = "SELECT variant_id, class, details FROM drift_finding ORDER BY variant_id";
            let found = stage.rows::<(String, String, String)>(found).await;
            assert!(found.is_empty(), "seed {seed}, after {done:#?}: {found:#?}");
        }
    }
    stage.settle().await;
    looked(&stage).await;
    let swept = stage.count("SELECT CAST(COALESCE(SUM(looked), 0) AS BIGINT) FROM drift_sweep").await;
    assert!(swept > 0, "the sweeps looked at something");
    // What an operator deleted comes back, and everything is as the shop says.
    stage.bootstrap().await;
    stage.settle().await;
    stage.check().await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_where_nothing_was_tampered_with_on_sqlite() {
    nothing_is_found(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_where_nothing_was_tampered_with_on_postgres() {
    nothing_is_found(Engine::Postgres).await;
}
