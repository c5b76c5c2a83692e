//! The set-up, the whole way without script, and where it can go wrong.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{CATALOG, Engine, product, until, variant};

use super::{Browser, Page};
use crate::http::installation::{Installation, Plan, SECOND_CATALOG, answer};

/// The marks of the steps: D(one), N(ow) or L(ater).
fn marks(page: &Page) -> String {
    page.texts("summary.step .badge").iter().filter_map(|mark| mark.chars().next()).collect()
}

/// The steps that are open.
fn open(page: &Page) -> Vec<String> {
    page.texts("details[open] > summary.step h2")
}

fn lines(products: &[Value]) -> Vec<u8> {
    products.iter().map(Value::to_string).collect::<Vec<_>>().join("\n").into_bytes()
}

/// Goes on to Facebook from a page that leads there, consents, and comes back.
async fn consents(browser: &Browser<'_>, leaving: &Page) -> Page {
    let url = leaving.attributes("#go-on", "href").remove(0);
    assert_eq!(leaving.attributes("meta[http-equiv=refresh]", "content"), [format!("0; url={url}")]);
    let told = answer(
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client").get(url),
    )
    .await;
    let back = told.headers["location"].to_str().expect("text").to_owned();
    browser.open(back.split_once("/admin/").map(|(_, rest)| format!("/admin/{rest}")).expect("back").as_str()).await
}

