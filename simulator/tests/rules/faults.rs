//! Planned faults, one test for each kind.

use serde_json::json;

use crate::support::*;

fn batch_request(sim: &Sim) -> reqwest::RequestBuilder {
    let body = json!({"item_type": "PRODUCT_ITEM", "requests": [update(item("a"))]});
    sim.http.post(sim.url(&format!("v25.0/{CATALOG}/items_batch"))).bearer_auth(&sim.token).json(&body)
}

/// Whether the batch of [`batch_request`] was taken.
async fn taken(sim: &Sim) -> bool {
    sim.handle.advance(SETTLED_MS);
    sim.saved("a").is_some()
}

#[tokio::test]
async fn drop_before_cuts_the_connection_and_nothing_is_done() {
    let sim = Sim::start().await;
    sim.plan(json!({"on": "items_batch", "kind": "drop_before"}));
    assert!(sim.try_send(batch_request(&sim)).await.is_err());
    assert!(!taken(&sim).await);
    assert_eq!(sim.send(batch_request(&sim)).await.status, 200, "the fault is spent");
}

#[tokio::test]
async fn drop_after_accept_cuts_the_connection_and_the_batch_is_carried_out() {
    let sim = Sim::start().await;
    sim.plan(json!({"on": "items_batch", "kind": "drop_after_accept"}));
    assert!(sim.try_send(batch_request(&sim)).await.is_err());
    assert!(taken(&sim).await);
    let log = sim.look("calls/log").await;
    assert_eq!(
        (&log["calls"][0]["status"], &log["calls"][0]["faults"][0]["kind"]),
        (&json!(null), &json!("drop_after_accept"))
    );
}

#[tokio::test]
async fn truncated_announces_a_body_and_breaks_off() {
    let sim = Sim::start().await;
    sim.plan(json!({"on": "items_batch", "kind": "truncated"}));
    let response = batch_request(&sim).send().await.expect("the head arrives");
    assert_eq!(response.status(), 200);
    assert!(response.text().await.is_err());
    assert!(taken(&sim).await);
}

#[tokio::test]
async fn plain_http_failures_come_before_or_after_the_work() {
    for (kind, status, text) in [
        ("status_5xx", 503, ""),
        ("html_502", 502, "<!DOCTYPE html>"),
        ("text_service_unavailable", 200, "Service Unavailable"),
    ] {
        for after in [false, true] {
            let sim = Sim::start().await;
            sim.plan(json!({"on": "items_batch", "kind": kind, "after_accept": after}));
            let reply = sim.send(batch_request(&sim)).await;
            assert_eq!(reply.status, status, "{kind}");
            assert!(
                reply.text.starts_with(text) && serde_json::from_str::<serde_json::Value>(&reply.text).is_err(),
                "{}",
                reply.text
            );
            assert_eq!(taken(&sim).await, after, "{kind}");
        }
    }
}

#[tokio::test]
async fn a_raw_body_comes_as_it_was_planned() {
    for (after, status) in [(false, 200), (true, 400)] {
        let sim = Sim::start().await;
        let body = r#"{"handles":[""],"handles":["a\u0000"]"#;
        sim.plan(
            json!({"on": "items_batch", "kind": "raw_body", "body": body, "status": status, "after_accept": after}),
        );
        let reply = sim.send(batch_request(&sim)).await;
        assert_eq!((reply.status, reply.text.as_str()), (status, body));
        assert_eq!(taken(&sim).await, after);
    }
}

#[tokio::test]
async fn a_slow_answer_comes_late_but_the_work_is_done_at_once() {
    let sim = Sim::start().await;
    sim.plan(json!({"on": "items_batch", "kind": "slow_ms", "ms": 3_600_000}));
    let call = tokio::spawn(batch_request(&sim).send());
    while sim.look("handles").await["handles"].as_array().expect("a list").is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished());
    assert!(taken(&sim).await);
    call.abort();
}

#[tokio::test]
async fn a_held_answer_comes_when_the_plan_is_cleared() {
    let sim = Sim::start().await;
    sim.plan(json!({"on": "items_batch", "kind": "held"}));
    let call = tokio::spawn(batch_request(&sim).send());
    while sim.look("handles").await["handles"].as_array().expect("a list").is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished());
    sim.handle.clear_faults();
    assert_eq!(call.await.expect("no panic").expect("an answer").status(), 200);
}

#[tokio::test]
async fn a_graph_error_has_what_was_planned() {
    let sim = Sim::start().await;
    sim.plan(json!({"on": "items_batch", "kind": "graph_error", "code": 2, "is_transient": true}));
    sim.plan(json!({"on": "products", "kind": "graph_error", "code": 190, "subcode": 460, "message": "Changed", "status": 401,
        "error_data": {"a": 1}}));
    let reply = sim.send(batch_request(&sim)).await;
    assert_eq!((reply.status, reply.code(), &reply.json()["error"]["is_transient"]), (500, (2, None), &json!(true)));
    assert!(!taken(&sim).await);
    let reply = sim.get(&format!("{CATALOG}/products"), &[]).await;
    let error = &reply.json()["error"];
    assert_eq!((reply.status, reply.code()), (401, (190, Some(460))));
    assert_eq!((&error["message"], &error["error_data"]), (&json!("Changed"), &json!({"a": 1})));
}

