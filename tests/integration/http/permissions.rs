//! Who may do what, on every route.

use reqwest::Method;
use serde_json::{Value, json};

use testkit::{Engine, Installation, answer, assert_told, selection};

/// Every guarded route: method, path, a body that is taken, whether it needs `manage`, and its answer to who may.
fn routes() -> Vec<(Method, &'static str, Value, bool, u16)> {
    let none = Value::Null;
    let event = json!({"event": "inventory.stock.adjusted", "variantId": "v"});
    let get = |path, status| (Method::GET, path, Value::Null, false, status);
    let post = |path, body, status| (Method::POST, path, body, true, status);
    vec![
        get("/admin/settings/admin", 200),
        get("/admin/meta/status", 200),
        get("/admin/meta/businesses", 400),
        get("/admin/meta/errors", 200),
        get("/admin/meta/items", 200),
        get("/admin/meta/items/v", 404),
        get("/admin/meta/items/v/meta-status", 404),
        (Method::GET, "/admin/meta/oauth/start", none.clone(), true, 400),
        (Method::DELETE, "/admin/meta/oauth", none.clone(), true, 200),
        (Method::PATCH, "/admin/settings/admin", json!({"meta": {}}), true, 200),
        post("/admin/meta/select-catalog", selection("1"), 400),
        post("/admin/meta/bootstrap", none.clone(), 202),
        post("/admin/meta/resync/v", none.clone(), 404),
        post("/admin/meta/items/v/resync", none.clone(), 404),
        post("/admin/meta/items/v/delete-from-meta", none.clone(), 404),
        post("/admin/meta/items/bulk/resync-failed", none.clone(), 202),
        post("/admin/meta/items/bulk/resync-skipped", none.clone(), 202),
        post("/admin/meta/held-deletes/release", none.clone(), 202),
        get("/admin/meta/mapper", 200),
        get("/admin/meta/mapper/preview/p", 404),
        // A module's bytes are not JSON.
        (Method::PUT, "/admin/meta/mapper", none.clone(), true, 415),
        (Method::DELETE, "/admin/meta/mapper", none.clone(), true, 200),
        post("/admin/meta/mapper/rollback", none.clone(), 404),
        post("/admin/meta/mapper/preview", none.clone(), 415),
        post("/admin/meta/mapper/remap", none, 202),
        post("/events", event.clone(), 202),
        post("/admin/meta/events", event, 202),
    ]
}

#[tokio::test]
async fn every_route_asks_for_its_permission_and_for_nothing_else() {
    let shop = Installation::start(Engine::Sqlite).await;
    for (method, path, body, manage, status) in routes() {
        let told = async |request: reqwest::RequestBuilder| {
            answer(if body.is_null() { request } else { request.json(&body) }).await
        };
        let what = format!("{method} {path}");
        let nobody = told(shop.anonymous(method.clone(), path)).await;
        assert_eq!(nobody.failure(), (401, "UNAUTHORIZED".into()), "{what}");
        assert_eq!(nobody.headers["www-authenticate"], "Bearer", "{what}");
        let stranger = told(shop.anonymous(method.clone(), path).bearer_auth("mct_made-up")).await;
        assert_eq!(stranger.failure(), (401, "UNAUTHORIZED".into()), "{what}");
        let roleless = told(shop.request_as("nobody", method.clone(), path)).await;
        assert_eq!(roleless.failure(), (403, "FORBIDDEN".into()), "{what}");
        let viewer = told(shop.request_as("catalog-viewer", method.clone(), path)).await;
        assert_eq!(viewer.status.as_u16(), if manage { 403 } else { status }, "{what}: {}", viewer.text);
        let admin = told(shop.request_as("catalog-admin", method.clone(), path)).await;
        assert_eq!(admin.status.as_u16(), status, "{what}: {}", admin.text);
        // With this table, a route that forgets to ask cannot hide behind a body it refuses.
        let unread = answer(shop.anonymous(method.clone(), path).body("{")).await;
        assert_eq!(unread.failure(), (401, "UNAUTHORIZED".into()), "{what}");
    }
    shop.stop().await;
}

#[tokio::test]
async fn only_a_bearer_token_that_stands_counts() {
    let shop = Installation::start(Engine::Sqlite).await;
    let with =
        |value: &str| shop.anonymous(Method::GET, "/admin/meta/status").header("authorization", value.to_owned());
    assert_told!("unauthorized", answer(shop.anonymous(Method::GET, "/admin/meta/status")).await);
    assert_told!("forbidden", answer(shop.request_as("catalog-viewer", Method::POST, "/admin/meta/bootstrap")).await);
    assert_eq!(answer(with("bearer  mct_secret-of-catalog-viewer")).await.status, 200);
    for refused in ["Basic mct_secret-of-catalog-viewer", "Bearer", "Bearer ", "mct_secret-of-catalog-viewer"] {
        assert_eq!(answer(with(refused)).await.status, 401, "{refused}");
    }
    shop.sql("UPDATE api_token SET revoked_at = 1 WHERE id = 'token-of-catalog-viewer'").await;
    assert_eq!(answer(with("Bearer mct_secret-of-catalog-viewer")).await.status, 401);
    shop.stop().await;
}

#[tokio::test]
async fn health_readiness_and_the_callback_are_open() {
    let shop = Installation::start(Engine::Sqlite).await;
    for path in ["/health", "/ready"] {
        let answer = answer(shop.anonymous(Method::GET, path)).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"status": "ok"})), "{path}");
    }
    let callback = answer(shop.anonymous(Method::GET, "/admin/meta/oauth/callback")).await;
    assert_eq!(callback.failure(), (400, "meta_oauth_state_invalid".into()));
    shop.stop().await;
}
