//! Reading and changing settings.

use reqwest::Method;
use serde_json::json;

use testkit::Engine;

use super::installation::{Installation, answer, assert_told};

async fn read_and_change(database: Engine) {
    let shop = Installation::start(database).await;
    assert_told!("settings-defaults", shop.get("/admin/settings/admin").await);
    let changed = shop
        .set(json!({
            "app_id": " 42 ",
            "app_secret": "hunter2",
            "currency": "usd",
            "storefront_base_url": "https://shop.example",
            "batch_size": 5000,
            "sync_enabled": true,
        }))
        .await;
    assert_told!("settings-changed", changed);
    assert_told!("settings-changed", shop.get("/admin/settings/admin").await);
    assert!(!changed.text.contains("hunter2"));

    // The mask changes nothing, and null asks for the default.
    shop.set(json!({"app_secret": "********", "batch_size": null})).await.data();
    let meta = &shop.get("/admin/settings/admin").await.data()["meta"];
    assert_eq!((&meta["app_secret"], &meta["batch_size"]), (&json!("********"), &json!(1000)));
    assert!(shop.get("/admin/meta/oauth/start").await.status.is_success(), "the secret is still there");
    shop.set(json!({"app_secret": ""})).await.data();
    assert_eq!(shop.get("/admin/meta/oauth/start").await.failure(), (400, "meta_misconfigured".into()));
    shop.stop().await;
}

#[tokio::test]
async fn settings_are_read_and_changed_on_sqlite() {
    read_and_change(Engine::Sqlite).await;
}

#[tokio::test]
async fn settings_are_read_and_changed_on_postgres() {
    read_and_change(Engine::Postgres).await;
}

#[tokio::test]
async fn one_bad_setting_keeps_all_as_they_were() {
    let shop = Installation::start(Engine::Sqlite).await;
    let before = shop.get("/admin/settings/admin").await.data();
    let refused = shop
        .set(json!({
            "app_id": "42",
            "app_secret": 7,
            "currency": "rupee",
            "nonsense": 1,
            "poll_interval_seconds": 601,
            "storefront_product_path": "product",
        }))
        .await;
    assert_told!("settings-invalid", refused);
    assert_eq!(shop.get("/admin/settings/admin").await.data(), before);
    for (body, name) in [
        (json!({}), "settings-without-group"),
        (json!({"meta": {}, "other": {}}), "settings-unknown-group"),
        (json!({"meta": []}), "settings-wrong-type"),
    ] {
        let request = shop.request_as("catalog-admin", Method::PATCH, "/admin/settings/admin").json(&body);
        assert_told!(name, answer(request).await);
    }
    shop.stop().await;
}

#[tokio::test]
async fn a_new_secret_clears_what_stopped_the_channel() {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.connect().await;
    shop.sql("UPDATE channel SET problem_code = 'meta_app_rejected', problem_message = 'Set the secret.'").await;
    shop.set(json!({"currency": "EUR"})).await.data();
    assert_eq!(shop.get("/admin/meta/status").await.data()["problem"]["code"], "meta_app_rejected");
    shop.set(json!({"app_secret": "another"})).await.data();
    assert_eq!(shop.get("/admin/meta/status").await.data()["problem"], json!(null));
    shop.stop().await;
}