#[tokio::test]
async fn a_planned_throttle_has_the_code_of_its_bucket_and_the_time_asked_for() {
    let sim = Sim::start().await;
    sim.plan(json!({"on": "*", "times": 3, "kind": "throttle", "regain_minutes": 7}));
    let batch = sim.send(batch_request(&sim)).await;
    let usage = batch.header("x-business-use-case-usage").expect("told")[CATALOG][0].clone();
    assert_eq!((batch.code().0, &usage["estimated_time_to_regain_access"]), (80014, &json!(7)));
    assert_eq!(sim.get(CATALOG, &[]).await.code().0, 80009);
    assert_eq!(sim.get("me", &[]).await.code().0, 4);
    assert_eq!(sim.handle.calls().throttled, 3);
}

#[tokio::test]
async fn handles_can_be_empty_though_no_row_is_bad() {
    let sim = Sim::start().await;
    sim.plan(json!({"on": "items_batch", "kind": "handles_empty"}));
    assert_eq!(sim.send(batch_request(&sim)).await.json(), json!({"handles": []}));
    assert!(!taken(&sim).await);
}

#[tokio::test]
async fn there_can_be_two_handles_for_one_call() {
    let sim = Sim::start().await;
    sim.plan(json!({"on": "items_batch", "kind": "two_handles"}));
    let body = sim.batch(json!([update(item("a")), update(json!({"id": "b"}))])).await.json();
    sim.handle.advance(SETTLED_MS);
    let handles = body["handles"].as_array().expect("handles");
    assert_eq!(handles.len(), 2);
    assert_eq!(sim.poll(handles[0].as_str().expect("text")).await["errors_total_count"], 0);
    assert_ne!(sim.poll(handles[1].as_str().expect("text")).await["errors_total_count"], 0);
}

#[tokio::test]
async fn chosen_rows_can_fail_at_validation() {
    let sim = Sim::start().await;
    sim.plan(json!({"on": "items_batch", "kind": "validation_errors", "ids": ["a"], "message": "No"}));
    let body = sim.batch(json!([update(item("a")), update(item("b"))])).await.json();
    assert_eq!(body["validation_status"], json!([{"retailer_id": "a", "errors": [{"message": "No"}]}]));
    sim.handle.advance(SETTLED_MS);
    assert!(sim.saved("a").is_none() && sim.saved("b").is_some());
}

#[tokio::test]
async fn a_batch_can_never_end_fail_or_be_canceled_and_then_nothing_is_saved() {
    for (kind, status) in [("handle_never_ends", "started"), ("handle_error", "error"), ("handle_canceled", "canceled")]
    {
        let sim = Sim::start().await;
        sim.plan(json!({"on": "items_batch", "kind": kind}));
        let handle = sim.settle(json!([update(item("a"))])).await;
        assert_eq!(sim.poll(&handle).await["status"], status);
        assert_eq!(sim.saved("a"), None, "{kind}");
    }
}

#[tokio::test]
async fn a_status_can_be_upper_case_or_an_unknown_word() {
    for (fault, status) in [
        (json!({"on": "items_batch", "kind": "status_uppercase"}), "FINISHED"),
        (json!({"on": "items_batch", "kind": "status_unknown", "word": "in_progress"}), "in_progress"),
    ] {
        let sim = Sim::start().await;
        sim.plan(fault);
        let handle = sim.settle(json!([update(item("a"))])).await;
        assert_eq!(sim.poll(&handle).await["status"], status);
        assert!(sim.saved("a").is_some());
    }
}

#[tokio::test]
async fn planned_on_the_poll_a_status_lasts_for_one_answer() {
    let sim = Sim::start().await;
    let handle = sim.settle(json!([update(item("a"))])).await;
    sim.plan(json!({"on": "check_batch_request_status", "skip": 1, "kind": "status_unknown", "word": "paused"}));
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(sim.poll(&handle).await["status"].clone());
    }
    assert_eq!(seen, ["finished", "paused", "finished"]);
}

#[tokio::test]
async fn the_error_lists_can_be_incomplete() {
    let sim = Sim::start().await;
    sim.plan(json!({"on": "items_batch", "kind": "incomplete_errors", "keep": 1}));
    let bad = |id| update(item_with(id, json!({"price": "1"})));
    let handle = sim.settle(json!([bad("a"), bad("b"), bad("c")])).await;
    let poll = sim.poll(&handle).await;
    assert_eq!((poll["errors"].as_array().map(Vec::len), &poll["errors_total_count"]), (Some(1), &json!(3)));
    assert_eq!(poll["ids_of_invalid_requests"], json!([]));
}

#[tokio::test]
async fn a_slow_batch_is_overtaken_by_a_later_one() {
    let sim = Sim::start().await;
    sim.plan(json!({"on": "items_batch", "kind": "handle_slow", "ms": 60_000}));
    sim.submit(json!([update(item_with("a", json!({"title": "Old"})))])).await;
    sim.submit(json!([update(item_with("a", json!({"title": "New"})))])).await;
    sim.handle.advance(10_000);
    assert_eq!(sim.saved("a").expect("saved")["title"], "New");
    sim.handle.advance(60_000);
    assert_eq!(sim.saved("a").expect("saved")["title"], "Old");
}

#[tokio::test]
async fn the_token_endpoint_is_called_oauth() {
    let sim = Sim::start().await;
    sim.plan(json!({"on": "oauth", "kind": "html_502"}));
    let reply = sim.send(sim.http.get(sim.url("v25.0/oauth/access_token"))).await;
    assert_eq!(reply.status, 502);
}
