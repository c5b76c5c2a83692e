//! Request encodings: every encoding that the SDKs and plugins use has the same meaning.

use serde_json::{Value, json};

use crate::support::*;

fn rows() -> Value {
    json!([update(item("a"))])
}

async fn assert_taken(sim: &Sim, request: reqwest::RequestBuilder) {
    let reply = sim.send(request).await;
    assert_eq!(reply.json()["handles"].as_array().map(Vec::len), Some(1), "{}", reply.text);
    sim.handle.advance(SETTLED_MS);
    assert_eq!(sim.saved("a"), Some(item("a")));
}

#[tokio::test]
async fn a_json_body_with_real_lists_is_taken() {
    let sim = Sim::start().await;
    let body = json!({"item_type": "PRODUCT_ITEM", "requests": rows()});
    let url = sim.url(&format!("v25.0/{CATALOG}/items_batch"));
    assert_taken(&sim, sim.http.post(url).bearer_auth(&sim.token).json(&body)).await;
}

#[tokio::test]
async fn a_urlencoded_form_with_json_text_is_taken() {
    let sim = Sim::start().await;
    let requests = rows().to_string();
    let form = [
        ("item_type", "PRODUCT_ITEM"),
        ("requests", &requests),
        ("access_token", &sim.token),
        ("allow_upsert", "true"),
    ];
    let url = sim.url(&format!("v25.0/{CATALOG}/items_batch"));
    assert_taken(&sim, sim.http.post(url).form(&form)).await;
}

#[tokio::test]
async fn a_multipart_form_is_taken() {
    let sim = Sim::start().await;
    let mut body = String::new();
    for (name, value) in
        [("item_type", "PRODUCT_ITEM"), ("requests", &rows().to_string()), ("access_token", &sim.token)]
    {
        body += &format!("--cut\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    body += "--cut--\r\n";
    let url = sim.url(&format!("v25.0/{CATALOG}/items_batch"));
    let request = sim.http.post(url).header("content-type", "multipart/form-data; boundary=cut").body(body);
    assert_taken(&sim, request).await;
}

#[tokio::test]
async fn a_body_that_is_no_json_is_100() {
    let sim = Sim::start().await;
    let request = sim.http.post(sim.url(&format!("v25.0/{CATALOG}/items_batch")));
    let request = request.bearer_auth(&sim.token).header("content-type", "application/json").body("{");
    assert_eq!(sim.send(request).await.code().0, 100);
}

#[tokio::test]
async fn a_body_over_the_limit_is_code_1_and_one_just_under_is_read() {
    let sim = Sim::start().await;
    let url = sim.url(&format!("v25.0/{CATALOG}/items_batch"));
    let pad = |bytes: usize| json!({"item_type": "PRODUCT_ITEM", "requests": rows(), "pad": "x".repeat(bytes)});
    let over = sim.send(sim.http.post(&url).bearer_auth(&sim.token).json(&pad(28 * 1024 * 1024))).await;
    assert_eq!(over.code().0, 1);
    assert!(over.text.contains("reduce the amount of data"), "{}", over.text);
    let under = sim.send(sim.http.post(&url).bearer_auth(&sim.token).json(&pad(27 * 1024 * 1024))).await;
    assert_eq!(under.status, 200, "{}", under.text);
}

#[tokio::test]
async fn error_data_comes_as_an_object_or_as_text() {
    let sim = Sim::start().await;
    let blame = json!({"blame_field_specs": [["item_type"]]});
    let path = format!("{CATALOG}/items_batch");
    assert_eq!(sim.post(&path, json!({})).await.json()["error"]["error_data"], blame);
    sim.control("switches", json!({"error_data_as_string": true})).await;
    let text = sim.post(&path, json!({})).await.json()["error"]["error_data"].clone();
    let read: Value = serde_json::from_str(text.as_str().expect("text")).expect("JSON");
    assert_eq!(read, blame);
}

#[tokio::test]
async fn a_graph_batch_answers_each_part_with_its_body_as_text() {
    let sim = Sim::start().await;
    let parts = json!([
        {"method": "GET", "relative_url": "v25.0/me?fields=id"},
        {"method": "GET", "relative_url": "v25.0/123"},
        {"method": "POST", "relative_url": format!("{BUSINESS}/system_users"), "body": "name=Sync&role=ADMIN"},
    ]);
    let answers = sim.post("", json!({"batch": parts})).await.json();
    let codes: Vec<_> = answers.as_array().expect("a list").iter().map(|part| part["code"].as_i64()).collect();
    assert_eq!(codes, [Some(200), Some(400), Some(200)]);
    let me: Value = serde_json::from_str(answers[0]["body"].as_str().expect("text")).expect("JSON");
    assert_eq!(me, json!({"id": USER}));
}
