//! A module from the upload to the rollback.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::Engine;
use testkit::modules::{digest, module};

use super::{Browser, Page};
use crate::http::installation::{Installation, answer};

/// A shop of which the module `margin-label` changes some variants.
async fn stocked() -> Installation {
    let shop = Installation::start(Engine::Sqlite).await;
    let variant =
        |id: &str, price: i64, cost: i64| json!({"id": id, "sku": id, "price": price, "extra": {"cost": cost}});
    shop.stock(&[
        json!({"id": "p-1", "title": "Linen shirt", "slug": "p-1", "status": "active", "visibility": "public",
        "thumbnail": "img/p-1.jpg",
        "variants": [variant("a-low", 10_000, 9_000), variant("b-high", 10_000, 1_000), variant("c-free", 0, 1)]}),
    ])
    .await;
    shop.set(json!({"storefront_base_url": "https://shop.example"})).await.data();
    shop
}

/// Loads the page of a preview until it has ended.
async fn ended(browser: &Browser<'_>, page: Page) -> Page {
    let mut seen = page;
    let has_ended = async || {
        let path = seen.path.clone();
        seen = browser.open(&path).await;
        !seen.has("progress")
    };
    testkit::until("the preview has ended", has_ended, String::new).await;
    seen
}

fn number_of(page: &Page, name: &str) -> String {
    let names = page.texts(".stats dt");
    let at = names.iter().position(|known| known == name).unwrap_or_else(|| panic!("no {name} in {names:?}"));
    page.texts(".stats dd").remove(at)
}

#[tokio::test]
async fn a_module_is_previewed_activated_and_rolled_back() {
    let shop = stocked().await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    let start = browser.open("/mapper").await;
    assert!(!start.has("a[href='/mapper/rollback']") && !start.has("a[href='/mapper/reset']"), "nothing to go back to");
    assert!(start.texts(".empty strong").contains(&"No preview yet".to_owned()));

    let margin = module("margin-label");
    let preview = ended(&browser, browser.upload(&start, "form#upload", "margin-label.wasm", &margin).await).await;
    assert!(preview.path.starts_with("/mapper/preview/"), "{}", preview.path);
    assert!(preview.text("h1").starts_with("Preview of margin-label"));
    assert_eq!((number_of(&preview, "Changed"), number_of(&preview, "Unchanged")), ("2".into(), "1".into()));
    let meters = preview.attributes("meter", "aria-label");
    assert!(meters.iter().any(|meter| meter == "custom_label_2: 2 of 3 variants"), "{meters:?}");
    assert!(preview.has("ins") && preview.has("a[href='/items/a-low'], a[href='/items/a%2Dlow']"));
    assert!(shop.mappers().await.0.starts_with("builtin-"), "nothing is changed");

    let question = browser.open(&preview.attributes("a[data-dialog]", "href").remove(0)).await;
    assert!(question.text("#confirm-title").starts_with("Activate margin-label"), "{}", question.answer.text);
    let told = question.texts("#confirm .choice").join(" ");
    assert!(told.contains("3 variants are mapped again") && told.contains("payloads are sent"), "{told}");
    let active = browser.submit(&question, "#confirm form", &[("remap", "true")]).await;
    assert!(active.path.starts_with("/mapper?done=activated"), "{}", active.path);
    assert_eq!(shop.mappers().await.0, digest(&margin));
    assert!(active.texts(".facts code").contains(&digest(&margin)));
    assert!(active.texts(".facts code").iter().any(|code| code.starts_with("catalog:mapper/mapping@1")));
    assert_eq!(active.texts("#again").len(), 1, "everything is mapped again");
    assert_eq!(browser.open(&preview.path).await.texts(".banner.good"), ["This module is active."]);

    let question = browser.open("/mapper/rollback").await;
    assert_eq!(question.text("#confirm-title"), "Roll back to the built-in mapper?");
    browser.submit(&question, "#confirm form", &[("remap", "false")]).await;
    assert!(shop.mappers().await.0.starts_with("builtin-"));
    // A second person who was asked the same does not undo it.
    let again = browser.submit(&question, "#confirm form", &[("remap", "false")]).await;
    assert!(again.text("#confirm-title").starts_with("Roll back to margin-label"), "{}", again.answer.text);
    assert!(shop.mappers().await.0.starts_with("builtin-"));

    // The file of the preview is still there, so no file is needed to go forward again, and the reset goes back.
    let question = browser.open(&format!("{}/activate", preview.path)).await;
    browser.submit(&question, "#confirm form", &[]).await;
    assert_eq!(shop.mappers().await.0, digest(&margin));
    let question = browser.open("/mapper/reset").await;
    browser.submit(&question, "#confirm form", &[]).await;
    assert!(shop.mappers().await.0.starts_with("builtin-"));

    let question = browser.open("/mapper/remap").await;
    assert!(question.text("#confirm p").contains("3 variants are mapped again"));
    let again = browser.submit(&question, "#confirm form", &[]).await;
    assert_eq!(again.path, "/mapper?done=remap&n=0");
    shop.stop().await;
}

