//! Signing in and out, and what a session is good for.

use reqwest::Method;
use reqwest::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, IF_NONE_MATCH, LOCATION, ORIGIN, SET_COOKIE};
use testkit::Engine;

use super::Browser;
use crate::http::installation::{Installation, Plan, answer, secret_of};

const HOUR_MS: i64 = 60 * 60 * 1_000;

#[tokio::test]
async fn a_token_becomes_a_session_for_some_hours() {
    let shop = Installation::start(Engine::Sqlite).await;
    let mut browser = Browser::new(&shop);
    let page = browser.open("/items?status=failed").await;
    assert_eq!(page.path, "/sign-in?next=%2Fitems%3Fstatus%3Dfailed", "and comes back there");
    assert_eq!(page.form("form").fields[0], ("next".into(), "/items?status=failed".into()));

    let token = secret_of("catalog-admin");
    let told = browser.sign_in(&token).await;
    assert_eq!(
        (told.status.as_u16(), &told.headers[LOCATION]),
        (303, &"/items?status=failed".parse().expect("a value"))
    );
    let cookie = told.headers[SET_COOKIE].to_str().expect("text");
    assert!(cookie.ends_with("; Path=/; Max-Age=28800; HttpOnly; SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains(&token) && !cookie.contains("token-of-"), "{cookie}");

    assert_eq!(browser.open("/").await.text("h1"), "Overview");
    assert!(browser.open("/sign-in").await.path == "/", "a session goes on");
    shop.clock.advance(8 * HOUR_MS);
    assert_eq!(browser.open("/").await.path, "/sign-in?next=%2F");
    shop.stop().await;
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_when_signed_out() {
    let shop = Installation::start(Engine::Sqlite).await;
    let mut browser = Browser::of(&shop, "catalog-viewer").await;
    let page = browser.open("/").await;
    assert!(page.has("form[action='/sign-out']"));
    let told = answer(browser.request(Method::POST, "/sign-out")).await;
    assert!(told.headers[SET_COOKIE].to_str().expect("text").contains("Max-Age=0"));

    browser.sign_in(&secret_of("catalog-viewer")).await;
    let mut tx = shop.app.db.write().await.expect("a transaction");
    let now = shop.app.now();
    let revoked = catalog_sync::store::api_token::revoke(&mut tx, "token-of-catalog-viewer", now).await;
    assert!(revoked.expect("revoked"));
    tx.commit().await.expect("committed");
    assert_eq!(browser.open("/").await.path, "/sign-in?next=%2F");
    shop.stop().await;
}

#[tokio::test]
async fn a_wrong_token_is_told_and_too_many_attempts_are_refused() {
    let shop = Installation::start(Engine::Sqlite).await;
    let mut browser = Browser::new(&shop);
    let told = browser.sign_in("mct_made-up").await;
    assert_eq!(told.status.as_u16(), 422);
    assert!(told.text.contains("not known here") && !told.text.contains("made-up"), "{}", told.text);
    assert!(told.headers.get(SET_COOKIE).is_none());

    // The limiter has a clock of its own: within the burst nobody is refused, and long after it somebody is.
    let mut refused = 0;
    for _ in 0..60 {
        refused += usize::from(browser.sign_in("mct_made-up").await.status.as_u16() == 429);
    }
    assert!(refused > 0);
    shop.stop().await;
}

#[tokio::test]
async fn a_foreign_page_changes_nothing() {
    let shop = Installation::start(Engine::Sqlite).await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    for (path, body) in [("/sign-in", "token=mct_x"), ("/sign-out", ""), ("/sync", "on=true")] {
        let request = shop.anonymous(Method::POST, path).header("cookie", browser.cookie());
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        for origin in [None, Some("https://evil.example"), Some("null")] {
            let request = request.try_clone().expect("a request");
            let request = if let Some(origin) = origin { request.header(ORIGIN, origin) } else { request };
            assert_eq!(answer(request).await.status.as_u16(), 403, "{path} {origin:?}");
        }
    }
    assert_eq!(shop.get("/admin/settings/admin").await.data()["meta"]["sync_enabled"], false);
    // The API takes the same cookie, and asks for the same origin.
    let own = browser.request(Method::GET, "/admin/meta/status");
    assert_eq!(answer(own).await.status.as_u16(), 200);
    shop.stop().await;
}

#[tokio::test]
async fn a_viewer_sees_no_buttons_and_is_refused() {
    let shop = Installation::start(Engine::Sqlite).await;
    let browser = Browser::of(&shop, "catalog-viewer").await;
    assert!(browser.open("/").await.has(".side .badge"), "it says that one may only look");
    let told = answer(browser.request(Method::POST, "/sync").form(&[("on", "true")])).await;
    assert_eq!(told.status.as_u16(), 403);
    assert!(told.text.contains("This needs another permission"), "a page, not JSON: {}", told.text);
    let nobody = Browser::of(&shop, "nobody").await;
    assert_eq!(nobody.open("/").await.answer.status.as_u16(), 403);
    shop.stop().await;
}

#[tokio::test]
async fn a_page_runs_only_our_files_and_costs_nothing_while_it_is_the_same() {
    let shop = Installation::start(Engine::Sqlite).await;
    let browser = Browser::of(&shop, "catalog-viewer").await;
    let page = browser.open("/").await;
    let policy = page.answer.headers[CONTENT_SECURITY_POLICY].to_str().expect("text");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    assert!(!page.has("[style], script:not([src]), style, [onclick], [hx-on]"));
    assert_eq!(page.answer.headers[CACHE_CONTROL], "private, no-cache");
    let again = browser.request(Method::GET, "/").header(IF_NONE_MATCH, &page.answer.headers[ETAG]);
    let again = answer(again).await;
    assert_eq!((again.status.as_u16(), &*again.text), (304, ""));
    for path in page.attributes("script[src]", "src").into_iter().chain(page.attributes("link[href]", "href")) {
        let asset = answer(shop.anonymous(Method::GET, &path)).await;
        assert_eq!(asset.status.as_u16(), 200, "{path}");
        assert_eq!(asset.headers[CACHE_CONTROL], "public, max-age=31536000, immutable");
    }
    shop.stop().await;
}

#[tokio::test]
async fn behind_https_the_cookie_is_bound_to_the_host() {
    let shop = Plan::with_config("public_api_url = \"https://meta.shop.example\"\n".into()).start().await;
    let sent = shop.anonymous(Method::POST, "/sign-in").header(ORIGIN, "https://meta.shop.example");
    let told = answer(sent.form(&[("token", secret_of("catalog-viewer"))])).await;
    let cookie = told.headers[SET_COOKIE].to_str().expect("text");
    assert!(cookie.starts_with("__Host-meta-catalog=v1:") && cookie.ends_with("; Secure"), "{cookie}");
    shop.stop().await;
}

#[tokio::test]
async fn a_login_ends_on_a_page_that_says_what_happened() {
    let shop = Installation::start(Engine::Sqlite).await;
    let browser = Browser::new(&shop);
    // Facebook sends the browser back without the cookie of the session.
    let denied = browser.open("/admin/meta/oauth/callback?error=access_denied&error_reason=user_denied&state=x").await;
    assert!(denied.path.contains("/settings/meta?error="), "{}", denied.path);
    assert!(denied.has("a[href='/setup/connect']"), "it can be tried again");
    let connected = browser.open("/settings/meta?connected=1").await;
    assert_eq!(connected.attributes("meta[http-equiv=refresh]", "content"), ["0; url=/setup?done=connected"]);
    // A program goes on to get JSON.
    let told = answer(shop.anonymous(Method::GET, "/admin/meta/oauth/callback?state=x&code=y")).await;
    assert_eq!(told.failure(), (400, "meta_oauth_state_invalid".into()));
    shop.stop().await;
}
