//! The audit trail: every operation that changes something is in it, with its caller and its outcome.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{CATALOG, Engine};

use super::installation::{Installation, answer};
use super::operations::operations;

async fn entries(shop: &Installation, query: &str) -> Vec<Value> {
    let part = shop.get(&format!("/admin/meta/audit?limit=200{query}")).await.data();
    part["entries"].as_array().expect("a list").clone()
}

/// A new operation of the document is asked here by itself.
async fn every_operation_is_recorded(engine: Engine) {
    let shop = Installation::start(engine).await;
    let document = meta_catalog::http::document(true);
    let (mut asked, mut kinds) = (0, std::collections::BTreeSet::new());
    for one in operations(&document) {
        let changes_something = one.permission.as_deref() == Some("metaCatalog:manage");
        // What the shop's own machine reports is no action of an operator.
        let is_of_the_shop = one.path.ends_with("/events");
        let before = entries(&shop, "").await.len();
        let told = answer(one.request(shop.request_as("catalog-admin", one.method.clone(), &one.path))).await;
        let after = entries(&shop, "").await;
        let is_a_question = told.text.contains("\"dryRun\":true") && !one.path.ends_with("/import");
        // What the app at Meta needs is for those who may connect it; reading it changes nothing.
        let is_a_look = one.path == "/admin/meta/webhook";
        let expected = usize::from(changes_something && !is_of_the_shop && !is_a_question && !is_a_look);
        assert_eq!(after.len() - before, expected, "{}: {told:?}", one.name);
        if expected == 0 {
            continue;
        }
        let row = &after[0];
        let principal = json!({"kind": "api_token", "id": "token-of-catalog-admin", "name": "catalog-admin", "impersonatedBy": null});
        assert_eq!(row["principal"], principal, "{}", one.name);
        assert!(row["at"].is_string() && row["finishedAt"].is_string(), "{}: {row}", one.name);
        if told.status.is_success() {
            assert_eq!((&row["outcome"], &row["errorCode"]), (&json!("ok"), &Value::Null), "{}: {row}", one.name);
        } else {
            assert_eq!(
                (&row["outcome"], &row["errorCode"]),
                (&json!("refused"), &json!(told.failure().1)),
                "{}",
                one.name
            );
        }
        kinds.insert(row["action"].as_str().expect("a word").to_owned());
        asked += 1;
    }
    assert!(asked >= 20 && kinds.len() >= 18, "{asked} operations, {kinds:?}");
    shop.stop().await;
}

#[tokio::test]
async fn every_operation_is_recorded_on_sqlite() {
    every_operation_is_recorded(Engine::Sqlite).await;
}

#[tokio::test]
async fn every_operation_is_recorded_on_postgres() {
    every_operation_is_recorded(Engine::Postgres).await;
}

#[tokio::test]
async fn a_login_a_selection_and_settings_tell_what_they_did_and_no_secret() {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.connect().await;
    shop.select(CATALOG).await.data();
    shop.set(json!({"batch_size": 700, "sync_enabled": true})).await.data();
    shop.set(json!({"sync_enabled": false})).await.data();
    shop.set(json!({"sync_enabled": false})).await.data();
    shop.set(json!({"batch_size": "x"})).await;
    let rows = entries(&shop, "").await;
    let told: Vec<Value> =
        rows.iter().rev().map(|row| json!([row["action"], row["subject"], row["details"]])).collect();
    let (app, secret) = (json!({"old": "", "new": "1000000001"}), json!({"old": "", "new": "********"}));
    let expected = [
        json!(["settings_changed", "app_id, app_secret", {"changes": {"app_id": app, "app_secret": secret}}]),
        json!(["connect_started", null, {}]),
        json!(["connected", null, {"accountId": "2000000001"}]),
        json!(["catalog_selected", "Acme Master Catalog", {"catalogId": CATALOG, "businessId": "3000000001"}]),
        json!(["settings_changed", "batch_size, sync_enabled", {"changes": {
            "batch_size": {"old": 1000, "new": 700}, "sync_enabled": {"old": false, "new": true}}}]),
        json!(["sync_switched", "sync_enabled", {"changes": {"sync_enabled": {"old": true, "new": false}}}]),
        json!(["sync_switched", "sync_enabled", {"changes": {}}]),
    ];
    assert_eq!(told, expected, "a request that is refused before anything is done is not in it");
    let callback = &rows[4];
    assert_eq!(callback["principal"]["id"], "token-of-catalog-admin", "the caller that began the login");
    let raw: Vec<(String,)> = shop.rows("SELECT details FROM meta_audit").await;
    assert!(!format!("{raw:?}").contains("simulator-app-secret"), "{raw:?}");
    shop.stop().await;
}

#[tokio::test]
async fn the_list_is_filtered_and_goes_on() {
    let shop = Installation::start(Engine::Sqlite).await;
    for id in ["a", "b", "c"] {
        shop.post(&format!("/admin/meta/items/{id}/resync"), Value::Null).await;
    }
    shop.post("/admin/meta/bootstrap?force=true", Value::Null).await.data();
    let first = shop.get("/admin/meta/audit?limit=2&action=resync").await.data();
    let subjects = |part: &Value| -> Vec<Value> {
        part["entries"].as_array().expect("a list").iter().map(|row| row["subject"].clone()).collect()
    };
    assert_eq!(subjects(&first), ["c", "b"]);
    let rest = shop.get(&format!("/admin/meta/audit?limit=2&action=resync&before={}", first["next"])).await.data();
    assert_eq!((subjects(&rest), &rest["next"]), (vec![json!("a")], &Value::Null));
    assert_eq!(entries(&shop, "&principal=token-of-catalog-viewer").await, [] as [Value; 0]);
    let forced = &entries(&shop, "&principal=token-of-catalog-admin&action=bootstrap").await[0];
    assert_eq!(forced["details"], json!({"force": true, "variants": 0}));
    let refused = shop.get("/admin/meta/audit?action=x&before=0").await;
    assert_eq!(refused.failure(), (400, "VALIDATION_ERROR".into()));
    // A viewer reads it: it has nothing that the other pages do not show.
    let viewer = answer(shop.request_as("catalog-viewer", Method::GET, "/admin/meta/audit")).await;
    assert_eq!(viewer.status.as_u16(), 200);
    shop.stop().await;
}

/// The row comes first, so a process that ends in between leaves it open; and what cannot be recorded is not done.
#[tokio::test]
async fn an_action_that_cannot_be_recorded_is_not_done() {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.sql("CREATE TRIGGER no_trail BEFORE INSERT ON meta_audit BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    let refused = shop.set(json!({"batch_size": 700})).await;
    assert_eq!(refused.failure(), (500, "INTERNAL_SERVER_ERROR".into()));
    shop.sql("DROP TRIGGER no_trail").await;
    shop.sql("CREATE TRIGGER no_end BEFORE UPDATE ON meta_audit BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    assert_eq!(shop.get("/admin/settings/admin").await.data()["meta"]["batch_size"], 1000);
    shop.set(json!({"batch_size": 700})).await.data();
    let rows = entries(&shop, "").await;
    assert_eq!((rows.len(), &rows[0]["outcome"], &rows[0]["finishedAt"]), (1, &json!("open"), &Value::Null));
    shop.stop().await;
}
