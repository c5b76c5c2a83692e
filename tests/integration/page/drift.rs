//! What Meta shows differently, its repair and what is ignored.

use testkit::{CATALOG, Engine};

use super::Browser;
use crate::http::installation::Installation;

/// Findings of two classes, as a sweep leaves them.
async fn drifted() -> Installation {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.connect().await;
    shop.select(CATALOG).await.data();
    shop.sql(&format!(
        "INSERT INTO drift_sweep (number, catalog_id, after_id, started_at, finished_at, outcome, looked, passed, calls)
         VALUES (1, '{CATALOG}', 'z', 1764000000000, 1764000060000, 'done', 90, 10, 7)"
    ))
    .await;
    let rows = [("a&1", "price", "1"), ("b", "price", "1"), ("c", "price", "NULL"), ("d", "hidden", "1")];
    for (id, class, confirmed) in rows {
        shop.sql(&format!(
            "INSERT INTO drift_finding (catalog_id, variant_id, class, sweep, version, details, first_seen_at, last_seen_at,
                 confirmed_at)
             VALUES ('{CATALOG}', '{id}', '{class}', 1, 1,
                 '[{{\"field\": \"price\", \"ours\": \"2.00 INR\", \"meta\": \"<b>\"}}]', 1764000000000,
                 1764000000000, {confirmed})"
        ))
        .await;
    }
    shop
}

#[tokio::test]
async fn findings_are_listed_by_class_and_decided_on() {
    let shop = drifted().await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    let page = browser.open("/drift").await;
    assert_eq!(page.texts("nav a[aria-current=page]"), ["Drift"]);
    assert!(page.text("#sweep ~ dl").contains("90 items 90 %"), "{}", page.text("#sweep ~ dl"));
    assert_eq!(
        page.attributes("a[data-dialog]", "href"),
        ["/drift/repair?class=price"],
        "nothing else can be repaired"
    );
    let prices = browser.open("/drift?class=price").await;
    assert_eq!(prices.texts("#found"), ["Price"]);
    assert_eq!(prices.attributes("section:last-child tbody td:first-child a", "href")[0], "/items/a%261");
    let standings = prices.texts("section:last-child td[data-name=State]");
    assert_eq!(standings, ["Confirmed", "Confirmed", "Seen once"]);
    assert!(prices.texts("td[data-name='Meta shows']")[0].contains("<b>"), "as text");

    let ignored = browser.submit(&prices, "tbody tr:nth-child(2) form", &[]).await;
    assert_eq!(ignored.text(".banner.good[role=status]"), "1 finding is ignored.");
    assert_eq!(ignored.texts("section:last-child td[data-name=State]"), ["Confirmed", "Ignored", "Seen once"]);
    let confirm = browser.open("/drift/repair?class=price").await;
    assert_eq!(confirm.text("#confirm-title"), "Send 1 item again?");
    let repaired = browser.submit(&confirm, "#confirm form", &[]).await;
    let said = repaired.text(".banner.good[role=status]");
    assert_eq!(said, "1 finding is to be sent again, within the budget of the hour.");
    let heeded = browser.submit(&repaired, "tbody tr:nth-child(2) form", &[]).await;
    assert_eq!(heeded.text(".banner.good[role=status]"), "1 finding is no longer ignored.");
    let begun = browser.submit(&heeded, "form[action='/drift/sweep']", &[]).await;
    assert!(begun.text(".banner.good[role=status]").starts_with("The sweep has begun."));
    shop.stop().await;
}

#[tokio::test]
async fn a_viewer_reads_and_an_address_that_names_nothing_shows_everything() {
    let shop = drifted().await;
    let browser = Browser::of(&shop, "catalog-viewer").await;
    let page = browser.open("/drift?class=made-up&after=x").await;
    assert_eq!(page.texts("#found"), [] as [&str; 0]);
    assert_eq!(page.attributes("main form", "action"), [] as [&str; 0], "a viewer changes nothing");
    assert_eq!(browser.open("/drift?class=hidden").await.texts("#found"), ["Hidden"]);
    shop.stop().await;
}
