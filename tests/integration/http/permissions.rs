//! Who may do what, on every route.

use reqwest::Method;
use serde_json::json;

use super::operations::{Operation, operations};
use testkit::Engine;

use super::installation::{Answer, Installation, answer, assert_told};

#[tokio::test]
async fn every_route_asks_for_its_permission_and_for_nothing_else() {
    let shop = Installation::start(Engine::Sqlite).await;
    let operations = operations(&meta_catalog::http::document(true));
    let guarded = operations.iter().filter_map(|one| Some((one, one.permission.as_deref()?)));
    let mut asked = 0;
    for (one, permission) in guarded {
        let Operation { name, method, path, statuses, .. } = one;
        let told = async |request: reqwest::RequestBuilder| answer(one.request(request)).await;
        let nobody = told(shop.anonymous(method.clone(), path)).await;
        assert_eq!(nobody.failure(), (401, "UNAUTHORIZED".into()), "{name}");
        assert_eq!(nobody.headers["www-authenticate"], "Bearer", "{name}");
        let stranger = told(shop.anonymous(method.clone(), path).bearer_auth("mct_made-up")).await;
        assert_eq!(stranger.failure(), (401, "UNAUTHORIZED".into()), "{name}");
        let roleless = told(shop.request_as("nobody", method.clone(), path)).await;
        assert_eq!(roleless.failure(), (403, "FORBIDDEN".into()), "{name}");
        let allowed = |answer: &Answer| {
            let status = answer.status.as_u16();
            assert!(status != 401 && status != 403 && statuses.contains(&status), "{name}: {answer:?}");
        };
        let viewer = told(shop.request_as("catalog-viewer", method.clone(), path)).await;
        match permission {
            "metaCatalog:view" => allowed(&viewer),
            _ => assert_eq!(viewer.failure(), (403, "FORBIDDEN".into()), "{name}"),
        }
        allowed(&told(shop.request_as("catalog-admin", method.clone(), path)).await);
        // A route that forgets to ask cannot hide behind a body that it refuses.
        let unread = answer(shop.anonymous(method.clone(), path).body("{")).await;
        assert_eq!(unread.failure(), (401, "UNAUTHORIZED".into()), "{name}");
        // Nor behind a query that it refuses.
        let query = format!("{path}{}made=up&made=up", if path.contains('?') { '&' } else { '?' });
        let unread = answer(shop.anonymous(method.clone(), &query)).await;
        assert_eq!(unread.failure(), (401, "UNAUTHORIZED".into()), "{name}");
        let unread = answer(shop.request_as("nobody", method.clone(), &query)).await;
        assert_eq!(unread.failure(), (403, "FORBIDDEN".into()), "{name}");
        let read = told(shop.request_as("catalog-admin", method.clone(), &query)).await;
        assert_eq!(read.failure(), (400, "VALIDATION_ERROR".into()), "{name}");
        asked += 1;
    }
    assert!(asked >= 27, "the document has guarded operations: {asked}");
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