async fn the_whole_way(database: Engine) {
    let shop = Installation::start(database).await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    let page = browser.open("/setup").await;
    assert_eq!((marks(&page), open(&page)), ("NLLLLLL".into(), vec!["Register an app at Meta".to_owned()]));
    assert!(page.has("[data-still]"), "it is not refreshed while a form is filled in");
    let uri = format!("{}/admin/meta/oauth/callback", shop.base());
    assert_eq!((page.text("#redirect-uri"), page.attributes("[data-copy]", "data-copy")), (uri.clone(), vec![uri]));

    // The app: what is wrong is told beside its field, and nothing shows the secret.
    let long = "1".repeat(101);
    let wrong = browser.submit(&page, "#app form", &[("app_id", &long), ("app_secret", "simulator-app-secret")]).await;
    assert_eq!(wrong.answer.status.as_u16(), 422);
    assert!(wrong.text("#app_id-wrong").starts_with("Takes text of at most 100 characters"), "{}", wrong.answer.text);
    assert_eq!(wrong.attributes("#app_id", "value"), [long]);
    let typed = [("app_id", "1000000001"), ("app_secret", "simulator-app-secret")];
    let page = browser.submit(&page, "#app form", &typed).await;
    assert_eq!((marks(&page), page.path.as_str()), ("DNLLLLL".into(), "/setup?done=saved&n=2"));
    assert!(!wrong.answer.text.contains("simulator-app-secret") && !page.answer.text.contains("simulator-app-secret"));

    // Facebook.
    let leaving = browser.submit(&page, "form[action='/setup/connect']", &[]).await;
    let landed = consents(&browser, &leaving).await;
    assert_eq!(landed.path, "/settings/meta?connected=1");
    let page = browser.open("/setup?done=connected").await;
    assert_eq!((marks(&page), open(&page)), ("DDNLLLL".into(), vec!["Choose the catalog".to_owned()]));

    // The catalog: nothing chosen is told.
    let list = browser.open("/setup/catalog").await;
    assert!(list.texts("legend strong").contains(&"Acme Holdings".to_owned()), "{:?}", list.texts("legend"));
    let nothing = browser.submit(&list, "form[action='/setup/catalog']", &[]).await;
    assert_eq!(
        (nothing.answer.status.as_u16(), nothing.text("#live .banner.bad")),
        (422, "Choose one of the catalogs.".into())
    );
    let pick = list.attributes("input[name=pick]", "value");
    let pick = pick.iter().find(|pick| pick.contains(CATALOG)).expect("the catalog is listed");
    let page = browser.submit(&list, "form[action='/setup/catalog']", &[("pick", pick)]).await;
    assert_eq!((page.path.as_str(), marks(&page)), ("/setup?done=catalog&n=0", "DDDNLLL".into()));

    // The shop.
    let wrong = browser.submit(&page, "#shop form", &[("storefront_base_url", "shop"), ("currency", "rupee")]).await;
    assert_eq!((wrong.answer.status.as_u16(), wrong.texts("#shop .wrong").len()), (422, 2));
    assert_eq!(wrong.attributes("#currency", "value"), ["rupee"]);
    let page = browser
        .submit(&wrong, "#shop form", &[("storefront_base_url", "https://shop.example"), ("currency", "INR")])
        .await;
    assert_eq!((marks(&page), open(&page)), ("DDDDNLL".into(), vec!["Bring the products in".to_owned()]));

    // The products: a file that is not taken, one with a line that is refused.
    let none = browser.upload(&page, "form[action='/setup/import']", "p.ndjson", b"").await;
    assert_eq!(none.answer.status.as_u16(), 400);
    let all = [product("p-1", &[variant("v-1", 100), variant("v-2", 0)]), json!({"id": "p-2", "status": "sold"})];
    let report = browser.upload(&page, "form[action='/setup/import']", "p.ndjson", &lines(&all)).await;
    assert_eq!(report.text("h1"), "The file is imported");
    assert_eq!(report.texts("dl.stats dd"), ["1", "2", "1", "2", "1"]);
    assert!(report.texts("section.card td[data-name='First line']").iter().all(|line| line == "2"));

    // The look ahead: one is sent, one is not, and no call was made.
    let page = browser.open("/setup").await;
    assert_eq!(
        (marks(&page), page.texts("#preview dl.stats dd")),
        ("DDDDDNN".into(), vec!["1".into(), "0".into(), "1".into(), "2".into()])
    );
    assert_eq!(
        (page.texts("#preview tbody td span"), page.texts("#preview tbody a")),
        (vec!["No price".to_owned(), "not eligible".to_owned()], vec!["Product p-1".to_owned()])
    );
    assert_eq!(shop.called("POST items_batch"), 0);

    // The number before the action, then the action.
    assert!(!page.has("#start a[data-dialog]"), "the import queued everything");
    let confirm = browser.open("/setup/bootstrap").await;
    assert_eq!(confirm.text("#confirm button"), "Queue 2 variants");
    let page = browser.submit(&confirm, "#confirm form", &[]).await;
    assert_eq!(page.text("[role=status].banner"), "Everything eligible is being queued: 2 items.");
    let page = browser.submit(&page, "#start form[action='/sync']", &[]).await;
    assert_eq!(page.path, "/?done=resumed&n=0");
    shop.set(json!({"drain_pacing": "budget"})).await.data();
    until(
        "one is synced",
        async || {
            shop.clock.advance(1_000);
            shop.meta.advance(1_000);
            shop.get("/admin/meta/status").await.data()["counts"]["synced"] == json!(1)
        },
        String::new,
    )
    .await;

    // Then the page shows the connection.
    let page = browser.open("/setup").await;
    assert_eq!((marks(&page), page.has("[data-still]")), ("DDDDDDD".into(), false));
    let connection = page.text("section[aria-labelledby=connection] dl");
    for fact in ["Supercommerce Catalog Sync", "a system user of the business", "Acme", CATALOG] {
        assert!(connection.contains(fact), "{fact}: {connection}");
    }

    // Another catalog is confirmed with the number; then everything has to be queued for it.
    let list = browser.open("/setup/catalog").await;
    assert!(list.attributes("input[checked]", "value")[0].contains(CATALOG));
    let pick = list.attributes("input[name=pick]", "value");
    let pick = pick.iter().find(|pick| pick.contains(SECOND_CATALOG)).expect("it is listed");
    let confirm = browser.submit(&list, "form[action='/setup/catalog']", &[("pick", pick)]).await;
    assert!(
        confirm.text("main section.card").contains("2 eligible variants have"),
        "{}",
        confirm.text("main section.card")
    );
    let page = browser.submit(&confirm, "main form", &[("confirmed", "true")]).await;
    assert_eq!(page.path, "/setup?done=catalog&n=0");

    // Disconnected after a question.
    let confirm = browser.open("/setup/disconnect").await;
    let page = browser.submit(&confirm, "#confirm form", &[]).await;
    assert_eq!((page.path.as_str(), &marks(&page)[..2]), ("/setup?done=disconnected&n=0", "DN"));
    shop.stop().await;
}

#[tokio::test]
async fn the_whole_way_on_sqlite() {
    the_whole_way(Engine::Sqlite).await;
}

