//! A process dies in the middle of a drift sweep or of a repair.

use catalog_sync::admin::drift;
use catalog_sync::failpoints::Point;
use serde_json::json;
use testkit::{CATALOG, Engine, Plant, Serve, half_branded};

use crate::crash::open;

const SWEEP: [Point; 4] = [Point::DriftAsking, Point::DriftAnswered, Point::DriftRecording, Point::DriftRecorded];
const REPAIR: [Point; 2] = [Point::DriftRepairing, Point::DriftRepaired];
/// Longer than the grace, in milliseconds.
const LATER: i64 = 120_000;
/// The number of items that are changed behind our back.
const CHANGED: usize = 40;

/// The points that these tests run into.
pub(crate) fn killed() -> impl Iterator<Item = Point> {
    SWEEP.into_iter().chain(REPAIR)
}

/// Runs into the failpoint at its nth passage, which ends the process.
async fn dies_at(plant: &Plant, point: Point, nth: u32) {
    let mut serve = plant.serve_with(&format!("{}=kill@{nth}", point.name()));
    serve.end().await;
    assert!(serve.log.has(point.name()), "{}", serve.log.text());
    plant.lease_ends().await;
}

async fn is_swept(plant: &Plant) -> bool {
    let due = format!("SELECT COUNT(*) FROM drift_finding WHERE look_at <= {}", plant.now());
    plant.count("SELECT COUNT(*) FROM drift_sweep WHERE outcome IS NULL").await == 0 && plant.count(&due).await == 0
}

async fn ends(plant: &Plant, mut serve: Serve) {
    serve.kill().await;
    plant.lease_ends().await;
}

/// Starts a process, and waits until it has nothing to look at.
async fn sweeps_to_the_end(plant: &Plant) {
    let serve = plant.serve().await;
    plant.until("the sweep has ended", &serve, async || is_swept(plant).await).await;
    ends(plant, serve).await;
}

async fn a_kill_loses_nothing_and_repairs_nothing_twice(engine: Engine) {
    let plant = open(engine).await;
    plant.import(&half_branded(120)).await;
    plant
        .set(json!({"drift_grace_minutes": 1, "drift_sweep_hours": 0, "drift_budget_percent": 50,
            "drift_repair": ["missing", "price"]}))
        .await;
    let serve = plant.serve().await;
    plant.settle(&serve).await;
    ends(&plant, serve).await;
    // The first sweep only tells; here it has nothing to tell.
    plant.ahead(LATER);
    drift::sweep(&plant.app).await.expect("begun");
    sweeps_to_the_end(&plant).await;
    assert_eq!(plant.count("SELECT looked FROM drift_sweep").await, 120);

    let ids: Vec<String> = plant.meta.items(CATALOG).expect("the catalog").into_keys().collect();
    for id in ids.iter().step_by(3).take(CHANGED / 2) {
        assert!(plant.meta.tamper(CATALOG, id, &json!({"price": "1.00 INR"})));
    }
    let lost: Vec<&str> = ids.iter().skip(1).step_by(3).take(CHANGED / 2).map(String::as_str).collect();
    assert_eq!(plant.meta.lose_items(CATALOG, &lost), Some(CHANGED / 2));
    let findings = "SELECT COUNT(*) FROM drift_finding WHERE confirmed_at IS NULL";
    for (round, point) in (0..).zip(SWEEP) {
        drift::sweep(&plant.app).await.expect("begun");
        dies_at(&plant, point, 2).await;
        sweeps_to_the_end(&plant).await;
        let sweep = format!("SELECT looked FROM drift_sweep WHERE number = {}", round + 2);
        assert_eq!(plant.count(&sweep).await, 120, "{}: each item once", point.name());
        assert_eq!(plant.count(findings).await, 40, "{}", point.name());
    }

    // The second looks confirm, and the repairs follow by themselves.
    plant.ahead(2 * LATER);
    for point in REPAIR {
        dies_at(&plant, point, 1).await;
    }
    let serve = plant.serve().await;
    let repairs = "SELECT COUNT(*) FROM meta_outbox WHERE origin = 'drift'";
    plant.until("everything is repaired", &serve, async || plant.count(repairs).await == 40).await;
    plant.settle(&serve).await;
    plant.check().await;
    ends(&plant, serve).await;
    plant.ahead(3 * LATER);
    sweeps_to_the_end(&plant).await;
    assert_eq!(plant.count("SELECT COUNT(*) FROM drift_finding").await, 0, "what was repaired is found no more");
    assert_eq!(plant.count(repairs).await, 40, "nothing is repaired twice");
    assert_eq!(plant.count("SELECT COUNT(*) FROM drift_repair").await, 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_a_sweep_or_a_repair_on_sqlite() {
    a_kill_loses_nothing_and_repairs_nothing_twice(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_a_sweep_or_a_repair_on_postgres() {
    a_kill_loses_nothing_and_repairs_nothing_twice(Engine::Postgres).await;
}
