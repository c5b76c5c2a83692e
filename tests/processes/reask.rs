//! A process dies in the middle of a re-ask.

use catalog_sync::failpoints::Point;
use catalog_sync::store::reask;
use serde_json::json;
use testkit::{CATALOG, Engine, half_branded};

use crate::crash::open;

/// A process dies in the middle of a re-ask: the next one goes on, and nothing is lost.
async fn killed(engine: Engine) {
    let plant = open(engine).await;
    plant.import(&half_branded(2_000)).await;
    let mut serve = plant.serve().await;
    plant.settle(&serve).await;
    serve.kill().await;
    plant.lease_ends().await;
    let points = [Point::ReaskWriting, Point::ReaskWritten, Point::DrainAnswered];
    for (point, currency) in points.into_iter().zip(["USD", "EUR", "SEK"]) {
        plant.set(json!({"currency": currency, "batch_size": 300})).await;
        let mut serve = plant.serve_with(&format!("{}=kill@2", point.name()));
        serve.end().await;
        assert!(serve.log.has(point.name()), "{}", serve.log.text());
        plant.lease_ends().await;
        let mut serve = plant.serve().await;
        plant
            .until("the re-ask has ended", &serve, async || {
                let mut tx = plant.db().read().await.expect("a connection");
                reask::next(&mut tx).await.expect("read").is_none()
            })
            .await;
        plant.settle(&serve).await;
        plant.check().await;
        let items = plant.meta.items(CATALOG).expect("the catalog");
        assert!(items.values().all(|item| item["price"] == format!("100.00 {currency}")), "{currency}");
        serve.kill().await;
        plant.lease_ends().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_a_re_ask_loses_nothing_on_sqlite() {
    killed(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_a_re_ask_loses_nothing_on_postgres() {
    killed(Engine::Postgres).await;
}