#[tokio::test]
async fn a_file_that_is_no_module_is_told_on_the_page() {
    let shop = stocked().await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    let start = browser.open("/mapper").await;
    let told = async |file: &str, bytes: &[u8]| {
        let page = browser.upload(&start, "form#upload", file, bytes).await;
        assert_eq!((page.answer.status.as_u16(), &*page.text("h1")), (422, "Mapper"), "{file}");
        assert!(page.has("form#upload"), "it can be tried again");
        assert_eq!(page.attributes("#live", "hx-get"), ["/mapper"]);
        page.text("#refused")
    };
    let spoken = told("shop.csv", b"id,title").await;
    assert!(spoken.starts_with("shop.csv was not taken. Nothing was changed."), "{spoken}");
    assert!(told("always-trap.wasm", &module("fixtures/always-trap")).await.contains("fails on the sample"));
    assert!(told("describe-spin.wasm", &module("fixtures/describe-spin")).await.contains("describe itself"));
    assert!(told("other-world.wasm", &module("fixtures/other-world")).await.contains("catalog:mapper"));
    assert!(told("", b"").await.starts_with("No file was taken."));
    let long = vec![0; (4 << 20) + 1];
    assert!(told("long.wasm", &long).await.contains("has 4194305 bytes, and a mapper module has at most 4194304"));
    let spoken = told("<b>bold</b>.wasm", b"x").await;
    assert!(spoken.starts_with("<b>bold</b>.wasm was not taken"), "text, not markup: {spoken}");
    // Nothing of them is kept, and reloading the address shows the page.
    assert_eq!(browser.open("/mapper/preview").await.path, "/mapper");
    assert!(shop.mappers().await.0.starts_with("builtin-"));
    let kept: Vec<(i64,)> = shop.rows("SELECT COUNT(*) FROM mapper_module").await;
    assert_eq!(kept, [(0,)]);

    // What is not the form is refused as a whole.
    let sent = browser.request(Method::POST, "/mapper/preview").body("module");
    assert_eq!(answer(sent).await.status.as_u16(), 415);
    let cut =
        browser.request(Method::POST, "/mapper/preview").header("content-type", "multipart/form-data; boundary=x");
    assert_eq!(answer(cut.body("--x\r\ncontent-disposition: form-data; na")).await.status.as_u16(), 400);
    shop.stop().await;
}

