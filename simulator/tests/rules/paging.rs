//! Paging: cursors with data, `next` only when there is more.

use serde_json::{Value, json};

use crate::support::*;

async fn filled(count: usize) -> Sim {
    let sim = Sim::start().await;
    let rows: Vec<_> = (0..count).map(|n| update(item(&format!("sku-{n}")))).collect();
    sim.settle(json!(rows)).await;
    sim
}

async fn follow(sim: &Sim, link: &Value) -> Value {
    let url = link.as_str().expect("a link");
    sim.send(sim.http.get(url).bearer_auth(&sim.token)).await.json()
}

fn ids(body: &Value) -> Vec<&str> {
    let data = body["data"].as_array().expect("data");
    data.iter().map(|item| item["retailer_id"].as_str().expect("retailer_id")).collect()
}

#[tokio::test]
async fn following_next_shows_every_item_once_and_ends_without_next() {
    let sim = filled(5).await;
    let first = sim.get(&format!("{CATALOG}/products"), &[("limit", "2")]).await.json();
    let second = follow(&sim, &first["paging"]["next"]).await;
    let third = follow(&sim, &second["paging"]["next"]).await;
    assert_eq!(
        (ids(&first), ids(&second), ids(&third)),
        (vec!["sku-0", "sku-1"], vec!["sku-2", "sku-3"], vec!["sku-4"])
    );
    assert!(third["paging"].get("next").is_none(), "{third}");
    assert!(third["paging"]["cursors"]["after"].is_string(), "the last page has cursors too");
    assert!(first["paging"].get("previous").is_none());
    let back = follow(&sim, &third["paging"]["previous"]).await;
    assert_eq!(ids(&back), ids(&second));
}

#[tokio::test]
async fn next_repeats_the_query_with_the_token() {
    let sim = filled(2).await;
    let url = sim.url(&format!("v25.0/{CATALOG}/products"));
    let query = [("limit", "1"), ("fields", "retailer_id"), ("access_token", &sim.token)];
    let body = sim.send(sim.http.get(url).query(&query)).await.json();
    let next = body["paging"]["next"].as_str().expect("next");
    assert!(next.contains("fields=retailer_id") && next.contains(&format!("access_token={}", sim.token)), "{next}");
    let body = sim.send(sim.http.get(next)).await.json();
    assert_eq!(ids(&body), ["sku-1"]);
}

#[tokio::test]
async fn the_summary_counts_all() {
    let sim = filled(3).await;
    let query = [("limit", "1"), ("summary", "true")];
    let body = sim.get(&format!("{CATALOG}/products"), &query).await.json();
    assert_eq!(body["summary"], json!({"total_count": 3}));
}

#[tokio::test]
async fn a_page_is_never_larger_than_the_maximum_and_a_bad_cursor_is_100() {
    let sim = filled(4).await;
    sim.control("rules", json!({"max_page": 3})).await;
    let path = format!("{CATALOG}/products");
    assert_eq!(ids(&sim.get(&path, &[("limit", "100")]).await.json()).len(), 3);
    assert_eq!(sim.get(&path, &[("after", "sku-1")]).await.code().0, 100);
    assert_eq!(sim.get(&path, &[("limit", "many")]).await.code().0, 100);
}

#[tokio::test]
async fn paging_can_be_missing() {
    let sim = filled(3).await;
    sim.control("switches", json!({"omit_paging": true})).await;
    let body = sim.get(&format!("{CATALOG}/products"), &[("limit", "1")]).await.json();
    assert!(body.get("paging").is_none() && body["data"].is_array(), "{body}");
}

#[tokio::test]
async fn an_empty_page_can_have_a_next_that_goes_on_where_it_was() {
    let sim = filled(3).await;
    let path = format!("{CATALOG}/products");
    sim.plan(json!({"on": "products", "kind": "empty_page"}));
    let empty = sim.get(&path, &[("limit", "2")]).await.json();
    assert_eq!(empty["data"], json!([]));
    let first = follow(&sim, &empty["paging"]["next"]).await;
    assert_eq!(ids(&first), ["sku-0", "sku-1"]);
    sim.plan(json!({"on": "products", "kind": "empty_page"}));
    let empty = follow(&sim, &first["paging"]["next"]).await;
    let last = follow(&sim, &empty["paging"]["next"]).await;
    assert_eq!((empty["data"].clone(), ids(&last)), (json!([]), vec!["sku-2"]));
}
