//! The System page and what the overview shows of the last hour.

use reqwest::Method;
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde_json::json;
use testkit::{Engine, until};

use super::Browser;
use crate::http::installation::{Installation, NOW, answer, secret_of};

const MINUTE: i64 = 60_000;

#[tokio::test]
async fn the_system_is_a_page_and_a_file() {
    for (engine, name) in [(Engine::Sqlite, "SQLite"), (Engine::Postgres, "PostgreSQL")] {
        let shop = Installation::start(engine).await;
        let browser = Browser::of(&shop, "catalog-viewer").await;
        until("the lease is taken", async || shop.app.lease.current().is_some(), || "it does not come".to_owned())
            .await;
        let page = browser.open("/system").await;
        assert_eq!(page.text("h1"), "System");
        let facts = page.texts("dd").join("\n");
        assert!(facts.contains(name) && facts.contains("this one"), "{facts}");
        let actors = page.texts("tbody tr td:first-child strong");
        assert!(
            ["drain", "history", "limiter"].iter().all(|actor| actors.iter().any(|known| known == actor)),
            "{actors:?}"
        );
        assert!(!page.has("#live form"), "there is nothing to change");

        let link = page.attributes("a[download]", "href").remove(0);
        let told = answer(browser.request(Method::GET, &link)).await;
        assert_eq!(told.headers[CONTENT_TYPE], "application/json");
        let disposition = told.headers[CONTENT_DISPOSITION].to_str().expect("text");
        assert_eq!(disposition, "attachment; filename=\"meta-catalog-diagnostics.json\"");
        let (mut file, mut data) = (told.json(), shop.get("/admin/meta/system").await.data());
        for told in [&mut file, &mut data] {
            let told = told.as_object_mut().expect("an object");
            // Its actors go on meanwhile, and with them its size.
            told.remove("actors");
            told["database"].as_object_mut().expect("an object").remove("bytes");
        }
        assert_eq!(file, data);
        assert_eq!(file["lease"]["holder"], file["service"]["instance"]);
        let nobody = answer(shop.anonymous(Method::GET, &link)).await;
        assert_eq!(nobody.failure(), (401, "UNAUTHORIZED".into()));
        shop.stop().await;
    }
}

#[tokio::test]
async fn nothing_secret_is_in_the_diagnostics() {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.connect().await;
    let text = shop.get("/admin/meta/system").await.text;
    for secret in [testkit::KEY, "simulator-app-secret", &secret_of("catalog-admin"), "EAA"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    shop.stop().await;
}

#[tokio::test]
async fn the_last_hour_grows_minute_by_minute() {
    let shop = Installation::start(Engine::Sqlite).await;
    let browser = Browser::of(&shop, "catalog-viewer").await;
    let minutes = async || shop.get("/admin/meta/history").await.data();
    until(
        "the minute before the start",
        async || minutes().await.as_array().is_some_and(|all| all.len() == 1),
        || "it does not come".to_owned(),
    )
    .await;
    let first = &minutes().await[0];
    assert_eq!(
        (&first["at"], &first["sent"], &first["backlog"]),
        (&json!("2025-11-24T15:59:00.000Z"), &json!(0), &json!(0))
    );

    shop.sql("INSERT INTO meta_batch_handles (id, catalog_id, epoch, state, handle, rows, row_count, submitted_at, completed_at,
                  confirmed, refused)
              VALUES ('a', 'c', 1, 'completed', 'h', '[]', 1234, 1764000001000, 1764000004500, 1230, 4)")
        .await;
    shop.clock.advance(2 * MINUTE);
    until(
        "two more minutes",
        async || minutes().await.as_array().is_some_and(|all| all.len() == 3),
        || "it does not come".to_owned(),
    )
    .await;
    let page = browser.open("/").await;
    assert_eq!(page.text("svg.spark title"), "Rows confirmed each minute, up to 1,230");
    let numbers = page.texts("section[aria-labelledby=hour] dd");
    assert_eq!(numbers, ["1,230 of 1,234 rows sent", "4 by Meta", "3.5 s 1 verdict", "3.5 s after Meta took the call"]);
    shop.set_app().await;
    shop.connect().await;
    shop.stand_at(NOW + 65 * MINUTE);
    assert_eq!(browser.open("/").await.texts("section[aria-labelledby=hour] dd")[2], "– no verdict");
    for wrong in ["0", "1441", "-1", "x", "1e3"] {
        let told = shop.get(&format!("/admin/meta/history?minutes={wrong}")).await;
        assert_eq!(told.failure(), (400, "VALIDATION_ERROR".into()), "{wrong}");
    }
    shop.stop().await;
}
