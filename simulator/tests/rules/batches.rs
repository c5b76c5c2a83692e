//! `items_batch`: accepted rows, refused rows, and the resulting items.

use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn item_type_and_requests_are_required() {
    let sim = Sim::start().await;
    let path = format!("{CATALOG}/items_batch");
    let reply = sim.post(&path, json!({"requests": [update(item("a"))]})).await;
    assert_eq!((reply.status, reply.code().0), (400, 100));
    assert!(reply.text.contains("(#100) The parameter item_type is required"), "{}", reply.text);
    assert!(
        sim.post(&path, json!({"item_type": "PRODUCT_ITEM"})).await.text.contains("parameter requests is required")
    );
    for body in [
        json!({"item_type": "PRODUCTS", "requests": [update(item("a"))]}),
        json!({"item_type": "HOTEL", "requests": [update(item("a"))]}),
        json!({"item_type": "PRODUCT_ITEM", "requests": []}),
        json!({"item_type": "PRODUCT_ITEM", "requests": {"a": 1}}),
        json!({"item_type": "PRODUCT_ITEM", "requests": "[{"}),
        json!({"item_type": "PRODUCT_ITEM", "requests": [update(item("a"))], "allow_upsert": "perhaps"}),
    ] {
        assert_eq!(sim.post(&path, body.clone()).await.code().0, 100, "{body}");
    }
}

#[tokio::test]
async fn five_thousand_records_are_taken_and_one_more_is_not() {
    let sim = Sim::start().await;
    let rows = |count: usize| Value::Array((0..count).map(|n| update(item(&format!("sku-{n}")))).collect());
    assert_eq!(sim.batch(rows(5_001)).await.code().0, 100);
    let handle = sim.settle(rows(5_000)).await;
    assert_eq!(sim.poll(&handle).await["status"], "finished");
    assert_eq!(sim.handle.items(CATALOG).expect("the catalog").len(), 5_000);
}

#[tokio::test]
async fn the_answer_has_one_handle_and_nothing_else_when_all_rows_are_good() {
    let sim = Sim::start().await;
    let body = sim.batch(json!([update(item("a"))])).await.json();
    let handle = body["handles"][0].as_str().expect("a handle");
    assert!(handle.starts_with("Ac") && handle.len() >= 90, "{handle}");
    assert_eq!(body, json!({"handles": [handle]}));
}

#[tokio::test]
async fn bad_rows_are_named_in_validation_status_and_the_others_go_on() {
    let sim = Sim::start().await;
    let rows = json!([
        update(item("good")),
        {"method": "UPSERT", "data": item("bad-method")},
        {"method": "UPDATE", "data": {"title": "no id"}},
        {"method": "UPDATE", "data": {"retailer_id": "old-name", "title": "no id"}},
        {"method": "UPDATE"},
        update(item(&"x".repeat(101))),
    ]);
    let body = sim.batch(rows).await.json();
    assert_eq!(body["handles"].as_array().map(Vec::len), Some(1));
    let bad: Vec<_> =
        body["validation_status"].as_array().expect("a list").iter().filter(|s| s["errors"].is_array()).collect();
    assert_eq!(bad.len(), 5, "{body}");
    sim.handle.advance(SETTLED_MS);
    assert_eq!(sim.handle.items(CATALOG).expect("the catalog").into_keys().collect::<Vec<_>>(), ["good"]);
}

#[tokio::test]
async fn unknown_names_are_warned_of_and_left_out() {
    let sim = Sim::start().await;
    let reply = sim.batch(json!([update(item_with("a", json!({"foo": 1, "retailer_id": "a"})))])).await.json();
    let status = &reply["validation_status"][0];
    assert_eq!(status["retailer_id"], "a");
    let text = "Unrecognised field: A request for item a contains unrecognised field: 'foo'";
    assert!(status["warnings"].as_array().expect("warnings").contains(&json!({"message": text})), "{status}");
    assert_eq!(status["warnings"].as_array().map(Vec::len), Some(2), "retailer_id is unknown too");
    assert!(status.get("errors").is_none());
    sim.handle.advance(SETTLED_MS);
    assert_eq!(sim.saved("a"), Some(item("a")));
}

#[tokio::test]
async fn when_every_row_is_bad_there_is_no_handle() {
    let sim = Sim::start().await;
    let reply = sim.batch(json!([{"method": "NONE", "data": {"id": "a"}}])).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["handles"], json!([]));
    assert_eq!(reply.json()["validation_status"][0]["retailer_id"], "a");
}

#[tokio::test]
async fn validation_status_can_be_missing() {
    let sim = Sim::with(|config| config.switches.omit_validation_status = true).await;
    let body = sim.batch(json!([{"method": "NONE", "data": {"id": "a"}}])).await.json();
    assert_eq!(body, json!({"handles": []}));
}

#[tokio::test]
async fn update_merges_field_by_field_arrays_replace_and_empty_clears() {
    let sim = Sim::start().await;
    let first = item_with(
        "a",
        json!({"sale_price": "199.00 INR", "color": "red",
        "additional_image_link": ["https://cdn.example/2.jpg", "https://cdn.example/3.jpg"]}),
    );
    sim.settle(json!([update(first)])).await;
    sim.settle(json!([update(json!({"id": "a", "sale_price": "", "title": "New belt",
        "additional_image_link": ["https://cdn.example/4.jpg"]}))]))
        .await;
    let expected = item_with(
        "a",
        json!({"title": "New belt", "color": "red",
        "additional_image_link": ["https://cdn.example/4.jpg"]}),
    );
    assert_eq!(sim.saved("a"), Some(expected));
    sim.settle(json!([update(json!({"id": "a", "additional_image_link": [], "color": ""}))])).await;
    assert_eq!(sim.saved("a"), Some(item_with("a", json!({"title": "New belt"}))));
}

