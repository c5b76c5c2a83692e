//! The control calls.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn health_answers() {
    let sim = Sim::start().await;
    assert_eq!(sim.look("health").await, json!({"ok": true}));
}

#[tokio::test]
async fn the_clock_can_be_read_moved_and_let_go() {
    let sim = Sim::start().await;
    let before = sim.look("clock").await;
    assert_eq!(before["frozen"], true);
    let after = sim.control("clock", json!({"advance_ms": 5_000})).await;
    assert_eq!(after["now_ms"].as_i64(), before["now_ms"].as_i64().map(|now| now + 5_000));
    assert_eq!(sim.control("clock", json!({"freeze": false})).await["frozen"], false);
}

#[tokio::test]
async fn items_are_listed_as_stored_sorted_by_id_in_pages() {
    let sim = Sim::start().await;
    sim.settle(json!([update(item("b")), update(item("a")), update(item("c d/ä"))])).await;
    let first = sim.look(&format!("catalogs/{CATALOG}/items?limit=2")).await;
    assert_eq!(first, json!({"items": [{"id": "a", "data": item("a")}, {"id": "b", "data": item("b")}], "next": "b"}));
    let rest = sim.look(&format!("catalogs/{CATALOG}/items?limit=2&after=b")).await;
    assert_eq!(rest, json!({"items": [{"id": "c d/ä", "data": item("c d/ä")}], "next": null}));
    let one = sim.look(&format!("catalogs/{CATALOG}/items/c%20d%2F%C3%A4")).await;
    assert_eq!(one, json!({"id": "c d/ä", "data": item("c d/ä"), "visible": true}));
    let missing = sim.send(sim.http.get(sim.url(&format!("_sim/catalogs/{CATALOG}/items/x")))).await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn calls_are_counted_and_logged_without_secrets() {
    let sim = Sim::start().await;
    let handle = sim.settle(json!([update(item("a")), delete("b")])).await;
    sim.poll(&handle).await;
    let me = sim.url("v25.0/me");
    sim.send(sim.http.get(me).query(&[("access_token", &sim.token)])).await;
    let counters = sim.look("calls").await;
    assert_eq!(
        counters,
        json!({"itemsBatch": 1, "batchRows": 2, "checkBatch": 1, "other": 1, "throttled": 0, "byEdge": {
            "POST items_batch": 1, "GET check_batch_request_status": 1, "GET me": 1}})
    );
    let log = sim.look("calls/log?limit=3").await;
    let rows = json!([{"method": "UPDATE", "id": "a"}, {"method": "DELETE", "id": "b"}]);
    assert_eq!((&log["calls"][0]["rows"], &log["calls"][0]["status"]), (&rows, &json!(200)));
    assert_eq!(log["calls"][2]["params"], json!({"access_token": "***"}));
    assert!(!log.to_string().contains(&sim.token));
}

#[tokio::test]
async fn faults_are_planned_as_one_or_many_shown_and_cleared() {
    let sim = Sim::start().await;
    sim.control("faults", json!({"on": "products", "kind": "html_502"})).await;
    let planned = sim.control("faults", json!([{"on": "*", "kind": "slow_ms", "ms": 1, "times": 2, "skip": 3}])).await;
    assert_eq!(planned["faults"].as_array().map(Vec::len), Some(2));
    assert_eq!(planned["faults"][1], json!({"on": "*", "kind": "slow_ms", "ms": 1, "times": 2, "skip": 3}));
    let refused = sim.send(sim.http.post(sim.url("_sim/faults")).json(&json!([{"on": "*", "kind": "nonsense"}]))).await;
    assert_eq!(refused.status, 400);
    sim.send(sim.http.delete(sim.url("_sim/faults"))).await;
    assert_eq!(sim.look("faults").await, json!({"faults": []}));
}

#[tokio::test]
async fn all_user_tokens_can_be_ended_with_any_subcode() {
    let sim = Sim::start().await;
    assert_eq!(sim.control("tokens/expire", json!({"subcode": 460})).await, json!({"ended": 1}));
    assert_eq!(sim.get("me", &[]).await.code(), (190, Some(460)));
}

#[tokio::test]
async fn tokens_are_shown_masked() {
    let sim = Sim::start().await;
    let shown = sim.look("tokens").await;
    assert_eq!(shown["tokens"][0]["owner"], USER);
    assert!(!shown.to_string().contains(&sim.token));
}

#[tokio::test]
async fn settings_change_by_key_and_typos_are_refused() {
    let sim = Sim::start().await;
    let quotas = sim.control("quotas", json!({"batch_per_minute": 3})).await;
    assert_eq!((&quotas["batch_per_minute"], &quotas["management_per_hour"]), (&json!(3), &json!(20_000)));
    for (path, body) in
        [("quotas", json!({"batch": 3})), ("switches", json!({"omit_paging": "yes"})), ("times", json!([]))]
    {
        let reply = sim.send(sim.http.post(sim.url(&format!("_sim/{path}"))).json(&body)).await;
        assert_eq!(reply.status, 400, "{path} {body}");
    }
    assert_eq!(sim.look("quotas").await["batch_per_minute"], 3);
}

#[tokio::test]
async fn reset_makes_the_world_new() {
    let sim = Sim::start().await;
    sim.settle(json!([update(item("a"))])).await;
    sim.control("reset", json!({})).await;
    assert_eq!((sim.saved("a"), sim.handle.calls().items_batch), (None, 0));
    assert_eq!(sim.look("clock").await["frozen"], true, "the clock goes on as it was");
    assert_eq!(sim.get("me", &[]).await.code().0, 190, "tokens of the old world are gone");
}

#[tokio::test]
async fn an_unknown_control_call_is_404_and_stop_waits() {
    let sim = Sim::start().await;
    assert_eq!(sim.send(sim.http.get(sim.url("_sim/nonsense"))).await.status, 404);
    drop(sim.http);
    sim.handle.stop().await.expect("a clean end");
}
