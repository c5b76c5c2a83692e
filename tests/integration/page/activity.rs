//! The Activity page: calls with their verdicts, and who did what.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::Engine;
use testkit::modules::module;

use super::Browser;
use crate::http::installation::{Installation, NOW, answer};

/// What a form sends.
enum Sent {
    Fields(&'static [(&'static str, &'static str)]),
    /// A file: the name of its field, and which one.
    File(&'static str, Which),
}

/// A file to send.
enum Which {
    Module,
    Products,
}
use Sent::{Fields, File};

/// A choice of the catalog, as its form has it.
const PICK: &str = r#"{"businessId":"3000000001","businessName":"Acme","catalogId":"4000000001","catalogName":"Acme"}"#;

/// Every form that changes something, with what it sends, and the action that it is recorded as. Not among them are those
/// that only show a page.
const POSTS: &[(&str, Sent, &str)] = &[
    ("/sync", Fields(&[("on", "true")]), "sync_switched"),
    ("/activity/verdicts", Fields(&[]), "verdicts_asked"),
    ("/items/{variant_id}/resync", Fields(&[]), "resync"),
    ("/items/{variant_id}/push", Fields(&[]), "push"),
    ("/items/{variant_id}/delete", Fields(&[]), "delete"),
    ("/items/{variant_id}/exclude", Fields(&[]), "exclude"),
    ("/items/{variant_id}/include", Fields(&[]), "include"),
    ("/drift/sweep", Fields(&[]), "drift_sweep"),
    ("/drift/repair", Fields(&[("class", "price")]), "drift_repair"),
    ("/drift/ignore", Fields(&[("class", "price"), ("variant", "v-1")]), "drift_ignore"),
    ("/items/bulk", Fields(&[("action", "resync"), ("expected", "0")]), "resync"),
    ("/mapper/preview", File("module", Which::Module), "preview_started"),
    ("/mapper/preview/{id}/cancel", Fields(&[]), "preview_cancelled"),
    ("/mapper/preview/{id}/activate", Fields(&[]), "mapper_activated"),
    ("/mapper/rollback", Fields(&[]), "mapper_rolled_back"),
    ("/mapper/reset", Fields(&[]), "mapper_reset"),
    ("/mapper/remap", Fields(&[]), "remap"),
    ("/settings", Fields(&[("was.poll_interval_seconds", "30"), ("poll_interval_seconds", "31")]), "settings_changed"),
    (
        "/setup/settings",
        Fields(&[("was.app_id", ""), ("app_id", "1000000001"), ("confirmed", "1")]),
        "settings_changed",
    ),
    ("/setup/connect", Fields(&[]), "connect_started"),
    ("/setup/catalog", Fields(&[("pick", PICK)]), "catalog_selected"),
    ("/setup/import", File("file", Which::Products), "imported"),
    ("/setup/bootstrap", Fields(&[]), "bootstrap"),
    ("/setup/disconnect", Fields(&[]), "disconnected"),
];
/// Signing in and out is in the log; a confirmation is only shown.
const UNRECORDED: [&str; 3] = ["/sign-in", "/sign-out", "/items/bulk/confirm"];

/// Every path of the page's code that takes a POST.
fn posts() -> BTreeSet<String> {
    fn files(folder: &Path, code: &mut String) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                files(&path, code);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                code.push_str(&std::fs::read_to_string(&path).expect("a file"));
            }
        }
    }
    let mut code = String::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page"), &mut code);
    let routes = code.split(".route(").skip(1).filter_map(|rest| {
        let (_, rest) = rest.split_once('"')?;
        let (path, rest) = rest.split_once('"')?;
        let handlers = rest.split(".route(").next()?.split(';').next()?.split('}').next()?;
        handlers.contains("post(").then(|| path.to_owned())
    });
    routes.collect()
}

#[tokio::test]
async fn every_form_that_changes_something_is_recorded() {
    let known: BTreeSet<String> = POSTS.iter().map(|(path, ..)| *path).chain(UNRECORDED).map(str::to_owned).collect();
    assert_eq!(posts(), known, "a form that changes something is in the list of this test");
    let shop = Installation::start(Engine::Sqlite).await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    for (path, sent, action) in POSTS {
        let request = browser.request(Method::POST, &path.replace("{variant_id}", "v-1").replace("{id}", "made-up"));
        let told = answer(match sent {
            Fields(fields) => request.form(fields),
            File(name, which) => {
                let head = format!("--part\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n");
                let file = match which {
                    Which::Module => module("margin-label"),
                    Which::Products => b"\n".to_vec(),
                };
                let body = [head.as_bytes(), &file, b"\r\n--part--\r\n"].concat();
                request.header("content-type", "multipart/form-data; boundary=part").body(body)
            }
        })
        .await;
        let last = &shop.get("/admin/meta/audit?limit=1").await.data()["entries"][0];
        let outcome = if told.status.is_client_error() { "refused" } else { "ok" };
        assert_eq!((&last["action"], &last["outcome"]), (&json!(action), &json!(outcome)), "{path}: {}", told.text);
        assert_eq!(last["principal"]["id"], "token-of-catalog-admin", "{path}");
    }
    shop.stop().await;
}

