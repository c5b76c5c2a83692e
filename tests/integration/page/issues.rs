//! Issues in groups, with filters and ways to their items.

use testkit::Engine;

use super::Browser;
use crate::http::installation::Installation;

/// Variants with findings of every source.
async fn troubled() -> Installation {
    let shop = Installation::start(Engine::Sqlite).await;
    let rows = [
        ("a-1", "failed", Some("meta:Price is missing"), None, None),
        ("a-2", "failed", Some("meta:Price is missing"), None, None),
        ("b-1", "failed", Some("mapper:trap"), None, None),
        ("c-1", "skipped", Some("eligibility:product_not_public"), None, None),
        ("d-1", "synced", None, Some("title_cut"), None),
        ("d-2", "synced", None, Some("title_cut"), Some("same_gtin")),
        ("d-3", "synced", None, Some("title_cut"), None),
    ];
    for (id, status, cause, warnings, lint) in rows {
        let text = |value: Option<&str>| value.map_or("NULL".to_owned(), |value| format!("'{value}'"));
        shop.sql(&format!(
            "INSERT INTO meta_sync_state
                 (variant_id, status, cause, warnings, lint, last_error, issue_at, created_at, updated_at)
             VALUES ('{id}', '{status}', {}, {}, {}, 'Said of {id} & others', 1764000000000, 0, 0)",
            text(cause),
            text(warnings),
            text(lint),
        ))
        .await;
    }
    shop
}

#[tokio::test]
async fn issues_are_grouped_with_what_to_do() {
    let shop = troubled().await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    let page = browser.open("/issues").await;
    let found = page.texts("tbody td:first-child > a");
    assert_eq!(found, ["Price is missing", "trap", "Title is cut", "The same barcode twice", "Product is not public"]);
    assert_eq!(page.texts("tbody td.number"), ["2", "1", "3", "1", "1"], "the severe, then the frequent first");
    let rail = page.texts(".rail a");
    assert_eq!(rail[0], "All 5");
    assert!(rail.contains(&"Meta's verdict 1".to_owned()) && rail.contains(&"Compared items 1".to_owned()), "{rail:?}");
    let links = page.attributes("tbody td:first-child > a", "href");
    assert_eq!(links[0], "/items?cause=meta%3APrice%20is%20missing");
    let again = page.attributes("tbody a[data-dialog]", "href");
    assert_eq!(again[0], "/items/bulk?action=resync&cause=meta%3APrice%20is%20missing");
    assert_eq!(page.texts("tbody tr:nth-child(1) p.soft"), ["For example a-1: Said of a-1 & others"]);
    assert!(page.texts("tbody td").iter().any(|text| text.contains("Shorten the title.")));
    assert!(!page.answer.text.contains("/admin/meta/"), "a person needs no path of the API");

    let meta = browser.open("/issues?source=meta").await;
    assert_eq!(meta.texts("tbody td:first-child > a"), ["Price is missing"]);
    assert_eq!(meta.texts(".rail a[aria-current]"), ["Meta's verdict 1"]);
    let warnings = browser.open("/issues?severity=warning").await;
    assert_eq!(warnings.texts("tbody td:first-child > a"), ["Title is cut", "The same barcode twice"]);
    let hidden = browser.open("/issues?source=meta&severity=warning").await;
    assert!(hidden.text(".empty").contains("5 other groups are hidden by the filter"));
    let chosen = browser.submit(&hidden, "form.rail-choice", &[("source", "lint")]).await;
    assert_eq!(chosen.path, "/issues");
    assert_eq!(chosen.texts("tbody td:first-child > a"), ["The same barcode twice"]);
    for hostile in ["/issues?source=%3Cscript%3E", "/issues?severity=x&source=", "/issues?source=a&source=b"] {
        let page = browser.open(hostile).await;
        assert_eq!((page.answer.status.as_u16(), page.texts("tbody tr").len()), (200, 5), "{hostile}");
        assert!(!page.answer.text.contains("<script>"));
    }

    let viewer = Browser::of(&shop, "catalog-viewer").await.open("/issues").await;
    assert!(viewer.has("tbody tr") && !viewer.has("a[data-dialog]"));
    shop.stop().await;
}

#[tokio::test]
async fn without_an_issue_all_is_good() {
    let shop = Installation::start(Engine::Sqlite).await;
    let browser = Browser::of(&shop, "catalog-viewer").await;
    let page = browser.open("/issues").await;
    assert_eq!(page.text(".empty strong"), "No issues: all good");
    assert!(page.text(".empty p").contains("Nothing was sent yet"));
    shop.stop().await;
}
