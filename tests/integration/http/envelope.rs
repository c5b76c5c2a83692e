//! Whatever goes wrong, the answer is the one envelope.

use reqwest::Method;

use testkit::Engine;

use super::installation::{Installation, Plan, answer, assert_told};

#[tokio::test]
async fn every_failure_of_the_protocol_is_an_envelope() {
    let shop = Installation::start(Engine::Sqlite).await;
    let request = |method, path: &str| shop.request_as("catalog-admin", method, path);
    let patch = || request(Method::PATCH, "/admin/settings/admin");
    let json = |body: String| patch().header("content-type", "application/json").body(body);

    assert_told!("no-such-path", answer(request(Method::GET, "/admin/meta/nothing")).await);
    let wrong = answer(request(Method::PUT, "/admin/meta/status")).await;
    assert_eq!(wrong.headers["allow"], "GET,HEAD");
    assert_told!("wrong-method", wrong);
    assert_told!("not-json", answer(json("{\"meta\":".into())).await);
    assert_told!("no-content-type", answer(patch().body("{}")).await);
    let form = patch().header("content-type", "application/x-www-form-urlencoded").body("meta=1");
    assert_told!("no-content-type", answer(form).await);
    let long = format!("{{\"meta\":{{\"app_id\":\"{}\"}}}}", "x".repeat(1024 * 1024));
    assert_told!("too-long", answer(json(long)).await);
    assert_told!("unknown-parameter", answer(request(Method::GET, "/admin/meta/errors?pages=2")).await);
    assert_told!("no-parameters", answer(request(Method::GET, "/admin/meta/status?a=b")).await);
    assert_told!("not-utf8", answer(request(Method::GET, "/admin/meta/items/%FF")).await);
    shop.stop().await;
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let shop = Installation::start(Engine::Sqlite).await;
    let id = async |request: reqwest::RequestBuilder| {
        answer(request).await.headers["x-request-id"].to_str().expect("text").to_owned()
    };
    let health = || shop.anonymous(Method::GET, "/health");
    assert_eq!(id(health().header("x-request-id", "from-the-proxy-1")).await, "from-the-proxy-1");
    let fresh = id(health()).await;
    assert!(fresh.len() == 32 && fresh != id(health()).await, "{fresh}");
    assert_eq!(id(health().header("x-request-id", "two words")).await.len(), 32);
    assert_eq!(id(health().header("x-request-id", "x".repeat(129))).await.len(), 32);
    assert_eq!(id(shop.anonymous(Method::GET, "/nothing")).await.len(), 32, "failures too");
    shop.stop().await;
}

#[tokio::test]
async fn a_database_that_is_away_is_503_and_not_401() {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.app.db.close().await;
    assert_told!("not-ready", answer(shop.anonymous(Method::GET, "/ready")).await);
    assert_told!("database-away", shop.get("/admin/meta/status").await);
    assert_eq!(answer(shop.anonymous(Method::GET, "/health")).await.status, 200, "the process lives");
}

#[tokio::test]
async fn switched_off_only_health_and_readiness_are_left() {
    let shop = Plan { config: "enabled = false".into(), ..Plan::on(Engine::Sqlite) }.start().await;
    assert_eq!(answer(shop.anonymous(Method::GET, "/health")).await.status, 200);
    assert_eq!(answer(shop.anonymous(Method::GET, "/ready")).await.status, 200);
    for path in ["/admin/meta/status", "/admin/meta/oauth/callback", "/admin/settings/admin", "/events"] {
        assert_eq!(shop.get(path).await.failure(), (404, "NOT_FOUND".into()), "{path}");
    }
    shop.stop().await;
}
