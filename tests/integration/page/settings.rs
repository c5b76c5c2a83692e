//! The settings: what is wrong, what a change leads to, and two people at once.

use serde_json::json;
use testkit::{CATALOG, Engine, product, variant};

use super::Browser;
use crate::http::installation::Installation;

#[tokio::test]
async fn only_what_was_changed_is_saved() {
    let shop = Installation::start(Engine::Sqlite).await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    let page = browser.open("/settings").await;
    assert_eq!(page.texts("main h2"), ["Shop", "Items", "Sync", "Verdicts", "Drift", "Meta app", "Catalog"]);
    assert_eq!(page.attributes("#batch_size", "max"), ["5000"]);
    assert!(
        page.text("#batch_size-help").ends_with("From 1 to 5,000. Default: 1000."),
        "{}",
        page.text("#batch_size-help")
    );

    let nothing = browser.submit(&page, "#sync form", &[]).await;
    assert_eq!(nothing.text("[role=status].banner"), "Nothing was changed.");
    // Somebody else changes another setting meanwhile.
    shop.set(json!({"batch_size": 700})).await.data();
    let saved = browser.submit(&page, "#sync form", &[("sync_interval_seconds", "30"), ("sync_enabled", "true")]).await;
    assert_eq!(saved.text("[role=status].banner"), "2 settings are saved.");
    let stored = &shop.get("/admin/settings/admin").await.data()["meta"];
    assert_eq!(
        (&stored["sync_interval_seconds"], &stored["sync_enabled"], &stored["batch_size"]),
        (&json!(30), &json!(true), &json!(700))
    );

    // What is wrong is told beside its field, with what was typed, and nothing is saved.
    let wrong = browser.submit(&saved, "#sync form", &[("batch_size", "many"), ("sync_interval_seconds", "60")]).await;
    assert_eq!(wrong.answer.status.as_u16(), 422);
    assert_eq!(wrong.text("#batch_size-wrong"), "Takes a whole number from 1 to 5000, got \"many\".");
    assert_eq!(
        (wrong.attributes("#batch_size", "value"), wrong.attributes("#sync_interval_seconds", "value")),
        (vec!["many".into()], vec!["60".into()])
    );
    assert_eq!(shop.get("/admin/settings/admin").await.data()["meta"]["sync_interval_seconds"], 30);
    // A blank number is the default; a box that is not checked is off.
    let saved = browser.submit(&wrong, "#sync form", &[("batch_size", "")]).await;
    assert_eq!(saved.text("[role=status].banner"), "2 settings are saved.");
    assert_eq!(shop.get("/admin/settings/admin").await.data()["meta"]["batch_size"], 1000);

    // The same setting by two people.
    shop.set(json!({"max_attempts": 3})).await.data();
    let conflict = browser.submit(&saved, "#verdicts form", &[("max_attempts", "9")]).await;
    assert_eq!(conflict.answer.status.as_u16(), 409);
    assert!(conflict.text("#max_attempts-wrong").contains("“3”"), "{}", conflict.text("#max_attempts-wrong"));
    let saved = browser.submit(&conflict, "#verdicts form", &[]).await;
    assert_eq!(saved.text("[role=status].banner"), "1 setting is saved.");
    assert_eq!(shop.get("/admin/settings/admin").await.data()["meta"]["max_attempts"], 9);

    // A secret is written and never shown.
    let saved = browser.submit(&saved, "#app form", &[("app_id", "1"), ("app_secret", "hunter2")]).await;
    assert!(!saved.answer.text.contains("hunter2") && saved.attributes("#app_secret", "value") == [""]);
    let saved = browser.submit(&saved, "#app form", &[("app_id", "2")]).await;
    assert_eq!(saved.text("[role=status].banner"), "1 setting is saved.");
    assert_eq!(shop.get("/admin/settings/admin").await.data()["meta"]["app_secret"], "********");
    shop.stop().await;
}

#[tokio::test]
async fn what_a_change_leads_to_is_said_before_it_is_saved() {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.set_up_shop().await;
    let browser = Browser::of(&shop, "catalog-admin").await;
    let page = browser.open("/settings").await;
    let asked = browser.submit(&page, "#shop form", &[("currency", "usd")]).await;
    assert_eq!((asked.answer.status.as_u16(), asked.text("h1")), (200, "Save these changes?".into()));
    assert!(asked.text("main ul").contains("2 variants are asked again"), "{}", asked.text("main ul"));
    assert_eq!(asked.texts("main tbody td"), ["INR", "USD"]);
    assert_eq!(shop.get("/admin/settings/admin").await.data()["meta"]["currency"], "INR");

    let edited = browser.submit(&asked, "main form", &[("edit", "true")]).await;
    assert_eq!(edited.attributes("#currency", "value"), ["USD"], "the input is kept");
    let saved = browser.submit(&asked, "main form", &[("confirmed", "true")]).await;
    assert_eq!(saved.path, "/settings?done=saved&n=1");
    let status = shop.get("/admin/meta/status").await.data();
    assert_eq!(status["reasks"][0]["reason"], "settings");

    let asked = browser.submit(&saved, "#sync form", &[("feed_mode", "preview")]).await;
    assert!(asked.text("main ul").contains("nothing is sent to Meta"), "{}", asked.text("main ul"));
    shop.stop().await;
}

#[tokio::test]
async fn somebody_who_may_only_look_sees_values_and_no_form() {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.set_app().await;
    let browser = Browser::of(&shop, "catalog-viewer").await;
    let page = browser.open("/settings").await;
    assert!(!page.has("main form") && !page.has("main input"));
    assert!(page.text("#app dl").contains("1000000001") && page.text("#app dl").contains("is set"));
    shop.stop().await;
}

impl Installation {
    /// Two variants that were sent.
    async fn set_up_shop(&self) {
        self.connect().await;
        self.select(CATALOG).await.data();
        self.import(&[product("p", &[variant("v-1", 100), variant("v-2", 100)])]).await;
        self.sql("UPDATE meta_sync_state SET status = 'synced'").await;
    }
}