#[tokio::test]
async fn create_replaces_what_is_there() {
    let sim = Sim::start().await;
    sim.settle(json!([update(item_with("a", json!({"color": "red"})))])).await;
    sim.settle(json!([{"method": "CREATE", "data": item("a")}])).await;
    assert_eq!(sim.saved("a"), Some(item("a")));
}

#[tokio::test]
async fn delete_takes_an_item_away_and_a_missing_one_is_no_error_unless_asked_for() {
    let sim = Sim::start().await;
    sim.settle(json!([update(item("a"))])).await;
    let handle = sim.settle(json!([delete("a"), delete("never")])).await;
    assert_eq!(sim.poll(&handle).await["errors_total_count"], 0);
    assert_eq!(sim.saved("a"), None);
    sim.control("rules", json!({"delete_missing_is_error": true})).await;
    let handle = sim.settle(json!([delete("never")])).await;
    assert_eq!(sim.poll(&handle).await["ids_of_invalid_requests"], json!(["never"]));
}

#[tokio::test]
async fn a_creating_update_needs_the_required_fields_and_that_shows_in_the_poll() {
    let sim = Sim::start().await;
    let reply = sim.batch(json!([update(json!({"id": "a", "title": "Belt"}))])).await.json();
    assert!(reply.get("validation_status").is_none(), "{reply}");
    sim.handle.advance(SETTLED_MS);
    let poll = sim.poll(reply["handles"][0].as_str().expect("a handle")).await;
    assert_eq!(poll["status"], "finished");
    assert_eq!(poll["errors_total_count"], 7);
    assert_eq!(poll["ids_of_invalid_requests"], json!(["a", "a", "a", "a", "a", "a", "a"]));
    assert_eq!(sim.saved("a"), None);
}

#[tokio::test]
async fn a_partial_update_of_an_item_that_is_there_is_enough() {
    let sim = Sim::start().await;
    sim.settle(json!([update(item("a"))])).await;
    let handle = sim.settle(json!([update(json!({"id": "a", "price": "1.00 INR"}))])).await;
    assert_eq!(sim.poll(&handle).await["errors_total_count"], 0);
    assert_eq!(sim.saved("a"), Some(item_with("a", json!({"price": "1.00 INR"}))));
}

#[tokio::test]
async fn without_allow_upsert_a_missing_item_is_not_created() {
    let sim = Sim::start().await;
    let body = json!({"item_type": "PRODUCT_ITEM", "allow_upsert": false, "requests": [update(item("a"))]});
    let handles = sim.post(&format!("{CATALOG}/items_batch"), body).await.json()["handles"].clone();
    sim.handle.advance(SETTLED_MS);
    let poll = sim.poll(handles[0].as_str().expect("a handle")).await;
    assert_eq!((poll["ids_of_invalid_requests"].clone(), sim.saved("a")), (json!(["a"]), None));
}

#[tokio::test]
async fn brand_gtin_or_mpn_is_enough_unless_brand_is_required() {
    let sim = Sim::start().await;
    let rows = json!([
        update(item_with("a", json!({"brand": null, "mpn": "M-1"}))),
        update(item_with("b", json!({"brand": null})))
    ]);
    let handle = sim.settle(rows.clone()).await;
    assert_eq!(sim.poll(&handle).await["ids_of_invalid_requests"], json!(["b"]));
    sim.control("rules", json!({"require_brand": true})).await;
    let handle = sim.settle(rows).await;
    assert_eq!(sim.poll(&handle).await["ids_of_invalid_requests"], json!(["a", "b"]));
}

#[tokio::test]
async fn bad_values_fail_their_row_and_long_titles_warn() {
    let sim = Sim::start().await;
    let handle = sim
        .settle(json!([
            update(item_with("price", json!({"price": "299,00 INR"}))),
            update(item_with("availability", json!({"availability": "in_stock"}))),
            update(item_with("link", json!({"link": "shop.example/p"}))),
            update(item_with("long", json!({"title": "x".repeat(150)}))),
        ]))
        .await;
    let poll = sim.poll(&handle).await;
    assert_eq!(poll["ids_of_invalid_requests"], json!(["price", "availability", "link"]));
    assert_eq!(poll["warnings"][0]["id"], "long");
    assert!(sim.saved("long").is_some());
}

#[tokio::test]
async fn clearing_a_required_field_fails_the_row_and_keeps_the_item() {
    let sim = Sim::start().await;
    sim.settle(json!([update(item("a"))])).await;
    let handle = sim.settle(json!([update(json!({"id": "a", "title": ""}))])).await;
    assert_eq!(sim.poll(&handle).await["ids_of_invalid_requests"], json!(["a"]));
    assert_eq!(sim.saved("a"), Some(item("a")));
}

#[tokio::test]
async fn the_same_id_twice_is_carried_out_in_order() {
    let sim = Sim::start().await;
    sim.settle(json!([update(item("a")), delete("a"), update(item_with("a", json!({"color": "red"})))])).await;
    assert_eq!(sim.saved("a"), Some(item_with("a", json!({"color": "red"}))));
}

#[tokio::test]
async fn chosen_rows_fail_at_processing() {
    let sim = Sim::start().await;
    sim.control("reject_ids", json!({"b": "Image could not be fetched"})).await;
    let handle = sim.settle(json!([update(item("a")), update(item("b"))])).await;
    let poll = sim.poll(&handle).await;
    assert_eq!(poll["errors"], json!([{"line": 2, "id": "b", "message": "Image could not be fetched"}]));
    assert!(sim.saved("a").is_some() && sim.saved("b").is_none());
}
