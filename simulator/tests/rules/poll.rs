//! `check_batch_request_status`.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_batch_walks_from_scheduled_to_finished_with_the_clock() {
    let sim = Sim::with(|config| config.times.processing_ms = 4_000).await;
    let handle = sim.submit(json!([update(item("a"))])).await;
    for (advance, status) in
        [(0, "scheduled"), (1_000, "dispatched"), (1_000, "started"), (1_999, "started"), (1, "finished")]
    {
        sim.handle.advance(advance);
        assert_eq!(sim.poll(&handle).await["status"], status);
        assert_eq!(sim.saved("a").is_some(), status == "finished", "{status}");
    }
}

#[tokio::test]
async fn the_answer_is_an_edge_with_one_element_and_all_fields_by_default() {
    let sim = Sim::start().await;
    let handle = sim.settle(json!([update(item("a"))])).await;
    let body = sim.poll_reply(&handle, &[]).await.json();
    assert_eq!(
        body,
        json!({"data": [{"handle": handle, "status": "finished", "errors": [], "errors_total_count": 0, "warnings": [],
            "warnings_total_count": 0, "ids_of_invalid_requests": []}]})
    );
}

#[tokio::test]
async fn fields_narrow_the_element_and_unknown_ones_are_100() {
    let sim = Sim::start().await;
    let handle = sim.settle(json!([update(item("a"))])).await;
    let body = sim.poll_reply(&handle, &[("fields", "status")]).await.json();
    assert_eq!(body, json!({"data": [{"status": "finished"}]}));
    let seed = "handle,status,ids_of_invalid_requests,errors_summary,data";
    let reply = sim.poll_reply(&handle, &[("fields", seed)]).await;
    assert_eq!((reply.status, reply.code().0), (400, 100));
    let text = "(#100) Tried accessing nonexisting field (errors_summary) on node type (CheckBatchRequestStatus)";
    assert_eq!(reply.json()["error"]["message"], text);
    assert_eq!(sim.poll_reply(&handle, &[("fields", "data")]).await.code().0, 100);
}

#[tokio::test]
async fn the_list_of_ids_comes_only_when_asked_for_and_errors_are_a_sample() {
    let sim = Sim::start().await;
    let bad: Vec<_> =
        (0..8).map(|n| update(item_with(&format!("bad-{n}"), json!({"price": "1", "link": "x"})))).collect();
    let handle = sim.settle(json!(bad)).await;
    let plain = sim.poll_reply(&handle, &[]).await.json()["data"][0].clone();
    assert_eq!(plain["ids_of_invalid_requests"], json!([]));
    let full = sim.poll(&handle).await;
    assert_eq!(full["errors"].as_array().map(Vec::len), Some(5));
    assert_eq!(full["errors_total_count"], 16);
    let ids = full["ids_of_invalid_requests"].as_array().expect("ids");
    assert_eq!((ids.len(), &ids[0], &ids[1]), (16, &json!("bad-0"), &json!("bad-0")), "once per error");
    assert_eq!(full["errors"][0]["line"], 1);
}

#[tokio::test]
async fn lines_may_count_from_zero() {
    let sim = Sim::with(|config| config.rules.line_base = 0).await;
    let handle = sim.settle(json!([update(item_with("a", json!({"price": "1"})))])).await;
    assert_eq!(sim.poll(&handle).await["errors"][0]["line"], 0);
}

#[tokio::test]
async fn missing_fields_can_hide_under_warnings() {
    let sim = Sim::with(|config| config.switches.missing_fields_as_warnings = true).await;
    let handle = sim.settle(json!([update(item_with("a", json!({"price": null})))])).await;
    let poll = sim.poll(&handle).await;
    assert_eq!((&poll["errors"], &poll["errors_total_count"]), (&json!([]), &json!(1)));
    assert_eq!(poll["warnings"][0]["message"], "A required field is missing: price");
    assert_eq!(poll["ids_of_invalid_requests"], json!(["a"]));
}

#[tokio::test]
async fn error_priority_high_leaves_the_warnings_out() {
    let sim = Sim::start().await;
    let handle = sim.settle(json!([update(item_with("a", json!({"title": "x".repeat(150)})))])).await;
    let count = async |priority| {
        sim.poll_reply(&handle, &[("error_priority", priority)]).await.json()["data"][0]["warnings_total_count"].clone()
    };
    assert_eq!((count("HIGH").await, count("LOW").await), (json!(0), json!(1)));
    assert_eq!(sim.poll_reply(&handle, &[("error_priority", "X")]).await.code().0, 100);
}

#[tokio::test]
async fn an_unknown_a_foreign_and_an_old_handle_are_100() {
    let sim = Sim::start().await;
    assert_eq!(sim.poll_reply("AcUnknown", &[]).await.code().0, 100);
    assert_eq!(
        sim.get(&format!("{CATALOG}/check_batch_request_status"), &[]).await.code().0,
        100,
        "handle is required"
    );
    let handle = sim.settle(json!([update(item("a"))])).await;
    let foreign = format!("{OTHER_CATALOG}/check_batch_request_status");
    assert_eq!(sim.get(&foreign, &[("handle", &handle)]).await.code().0, 100);
    sim.handle.advance(8 * 86_400_000);
    assert_eq!(sim.poll_reply(&handle, &[]).await.code().0, 100);
}