#[tokio::test]
async fn who_did_what_is_told_in_words() {
    let shop = Installation::start(Engine::Sqlite).await;
    let browser = Browser::of(&shop, "catalog-viewer").await;
    let page = browser.open("/activity?tab=audit").await;
    assert_eq!(page.text(".empty strong"), "Nobody did anything yet");

    shop.set(json!({"batch_size": 700})).await.data();
    shop.post("/admin/meta/items/a%2Fb%3Cb%3E/exclude", Value::Null).await;
    let page = browser.open("/activity?tab=audit").await;
    assert_eq!(page.texts("tbody td:first-child strong"), ["Exclude", "Change settings"]);
    assert_eq!(page.texts("tbody li"), ["batch_size: 1,000 → 700"]);
    assert_eq!(page.attributes("tbody td[data-name=On] a", "href"), ["/items/a%2Fb%3Cb%3E", "/settings"]);
    assert_eq!(page.texts("tbody .badge"), ["Refused", "Done"]);
    assert_eq!(page.texts("tbody code"), ["NOT_FOUND"]);
    assert_eq!(page.texts("tbody td[data-name=Who]"), ["catalog-admin", "catalog-admin"]);

    let page = browser.submit(&page, "section form", &[("action", "exclude")]).await;
    assert_eq!(page.texts("tbody td:first-child strong"), ["Exclude"]);
    let page = browser.open("/activity?tab=audit&action=remap&principal=%3Cx%3E").await;
    assert_eq!(page.text(".empty strong"), "No action matches");
    assert_eq!(browser.open("/activity?tab=audit&action=made-up").await.answer.status.as_u16(), 400);
    shop.stop().await;
}

#[tokio::test]
async fn the_trail_goes_on_page_by_page() {
    let shop = Installation::start(Engine::Sqlite).await;
    for _ in 0..60 {
        shop.post("/admin/meta/items/v/resync", Value::Null).await;
    }
    let browser = Browser::of(&shop, "catalog-viewer").await;
    let first = browser.open("/activity?tab=audit").await;
    assert_eq!(first.texts("tbody tr").len(), 50);
    let older = first.attributes("footer a", "href");
    let second = browser.open(&older[0]).await;
    assert_eq!(second.texts("tbody tr").len(), 10);
    assert_eq!(second.texts("footer a"), ["Latest"]);
    shop.stop().await;
}

#[tokio::test]
async fn calls_are_listed_with_their_verdicts_and_errors() {
    let shop = Installation::start(Engine::Sqlite).await;
    let viewer = Browser::of(&shop, "catalog-viewer").await;
    assert_eq!(viewer.open("/activity").await.text(".empty strong"), "No calls yet");
    assert_eq!(viewer.open("/activity?show=failed").await.text(".empty strong"), "No call failed");

    for (id, state, errors) in [
        ("c-open", "pending", "NULL"),
        (
            "c-errors",
            "completed",
            "'{\"errors\":[{\"id\":\"a/<b>\",\"line\":1,\"message\":\"Not <now>\"},{\"id\":null,\"line\":2,\"message\":\"Odd\"}],\"errors_total_count\":1200,\"warnings\":[],\"warnings_total_count\":0}'",
        ),
        (
            "c-clean",
            "completed",
            "'{\"errors\":[],\"errors_total_count\":0,\"warnings\":[],\"warnings_total_count\":0}'",
        ),
        ("c-failed", "failed", "NULL"),
    ] {
        let completed = if state == "pending" { "NULL".to_owned() } else { (NOW - 60_000).to_string() };
        shop.sql(&format!(
            "INSERT INTO meta_batch_handles (id, catalog_id, epoch, state, handle, rows, row_count, submitted_at, completed_at, errors)
             VALUES ('{id}', 'cat', 1, '{state}', 'handle-of-{id}', '[]', 4321, {}, {completed}, {errors})",
            NOW - 90_000
        ))
        .await;
    }
    let page = viewer.open("/activity").await;
    assert_eq!(page.texts("tbody .badge"), ["Verdict open", "Failed", "With errors", "Taken"]);
    assert_eq!(page.texts("tbody td[data-name=Errors]"), ["–", "–", "1,200", "0"]);
    assert_eq!(page.texts("tbody td[data-name='Answered after']"), ["–", "–", "30 s", "30 s"]);
    assert_eq!(page.texts("tbody td[data-name=Items]"), ["4,321"; 4]);
    assert!(!page.has("form[method=post][action='/activity/verdicts']"), "a viewer has no button");
    let page = viewer.submit(&page, "section form", &[("show", "failed")]).await;
    assert_eq!(page.texts("tbody .badge"), ["Failed"]);

    let page = viewer.open("/activity/c-errors").await;
    assert_eq!(page.attributes("tbody a", "href"), ["/items/a%2F%3Cb%3E"]);
    assert_eq!(page.texts("tbody td:last-child"), ["Not <now>", "Odd"]);
    assert_eq!(viewer.open("/activity/nothing").await.answer.status.as_u16(), 404);
    assert_eq!(viewer.open("/activity?after=x").await.answer.status.as_u16(), 400);

    let admin = Browser::of(&shop, "catalog-admin").await;
    let page = admin.open("/activity").await;
    let page = admin.submit(&page, "form[action='/activity/verdicts']", &[]).await;
    assert_eq!(page.text(".banner.good"), "Meta is asked for 1 verdict now.");
    shop.stop().await;
}
