//! The page of one variant.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{CATALOG, Engine};

use super::Browser;
use crate::http::installation::{Installation, answer};

fn shirt(title: &str, status: &str) -> Value {
    json!({"id": "p", "title": title, "description": "A shirt of cotton.", "slug": "shirt", "status": status,
           "visibility": "public", "thumbnail": "img/shirt.jpg", "brand": {"id": "b", "title": "Acme"},
           "variants": [{"id": "v/1", "sku": "S-1", "price": 29900}]})
}

async fn shop() -> Installation {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.stock(&[shirt("Cotton <shirt>", "active")]).await;
    shop
}

/// Sets everything up, and lets time pass until the item is confirmed.
async fn sync(shop: &Installation) {
    shop.connect().await;
    shop.select(CATALOG).await.data();
    shop.set(json!({"storefront_base_url": "https://shop.example", "sync_enabled": true})).await.data();
    shop.post("/admin/meta/bootstrap", Value::Null).await.data();
    shop.until_state("v%2F1", "synced").await;
    shop.meta.advance(120_000);
}

#[tokio::test]
async fn an_item_is_explained_and_compared() {
    let shop = shop().await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    let page = browser.open("/items/v%2F1").await;
    assert_eq!(page.text("h1"), "Cotton <shirt>");
    assert!(page.text("section[aria-labelledby=state]").contains("Never synced"), "{}", page.answer.text);
    assert!(page.texts(".mark .hidden-text").iter().all(|mark| mark == "Passed:"));
    assert_eq!(page.attributes(".lead a", "href"), ["/items"]);

    sync(&shop).await;
    shop.set(json!({"sync_enabled": false})).await.data();
    shop.import(&[shirt("Linen shirt", "active")]).await;
    let page = browser.open("/items/v%2F1").await;
    assert!(page.text("section[aria-labelledby=state]").contains("The sync is paused, so that waits"));
    let differing = page.texts("tr.differs th code");
    assert_eq!(differing[0], "title");
    let title = page.texts("tr.differs td pre");
    assert_eq!(title[..2], ["Linen shirt", "Cotton <shirt>"]);
    assert!(page.text("section[aria-labelledby=compared] header").contains("1 field differs"));
    let events = page.texts(".timeline li");
    assert!(events.len() >= 3 && events[0].starts_with("Queued"), "{events:?}");
    assert!(page.has(".timeline a[href^='/activity/']"));

    // Meta is asked by a link, and not by a refresh.
    let calls = shop.called("GET products");
    let live = browser.open(&page.attributes("section[aria-labelledby=compared] a.button", "href")[0]).await;
    assert_eq!(shop.called("GET products"), calls + 1);
    assert!(live.texts("td .badge.good").iter().any(|badge| badge == "same at Meta"), "{}", live.answer.text);
    let refreshed = answer(browser.request(Method::GET, "/items/v%2F1?live=1").header("hx-request", "true")).await;
    assert_eq!((refreshed.status.as_u16(), shop.called("GET products")), (204, calls + 1));
    shop.stop().await;
}

#[tokio::test]
async fn an_operator_acts_on_an_item_without_script() {
    let shop = shop().await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    let page = browser.open("/items/v%2F1").await;
    let done = browser.submit(&page, "form[action$='/resync']", &[]).await;
    assert_eq!(done.text(".banner.good"), "1 item queued to be decided again.");
    let done = browser.submit(&done, "form[action$='/push']", &[]).await;
    assert_eq!(done.text(".banner.good"), "1 item queued to be sent again.");

    let asked = browser.open(&done.attributes("a[href$='/delete'][data-dialog]", "href")[0]).await;
    assert!(asked.text("#confirm").contains("This affects 1 item."));
    let done = browser.submit(&asked, "#confirm form", &[]).await;
    assert_eq!(
        (&*done.path, &*done.text(".banner.good")),
        ("/items/v%2F1?done=delete&n=1", "1 item queued for removal from Meta.")
    );

    let asked = browser.open(&done.attributes("a[href$='/exclude'][data-dialog]", "href")[0]).await;
    let done = browser.submit(&asked, "#confirm form", &[]).await;
    assert!(done.texts(".mark.bad .hidden-text").contains(&"Failed:".to_owned()));
    let done = browser.submit(&done, "form[action$='/include']", &[]).await;
    assert!(!done.has(".mark.bad"));
    assert_eq!(shop.get("/admin/meta/items/v%2F1").await.data()["syncState"]["excluded"], false);
    let copied = done.attributes("[data-copy]", "data-copy");
    assert_eq!(copied.len(), 6);
    assert!(
        copied.iter().all(|curl| curl.contains("$META_CATALOG_TOKEN") && curl.contains("/admin/meta/items/v%2F1/"))
    );
    shop.stop().await;
}

#[tokio::test]
async fn a_viewer_may_look_and_ask_and_not_act() {
    let shop = shop().await;
    let browser = Browser::of(&shop, "catalog-viewer").await;
    let page = browser.open("/items/v%2F1").await;
    assert!(!page.has("main form") && !page.has("a[data-dialog]"));
    assert_eq!(page.attributes("[data-copy]", "data-copy").len(), 2);
    for verb in ["resync", "push", "delete", "exclude", "include"] {
        let told = answer(browser.request(Method::POST, &format!("/items/v%2F1/{verb}"))).await;
        assert_eq!(told.status.as_u16(), 403, "{verb}");
    }
    for verb in ["delete", "exclude"] {
        assert_eq!(browser.open(&format!("/items/v%2F1/{verb}")).await.answer.status.as_u16(), 403, "{verb}");
    }
    shop.stop().await;
}

#[tokio::test]
async fn what_is_not_eligible_gone_or_unknown_is_told() {
    let shop = shop().await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    shop.import(&[shirt("Cotton shirt", "archived")]).await;
    let page = browser.open("/items/v%2F1").await;
    assert!(
        page.texts(".mark.bad + div").iter().any(|rule| rule.starts_with("The product is active")),
        "{}",
        page.answer.text
    );

    shop.sql(
        "INSERT INTO meta_sync_state (variant_id, status, last_error, cause, created_at, updated_at)
         VALUES ('lost', 'failed', 'no image', 'meta:no image', 0, 0)",
    )
    .await;
    let page = browser.open("/items/lost").await;
    assert_eq!(page.text("h1"), "lost");
    let state = page.text("section[aria-labelledby=state]");
    assert!(state.contains("The shop no longer has this variant") && state.contains("What to do:"), "{state}");
    assert!(page.has("a[href='/items/lost/delete']"));

    let page = browser.open("/items/%3Cnobody%3E").await;
    assert_eq!((page.answer.status.as_u16(), &*page.text("h1")), (404, "There is no such item"));
    assert_eq!(page.attributes("a.button.primary", "href"), ["/items?search=%3Cnobody%3E"]);
    shop.stop().await;
}