#[tokio::test]
async fn the_whole_way_on_postgres() {
    the_whole_way(Engine::Postgres).await;
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_is_told_with_what_to_do() {
    let shop = Installation::start(Engine::Sqlite).await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    // Without the app's credentials.
    let before = browser.open("/setup/connect").await;
    let page = browser.submit(&before, "main form", &[]).await;
    assert_eq!(page.answer.status.as_u16(), 422);
    assert!(page.text("#live .banner.bad").contains("first step of the set-up"), "{}", page.text("#live .banner.bad"));
    let page = browser.open("/setup/catalog").await;
    assert!(page.has("a[href='/setup/catalog']") && !page.answer.text.contains("/admin/"), "{}", page.answer.text);

    // A login that is denied leads back to where it can be tried again.
    shop.set_app().await;
    let leaving = browser.submit(&before, "main form", &[]).await;
    let url = leaving.attributes("#go-on", "href").remove(0);
    let state = url.split("state=").nth(1).expect("a state").split('&').next().expect("a state").to_owned();
    let landed = browser.open(&format!("/admin/meta/oauth/callback?error=access_denied&state={state}")).await;
    let again = browser.open(&landed.attributes("a.primary", "href")[0]).await;
    assert_eq!(again.text("h1"), "Connect Facebook");

    // A permission that was not granted is named.
    shop.connect().await;
    shop.sql("UPDATE integration_credentials SET scope = 'catalog_management'").await;
    let page = browser.open("/setup").await;
    assert_eq!(&marks(&page)[..3], "DNL");
    assert!(page.text("#connect .banner.bad").contains("business_management was not granted"), "{}", page.answer.text);
    shop.sql("UPDATE integration_credentials SET scope = 'catalog_management,business_management'").await;

    // Meta in trouble: nothing is lost, and it can be tried again.
    shop.plan(json!({"on": "businesses", "kind": "status_5xx"}));
    let page = browser.open("/setup/catalog").await;
    assert_eq!(page.answer.status.as_u16(), 200);
    let list = browser.open("/setup/catalog").await;
    let pick = list.attributes("input[name=pick]", "value");
    let pick = pick.iter().find(|pick| pick.contains(CATALOG)).expect("it is listed");
    shop.meta.configure(|meta| meta.rules.max_admin_system_users = 0);
    let refused = browser.submit(&list, "form[action='/setup/catalog']", &[("pick", pick)]).await;
    assert_eq!(refused.answer.status.as_u16(), 422);
    assert!(refused.text("#live .banner.bad").contains("system user") && refused.has("input[name=pick]"));
    let forged = browser.submit(&list, "form[action='/setup/catalog']", &[("pick", "{\"catalogId\":\"../x\"}")]).await;
    assert_eq!(forged.answer.status.as_u16(), 422);
    shop.stop().await;
}

#[tokio::test]
async fn a_service_that_nobody_reaches_says_what_to_set() {
    let shop = Plan::with_config("public_api_url = \"http://0.0.0.0:8080\"".into()).start().await;
    shop.set_app().await;
    let page = answer(shop.request_as("catalog-admin", Method::GET, "/setup").header("accept", "text/html")).await;
    assert!(
        page.text.contains("PUBLIC_API_URL") && !page.text.contains("form method=\"post\" action=\"/setup/connect\"")
    );
    shop.stop().await;
}

#[tokio::test]
async fn somebody_who_may_only_look_sees_the_steps_and_no_form() {
    let shop = Installation::start(Engine::Sqlite).await;
    let browser = Browser::of(&shop, "catalog-viewer").await;
    let page = browser.open("/setup").await;
    assert_eq!(marks(&page), "NLLLLLL");
    assert!(!page.has("main form") && !page.has("main a[data-dialog]"), "{}", page.answer.text);
    for path in ["/setup/connect", "/setup/catalog", "/setup/bootstrap", "/setup/disconnect"] {
        assert_eq!(browser.open(path).await.answer.status.as_u16(), 403, "{path}");
    }
    for path in [
        "/setup/connect",
        "/setup/catalog",
        "/setup/bootstrap",
        "/setup/disconnect",
        "/setup/settings",
        "/setup/import",
        "/settings",
    ] {
        let told = answer(browser.request(Method::POST, path).form(&[("pick", "{}")])).await;
        assert_eq!(told.status.as_u16(), 403, "{path}");
    }
    shop.stop().await;
}
