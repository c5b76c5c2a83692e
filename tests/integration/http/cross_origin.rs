//! Pages of other origins: those that are configured may use the API, the others may not.

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use testkit::Engine;

use super::installation::{Answer, Installation, Plan, answer};

const PAGE: &str = "https://admin.shop.example";
const OTHER_PAGE: &str = "http://localhost:5173";

async fn shop() -> Installation {
    let config = format!("public_admin_url = \"{PAGE}/panel\"\n[http]\nallowed_origins = [\"{OTHER_PAGE}\"]\n");
    Plan { config, ..Plan::on(Engine::Sqlite) }.start().await
}

fn from(request: RequestBuilder, origin: &str) -> RequestBuilder {
    request.header("origin", origin)
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().expect("text"))
}

#[tokio::test]
async fn configured_pages_may_read_and_write() {
    let shop = shop().await;
    for origin in [PAGE, OTHER_PAGE] {
        let asked = from(shop.anonymous(Method::OPTIONS, "/admin/settings/admin"), origin)
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "content-type");
        let preflight = answer(asked).await;
        assert!(preflight.status.is_success());
        assert_eq!(header(&preflight, "access-control-allow-origin"), Some(origin));
        assert_eq!(header(&preflight, "access-control-allow-credentials"), Some("true"));
        let methods = header(&preflight, "access-control-allow-methods").expect("methods");
        assert!(["GET", "POST", "PUT", "PATCH", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
        let headers = header(&preflight, "access-control-allow-headers").expect("headers");
        assert!(["authorization", "content-type"].iter().all(|name| headers.contains(name)), "{headers}");
        assert_eq!(header(&preflight, "access-control-max-age"), Some("7200"));

        let read = answer(from(shop.request_as("catalog-viewer", Method::GET, "/admin/meta/status"), origin)).await;
        assert_eq!((read.status.as_u16(), header(&read, "access-control-allow-origin")), (200, Some(origin)));
        assert_eq!(header(&read, "access-control-allow-credentials"), Some("true"));
        assert!(header(&read, "vary").expect("a list").to_lowercase().contains("origin"));

        // A page must be able to read why it is refused.
        let nobody = answer(from(shop.anonymous(Method::GET, "/admin/meta/status"), origin)).await;
        assert_eq!((nobody.status.as_u16(), header(&nobody, "access-control-allow-origin")), (401, Some(origin)));
        let wrong = shop.request_as("catalog-admin", Method::PATCH, "/admin/settings/admin");
        let wrong = answer(from(wrong, origin).json(&json!({"meta": {"nope": 1}}))).await;
        assert_eq!((wrong.status.as_u16(), header(&wrong, "access-control-allow-origin")), (400, Some(origin)));
    }
    shop.stop().await;
}

#[tokio::test]
async fn other_pages_get_no_permission() {
    let shop = shop().await;
    let others = [
        "https://evil.example",
        "https://admin.shop.example.evil.example",
        "http://admin.shop.example",
        "https://admin.shop.example:8443",
        "http://localhost:5174",
        "null",
    ];
    for origin in others {
        let asked = from(shop.anonymous(Method::OPTIONS, "/admin/settings/admin"), origin)
            .header("access-control-request-method", "PATCH");
        assert_eq!(header(&answer(asked).await, "access-control-allow-origin"), None, "{origin}");
        let read = answer(from(shop.request_as("catalog-viewer", Method::GET, "/admin/meta/status"), origin)).await;
        assert_eq!(header(&read, "access-control-allow-origin"), None, "{origin}");
    }
    shop.stop().await;
}

/// Without a page there is nobody to allow.
#[tokio::test]
async fn without_a_configured_page_nothing_is_allowed() {
    let shop = Installation::start(Engine::Sqlite).await;
    let read = answer(from(shop.request_as("catalog-viewer", Method::GET, "/admin/meta/status"), PAGE)).await;
    assert_eq!((read.status.as_u16(), header(&read, "access-control-allow-origin")), (200, None));
    shop.stop().await;
}
