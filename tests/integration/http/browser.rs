//! A real Chromium on pages of other origins, with the cookie of a session of Better-Auth.

use std::net::Ipv4Addr;
use std::process::Stdio;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::Html;
use axum::routing::{get, post};
use serde_json::{Value, json};
use testkit::PATIENCE;
use testkit::better_auth::{AuthDb, Scenario, config};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::installation::Plan;

/// What a page does: it looks, changes a setting, looks at an error, and tells its own server what it could read.
const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><script>
const ask = async (path, options) => {
  try {
    const response = await fetch("API" + path, {credentials: "include", ...options});
    return {status: response.status, body: await response.json(), id: response.headers.get("x-request-id")};
  } catch (error) {
    return {refused: error.name};
  }
};
(async () => {
  const said = [
    await ask("/admin/meta/status"),
    await ask("/admin/settings/admin", {
      method: "PATCH", headers: {"content-type": "application/json"}, body: JSON.stringify({meta: {currency: "EUR"}}),
    }),
    await ask("/admin/meta/items/nobody"),
  ];
  await fetch("/said", {method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(said)});
})();
</script>"#;

/// Opens a page that this listener serves, in a Chromium of its own, and returns what it could read.
async fn opened(listener: TcpListener, api: &str, cookie: &str) -> Value {
    let address = listener.local_addr().expect("an address");
    let (tell, mut told) = mpsc::channel::<Value>(1);
    let (page, cookie) = (PAGE.replace("API", api), format!("{cookie}; Path=/; HttpOnly; SameSite=Lax"));
    let site = Router::new()
        .route("/", get(async move || ([(header::SET_COOKIE, cookie)], Html(page))))
        .route(
            "/said",
            post(async |State(tell): State<mpsc::Sender<Value>>, axum::Json(said): axum::Json<Value>| {
                tell.send(said).await.expect("the test waits");
            }),
        )
        .with_state(tell);
    let serving = tokio::spawn(async move { axum::serve(listener, site).await });
    let profile = tempfile::tempdir().expect("a folder");
    let _chromium = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"])
        .args(["--remote-debugging-port=0"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://{address}/"))
        .env("HOME", profile.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("chromium runs; scripts/test.sh installs it");
    let said = tokio::time::timeout(PATIENCE, told.recv()).await.expect("the page tells in time").expect("it tells");
    serving.abort();
    said
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, origin)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_configured_origin_reads_and_writes_and_another_does_neither() {
    let admin = Scenario::named("sqlite/role-catalog-admin");
    let db = AuthDb::new(&admin.schema).await;
    db.hold(&admin).await;
    let cookie = &admin.headers("cookie")["cookie"];
    let ((ours, origin), (third, _)) = (listener().await, listener().await);
    let config = format!("public_admin_url = \"{origin}/panel\"\n{}", config(&admin.deployment, &db.url, ""));
    let shop = Plan::with_config(config).start().await;
    shop.stand_at(admin.now());

    // The third origin is asked with the same valid cookie, first.
    let refused = opened(third, shop.base(), cookie).await;
    assert_eq!(refused, json!([{"refused": "TypeError"}, {"refused": "TypeError"}, {"refused": "TypeError"}]));
    assert_eq!(shop.get("/admin/settings/admin").await.data()["meta"]["currency"], "INR", "and it changed nothing");

    let said = opened(ours, shop.base(), cookie).await;
    assert_eq!((&said[0]["status"], &said[0]["body"]["data"]["connected"]), (&json!(200), &json!(false)), "{said}");
    assert_eq!(said[1]["status"], 200, "{said}");
    assert_eq!(shop.get("/admin/settings/admin").await.data()["meta"]["currency"], "EUR");
    // It reads why it was refused, and the id to report.
    assert_eq!((&said[2]["status"], &said[2]["body"]["errorCode"]), (&json!(404), &json!("NOT_FOUND")), "{said}");
    assert!(said[2]["id"].is_string(), "{said}");
    shop.stop().await;
}
