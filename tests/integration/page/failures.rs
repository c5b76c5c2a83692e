//! What fails is a page with what to do next, whatever part of the server it comes from.

use reqwest::Method;
use testkit::Engine;

use super::Browser;
use crate::http::installation::{Installation, answer};

#[tokio::test]
async fn every_refusal_is_a_page_for_a_browser() {
    let shop = Installation::start(Engine::Sqlite).await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    let form = |path: &str| browser.request(Method::POST, path);
    let cases = [
        ("a method that the page does not take", form("/issues"), 405),
        ("a field that cannot be read", form("/sync").form(&[("on", "maybe")]), 400),
        ("a form without its field", form("/sync").form(&[("off", "true")]), 400),
        ("a body that is no form", form("/sync").json(&"on"), 415),
        ("a form that is too long", form("/sync").form(&[("on", "x".repeat(2 * 1024 * 1024))]), 413),
        ("a path that nothing is at", form("/nowhere"), 404),
    ];
    for (name, request, status) in cases {
        let told = answer(request).await;
        assert_eq!(
            (told.status.as_u16(), told.headers["content-type"].to_str().expect("text")),
            (status, "text/html; charset=utf-8"),
            "{name}: {}",
            told.text
        );
        assert!(told.text.contains("<h1>"), "{name}: {}", told.text);
    }
    let program = answer(shop.request_as("catalog-admin", Method::POST, "/issues")).await;
    assert_eq!(program.failure(), (405, "METHOD_NOT_ALLOWED".into()));
    shop.stop().await;
}
