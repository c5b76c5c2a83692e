//! The list of items: what is shown, what is found, and actions on many.

use reqwest::Method;
use testkit::{Engine, product, variant};

use super::Browser;
use crate::http::installation::{Installation, answer};

/// A shop with this many shirts, half of which Meta refused.
async fn shop(count: usize) -> Installation {
    let shop = Installation::start(Engine::Sqlite).await;
    let one = |number: usize| product(&format!("p-{number:03}"), &[variant(&format!("v-{number:03}"), 29_900)]);
    shop.import(&(0..count).map(one).collect::<Vec<_>>()).await;
    shop.sql("UPDATE meta_sync_state SET status = 'failed', last_error = 'Said of <b>' WHERE variant_id < 'v-060'")
        .await;
    shop.sql("UPDATE meta_sync_state SET status = 'synced', at_meta = TRUE WHERE variant_id >= 'v-060'").await;
    shop
}

#[tokio::test]
async fn the_rail_filters_and_the_list_goes_on_in_both_directions() {
    let shop = shop(120).await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    let all = browser.open("/items").await;
    let rail = all.texts(".rail a");
    assert!(rail.starts_with(&["All 120".to_owned(), "In step 60".to_owned()]), "{rail:?}");
    assert_eq!(all.texts("tbody tr").len(), 50);
    let refused = browser.open("/items?status=failed").await;
    assert_eq!(refused.texts(".rail a[aria-current]"), ["Refused 60"]);
    assert!(refused.texts("tbody tr")[0].contains("Said of <b>"), "a text from outside is text");

    let next = refused.attributes("a[rel=next]", "href").remove(0);
    let second = browser.open(&next).await;
    let (first_ids, second_ids) = (refused.attributes("[name=id]", "value"), second.attributes("[name=id]", "value"));
    assert_eq!((first_ids.len(), second_ids.len()), (50, 10));
    assert!(second_ids.iter().all(|id| !first_ids.contains(id)));
    let back = browser.open(&second.attributes("a[rel=prev]", "href")[0]).await;
    assert_eq!(back.attributes("[name=id]", "value"), first_ids);
    let elsewhere = browser.open(&next.replace("status=failed", "status=synced")).await;
    assert_eq!(elsewhere.answer.status.as_u16(), 422, "a place in another list is told");
    shop.stop().await;
}

#[tokio::test]
async fn a_search_takes_words_and_says_what_it_does_not_know() {
    let shop = shop(3).await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    let page = browser.open("/items").await;
    let found = browser.submit(&page, "form[role=search]", &[("search", "V-001")]).await;
    assert_eq!(found.attributes("[name=id]", "value"), ["v-001"]);
    let found = browser.submit(&page, "form[role=search]", &[("search", "state:failed id:v-002")]).await;
    assert_eq!(found.attributes("[name=id]", "value"), ["v-002"]);
    let one = browser.open("/items/bulk?action=delete&search=id%3Av-002").await;
    assert!(one.text("#confirm-title").ends_with(": 1 item"), "an action keeps to it: {}", one.text("#confirm"));
    let unknown = browser.submit(&page, "form[role=search]", &[("search", "state:flying")]).await;
    assert!(unknown.has("#search-wrong"), "{}", unknown.answer.text);
    let none = browser.open("/items?search=nothing-like-this").await;
    assert_eq!(none.text(".empty strong"), "No item matches");
    let good = browser.open("/items?held=true").await;
    assert_eq!(good.text(".empty strong"), "None: all good");
    shop.stop().await;
}

#[tokio::test]
async fn an_action_on_many_tells_its_number_and_is_refused_when_it_grew() {
    let shop = shop(120).await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    let list = browser.open("/items?status=failed").await;
    let asked =
        browser.submit(&list, "form[action='/items/bulk/confirm']", &[("action", "resync"), ("scope", "all")]).await;
    assert!(asked.text("#confirm-title").ends_with(": 60 items"), "{}", asked.text("#confirm"));
    let done = browser.submit(&asked, "#confirm form", &[]).await;
    assert_eq!(done.text(".banner.good[role=status]"), "60 items queued to be decided again.");

    let one = [("action", "push"), ("scope", "selected"), ("id", "v-100")];
    let one = browser.submit(&list, "form[action='/items/bulk/confirm']", &one).await;
    assert!(one.text("#confirm-title").ends_with(": 1 item"));

    // Many removals are typed in, and none more than was agreed to.
    let removal = browser.open("/items/bulk?action=delete").await;
    let wrong = browser.submit(&removal, "#confirm form", &[("typed", "12")]).await;
    assert_eq!(wrong.answer.status.as_u16(), 422);
    shop.import(&[product("p-new", &[variant("v-new", 100)])]).await;
    let grown = browser.submit(&removal, "#confirm form", &[("typed", "120")]).await;
    assert_eq!(grown.answer.status.as_u16(), 409);
    assert!(grown.text("#confirm [role=alert]").contains("You confirmed 120 items, and 121 would be touched"));
    let done = browser.submit(&grown, "#confirm form", &[("typed", "121")]).await;
    assert_eq!(done.text(".banner.good[role=status]"), "121 items queued for removal from Meta.");
    shop.stop().await;
}

#[tokio::test]
async fn the_file_has_everything_that_the_filter_shows() {
    let shop = shop(120).await;
    let viewer = Browser::of(&shop, "catalog-viewer").await;
    let page = viewer.open("/items?status=failed").await;
    assert!(!page.has("form[method=post]:not([action='/sign-out'])") && !page.has("[name=id]"));
    let file = answer(viewer.request(Method::GET, &page.attributes("a[download]", "href")[0])).await;
    assert_eq!(file.headers["content-type"], "text/csv; charset=utf-8");
    let lines: Vec<&str> = file.text.lines().collect();
    assert_eq!(lines.len(), 61);
    assert!(lines[1].contains(",299.00,\"failed\","), "{}", lines[1]);
    shop.stop().await;
}
