//! The API while its database is away, and after it came back.

use catalog_sync::runtime::vitals::RESET_WINDOW;
use reqwest::{Method, StatusCode};
use serde_json::json;

use testkit::postgres::Server;
use testkit::{Engine, PATIENCE};

use super::installation::{Installation, Plan, answer, selection};

/// Asks until the answer is this one; panics after [`PATIENCE`].
async fn until(shop: &Installation, path: &str, status: StatusCode) {
    let mut last = None;
    let asked = async {
        loop {
            let got = answer(shop.request_as("catalog-admin", Method::GET, path)).await;
            if got.status == status {
                return;
            }
            last = Some(got);
            // Nobody can tell when it is back; the API itself says so, as soon as it is asked again.
            tokio::task::yield_now().await;
        }
    };
    let within = tokio::time::timeout(PATIENCE, asked).await;
    within.unwrap_or_else(|_| panic!("{path} did not come to {status}, but to {last:?}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_is_503_and_comes_back_by_itself() {
    let server = Server::start().expect("a server of its own");
    let url = server.database().await;
    let shop = Plan { url: Some(url), ..Plan::on(Engine::Postgres) }.start().await;
    shop.set(json!({"currency": "EUR"})).await.data();
    until(&shop, "/ready", StatusCode::OK).await;

    server.stop();
    let ready = answer(shop.anonymous(Method::GET, "/ready")).await;
    assert_eq!(ready.failure(), (503, "SERVICE_UNAVAILABLE".into()), "{ready:?}");
    assert_eq!(answer(shop.anonymous(Method::GET, "/health")).await.status, 200, "the process lives");
    let event = json!({"event": "inventory.stock.adjusted", "variantId": "v"});
    for (method, path, body) in [
        (Method::GET, "/admin/meta/status", None),
        (Method::GET, "/admin/meta/items", None),
        (Method::POST, "/admin/meta/bootstrap", None),
        (Method::POST, "/admin/meta/select-catalog", Some(selection("1"))),
        (Method::POST, "/events", Some(event)),
        (Method::GET, "/admin/meta/oauth/callback?state=x&code=y", None),
    ] {
        let request = shop.request_as("catalog-admin", method, path);
        let refused = answer(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await;
        assert_eq!(refused.failure(), (503, "SERVICE_UNAVAILABLE".into()), "{path}: never 401, never 500");
        assert!(!refused.text.contains("127.0.0.1"), "the cause is for the log alone: {}", refused.text);
    }

    server.start_again();
    // On a slow machine actors have restarted so often meanwhile that readiness waits for them to last; the clock stands.
    shop.clock.advance(i64::try_from(RESET_WINDOW.as_millis()).expect("minutes"));
    until(&shop, "/ready", StatusCode::OK).await;
    until(&shop, "/admin/meta/status", StatusCode::OK).await;
    assert_eq!(shop.get("/admin/settings/admin").await.data()["meta"]["currency"], "EUR");
    shop.stop().await;
}
