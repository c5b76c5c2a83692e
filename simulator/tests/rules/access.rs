//! Tokens, proofs, versions, objects: the checks before any work.

use serde_json::json;

use crate::support::*;

const KNOWN_TOKEN: &str = "EAABtest";
/// HMAC-SHA256 of [`KNOWN_TOKEN`] under the default secret, computed with OpenSSL.
const KNOWN_PROOF: &str = "07912dd2af62d83e01c12bdc42ff1f86ec6d3a410f9e87c410a92e2e27290773";

#[tokio::test]
async fn the_token_is_taken_from_query_form_json_and_bearer_header() {
    let sim = Sim::start().await;
    let me = sim.url("v25.0/me");
    let token = ("access_token", sim.token.as_str());
    let query = sim.send(sim.http.get(&me).query(&[token])).await;
    let bearer = sim.send(sim.http.get(&me).bearer_auth(&sim.token)).await;
    for reply in [query, bearer] {
        assert_eq!(reply.json(), json!({"id": USER, "name": "Alex Admin"}));
    }
    let create = sim.url(&format!("v25.0/{BUSINESS}/system_users"));
    let form = sim.send(sim.http.post(&create).form(&[token, ("name", "a")])).await;
    let body = json!({"access_token": sim.token, "name": "b"});
    let json = sim.send(sim.http.post(&create).json(&body)).await;
    for reply in [form, json] {
        assert!(reply.json()["id"].is_string(), "{}", reply.text);
    }
}

#[tokio::test]
async fn a_missing_a_malformed_and_an_unknown_token_differ() {
    let sim = Sim::start().await;
    let none = sim.send(sim.http.get(sim.url("v25.0/me"))).await;
    assert_eq!((none.status, none.code().0), (400, 2500));
    let none = sim.send(sim.http.get(sim.url(&format!("v25.0/{CATALOG}")))).await;
    assert_eq!(none.code().0, 104);
    for token in ["nonsense", "EAABunknown"] {
        let reply = sim.get_as(token, "me", &[]).await;
        assert_eq!((reply.status, reply.code()), (401, (190, None)), "{token}");
    }
}

#[tokio::test]
async fn a_token_ends_with_the_clock_and_an_ended_session_is_status_400() {
    let sim = Sim::start().await;
    let token = sim.handle.mint_token(USER, Some(60));
    assert_eq!(sim.get_as(&token, "me", &[]).await.status, 200);
    sim.handle.advance(60_000);
    let reply = sim.get_as(&token, "me", &[]).await;
    assert_eq!((reply.status, reply.code()), (400, (190, Some(463))));
}

#[tokio::test]
async fn a_proof_is_checked_whenever_it_is_there() {
    let sim = Sim::start().await;
    let minted = sim.control("tokens", json!({"owner": USER})).await;
    let (token, proof) =
        (minted["access_token"].as_str().expect("token"), minted["appsecret_proof"].as_str().expect("proof"));
    assert_eq!(sim.get_as(token, "me", &[("appsecret_proof", proof)]).await.status, 200);
    let wrong = sim.get_as(token, "me", &[("appsecret_proof", "00")]).await;
    assert_eq!((wrong.status, wrong.code().0), (400, 100));
    assert_eq!(wrong.json()["error"]["type"], "GraphMethodException");
}

#[tokio::test]
async fn plain_and_timed_proofs_follow_the_documented_message() {
    let sim = Sim::with(|config| {
        config.tokens.push(graph_simulator::Token {
            token: KNOWN_TOKEN.into(),
            owner: USER.into(),
            scopes: vec![],
            expires_in_s: None,
        });
    })
    .await;
    assert_eq!(proof(KNOWN_TOKEN), KNOWN_PROOF);
    assert_eq!(sim.get_as(KNOWN_TOKEN, "me", &[("appsecret_proof", KNOWN_PROOF)]).await.status, 200);
    let time = (sim.handle.now_ms() / 1_000).to_string();
    let timed = proof(&format!("{KNOWN_TOKEN}|{time}"));
    let query = [("appsecret_proof", timed.as_str()), ("appsecret_time", time.as_str())];
    assert_eq!(sim.get_as(KNOWN_TOKEN, "me", &query).await.status, 200);
    sim.handle.advance(301_000);
    assert_eq!(sim.get_as(KNOWN_TOKEN, "me", &query).await.code().0, 100, "good for five minutes");
}

fn proof(message: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key");
    mac.update(message.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[tokio::test]
async fn an_app_may_require_the_proof() {
    let sim = Sim::with(|config| config.app.require_proof = true).await;
    let reply = sim.get("me", &[]).await;
    assert_eq!(reply.code().0, 100);
    assert!(reply.text.contains("require an appsecret_proof"), "{}", reply.text);
}

#[tokio::test]
async fn any_living_or_older_version_and_none_are_served_a_future_one_is_not() {
    let sim = Sim::start().await;
    for (path, served) in
        [("me", true), ("v25.0/me", true), ("v19.0/me", true), ("v26.0/me", true), ("v99.0/me", false)]
    {
        let reply = sim.send(sim.http.get(sim.url(path)).bearer_auth(&sim.token)).await;
        assert_eq!(reply.status == 200, served, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_or_hidden_object_is_100_33() {
    let sim = Sim::start().await;
    for path in ["123", "123/products", "4000000009/items_batch"] {
        let reply = sim.get(path, &[]).await;
        assert_eq!((reply.status, reply.code()), (400, (100, Some(33))), "{path}");
        assert!(reply.text.contains("Unsupported get request. Object with ID"), "{}", reply.text);
    }
    let reply = sim.post("123/items_batch", json!({})).await;
    assert!(reply.text.contains("Unsupported post request."), "{}", reply.text);
}

#[tokio::test]
async fn a_token_without_the_scope_is_200() {
    let sim = Sim::start().await;
    let minted = sim.control("tokens", json!({"owner": USER, "scopes": ["business_management"]})).await;
    let token = minted["access_token"].as_str().expect("token");
    assert_eq!(sim.get_as(token, &format!("{CATALOG}/products"), &[]).await.code().0, 200);
    let minted = sim.control("tokens", json!({"owner": USER, "scopes": ["catalog_management"]})).await;
    let token = minted["access_token"].as_str().expect("token");
    assert_eq!(sim.get_as(token, "me/businesses", &[]).await.code().0, 200);
}

#[tokio::test]
async fn checks_come_in_order_object_before_throttle_before_parameters() {
    let sim = Sim::with(|config| config.quotas.batch_per_minute = 0).await;
    let bad = json!({"requests": 5});
    assert_eq!(sim.post_as("nonsense", &format!("{CATALOG}/items_batch"), bad.clone()).await.code().0, 190);
    assert_eq!(sim.post("123/items_batch", bad.clone()).await.code().0, 100);
    assert_eq!(sim.post(&format!("{CATALOG}/items_batch"), bad.clone()).await.code().0, 80014);
    sim.control("quotas", json!({"batch_per_minute": 8})).await;
    assert_eq!(sim.post(&format!("{CATALOG}/items_batch"), bad).await.code().0, 100);
}