#[tokio::test]
async fn a_preview_is_watched_and_cancelled() {
    let shop = Installation::start(Engine::Sqlite).await;
    // One row of each chunk takes seconds, so that there is time to cancel.
    let variant = |n: usize| {
        let extra = if n.is_multiple_of(1_000) { json!({"evil": "spin"}) } else { json!({}) };
        json!({"id": format!("v-{n:04}"), "sku": "s", "price": 5_000, "extra": extra})
    };
    shop.stock(&[json!({"id": "p", "title": "Linen shirt", "slug": "p", "status": "active", "visibility": "public",
        "thumbnail": "img/p.jpg", "variants": (0..4_000).map(variant).collect::<Vec<_>>()})])
        .await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    let start = browser.open("/mapper").await;
    let evil = module("fixtures/evil");
    let running = browser.upload(&start, "form#upload", "evil.wasm", &evil).await;
    assert_eq!(running.attributes("progress", "max"), ["4000"]);
    assert_eq!(browser.open(&format!("{}/activate", running.path)).await.path, running.path, "it has no report yet");
    let second = browser.upload(&start, "form#upload", "evil.wasm", &evil).await;
    assert!(second.text("#refused").contains("already running"), "{}", second.answer.text);

    let cancelled = browser.submit(&running, "form[action$='/cancel']", &[]).await;
    assert_eq!(cancelled.text(".banner.good"), "The preview was cancelled.");
    assert!(!cancelled.has("progress, a[href$='/activate']"), "and cannot be activated");
    let forced = browser.request(Method::POST, &format!("{}/activate", running.path)).form(&[("remap", "true")]);
    let forced = answer(forced).await;
    assert_eq!(forced.status.as_u16(), 400);
    assert!(forced.text.contains("has no report"), "{}", forced.text);
    shop.stop().await;
}

#[tokio::test]
async fn a_preview_whose_file_is_gone_says_so() {
    let shop = stocked().await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    let start = browser.open("/mapper").await;
    let same = module("builtin");
    let preview = ended(&browser, browser.upload(&start, "form#upload", "same.wasm", &same).await).await;
    assert_eq!(preview.texts(".empty strong"), ["The module changes nothing"]);
    shop.sql("DELETE FROM mapper_module").await;
    let gone = browser.open(&preview.path).await;
    assert!(!gone.has("a[data-dialog]") && gone.text(".banner.warn").contains("no longer stored"));
    let forced = browser.request(Method::POST, &format!("{}/activate", preview.path)).form(&[("remap", "false")]);
    assert_eq!(answer(forced).await.status.as_u16(), 404);
    assert_eq!(browser.open("/mapper/preview/made-up").await.answer.status.as_u16(), 404);
    shop.stop().await;
}

#[tokio::test]
async fn a_viewer_looks_and_changes_nothing() {
    let shop = stocked().await;
    let begun = shop.send_module(Method::POST, "/admin/meta/mapper/preview", module("margin-label")).await.data();
    let id = begun["id"].as_str().expect("an id").to_owned();
    let browser = Browser::of(&shop, "catalog-viewer").await;
    let page = browser.open("/mapper").await;
    assert!(!page.has("main form, a[data-dialog]"), "no buttons");
    assert_eq!(page.texts("table td a").len(), 1, "previews can be looked at");
    let preview = ended(&browser, browser.open(&format!("/mapper/preview/{id}")).await).await;
    assert!(!preview.has("main form, a[data-dialog]"));
    for path in ["rollback", "reset", "remap", &format!("preview/{id}/activate")] {
        assert_eq!(browser.open(&format!("/mapper/{path}")).await.answer.status.as_u16(), 403, "{path}");
    }
    for path in
        ["rollback", "reset", "remap", "preview", &format!("preview/{id}/activate"), &format!("preview/{id}/cancel")]
    {
        let sent = browser.request(Method::POST, &format!("/mapper/{path}")).form(&[("remap", "true")]);
        assert_eq!(answer(sent).await.status.as_u16(), 403, "{path}");
    }
    assert!(shop.mappers().await.0.starts_with("builtin-"));
    let state = shop.get("/admin/meta/mapper").await.data();
    assert_eq!(state["remap"], Value::Null);
    shop.stop().await;
}
