//! Choosing a catalog.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use testkit::{CATALOG, Engine};

use super::installation::{Installation, NOW, Plan, SECOND_CATALOG, answer, assert_told, selection};

async fn twice(database: Engine) {
    let shop = Arc::new(Installation::start(database).await);
    shop.connect().await;
    let at_once: Vec<_> = (0..2)
        .map(|_| {
            let request = shop.request_as("catalog-admin", Method::POST, "/admin/meta/select-catalog");
            tokio::spawn(answer(request.json(&selection(CATALOG))))
        })
        .collect();
    let mut selected = Vec::new();
    for task in at_once {
        selected.push(task.await.expect("no panic").data());
    }
    selected.push(shop.select(CATALOG).await.data());
    assert_eq!(selected[0]["tokenKind"], "system_user");
    assert!(selected.iter().all(|one| *one == selected[0]), "{selected:?}");
    assert_eq!(shop.called("POST system_users"), 1);
    Arc::into_inner(shop).expect("nobody else has it").stop().await;
}

#[tokio::test]
async fn selecting_twice_makes_one_system_user_on_sqlite() {
    twice(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn selecting_twice_makes_one_system_user_on_postgres() {
    twice(Engine::Postgres).await;
}

#[tokio::test]
async fn a_selection_is_checked_part_by_part() {
    let shop = Installation::start(Engine::Sqlite).await;
    let select = async |body: Value| shop.post("/admin/meta/select-catalog", body).await;
    let long = "x".repeat(201);
    let bad = json!({"businessId": " ", "businessName": long, "catalogId": "1", "catalogName": ""});
    assert_told!("select-invalid", select(bad).await);
    // Ids become part of the path of calls: no call is made with another path.
    let path = json!({"businessId": "1/../me", "businessName": "B", "catalogId": "2?x=1", "catalogName": "C"});
    let refused = select(path).await;
    assert_eq!(refused.failure(), (400, "VALIDATION_ERROR".into()));
    let details = refused.json()["details"].clone();
    assert!(
        ["businessId", "catalogId"]
            .iter()
            .all(|part| details[part].as_str().is_some_and(|told| told.contains("digits")))
    );
    assert_told!("select-missing-part", select(json!({"businessId": "1"})).await);
    let mut extra = selection(CATALOG);
    extra["tasks"] = json!(["MANAGE"]);
    assert_told!("select-unknown-part", select(extra).await);
    shop.stop().await;
}

#[tokio::test]
async fn a_refused_step_is_the_accounts_fault_and_trouble_is_metas() {
    let mut plan = Plan::on(Engine::Sqlite);
    plan.meta.rules.max_admin_system_users = 0;
    let shop = plan.start().await;
    shop.connect().await;
    assert_told!("select-refused", shop.select(CATALOG).await);
    shop.meta.configure(|meta| meta.rules.max_admin_system_users = 1);
    assert_told!("select-unknown-catalog", shop.select("4999999999").await);
    let mut elsewhere = selection(CATALOG);
    elsewhere["businessId"] = json!("3999999999");
    let refused = shop.post("/admin/meta/select-catalog", elsewhere).await;
    assert_eq!(refused.failure(), (400, "meta_account_error".into()));
    assert!(refused.text.contains("no access to this business"), "{}", refused.text);

    for (on, fault) in [
        ("assigned_users", json!({"kind": "status_5xx"})),
        ("access_tokens", json!({"kind": "drop_before"})),
        ("system_users", json!({"kind": "graph_error", "code": 4})),
    ] {
        let mut fault = fault;
        fault["on"] = json!(on);
        shop.plan(fault);
        let answer = shop.select(CATALOG).await;
        assert_eq!(answer.failure(), (500, "INTERNAL_SERVER_ERROR".into()), "{on}: {}", answer.text);
    }
    let status = shop.get("/admin/meta/status").await.data();
    assert_eq!((&status["selection"], &status["accountId"]), (&json!(null), &json!("2000000001")));
    shop.select(CATALOG).await.data();
    assert_eq!(shop.called("POST system_users"), 2, "the refused one, and one that all the others found");
    shop.stop().await;
}

#[tokio::test]
async fn a_business_that_must_use_expiring_tokens_gets_one() {
    let mut plan = Plan::on(Engine::Sqlite);
    plan.meta.switches.only_expiring_system_tokens = true;
    plan.meta.switches.mint_tells_expiry = true;
    let shop = plan.start().await;
    shop.connect().await;
    shop.select(CATALOG).await.data();
    let ends: Vec<(Option<i64>,)> = shop.rows("SELECT access_token_expires_at FROM integration_credentials").await;
    assert_eq!(ends, [(Some(NOW + 60 * 86_400_000),)]);
    shop.stop().await;
}

#[tokio::test]
async fn who_disconnects_during_a_selection_stays_disconnected() {
    let shop = Arc::new(Installation::start(Engine::Sqlite).await);
    shop.connect().await;
    shop.plan(json!({"on": "assigned_product_catalogs", "kind": "held"}));
    let request = shop.request_as("catalog-admin", Method::POST, "/admin/meta/select-catalog");
    let selecting = tokio::spawn(answer(request.json(&selection(CATALOG))));
    while shop.called("GET assigned_product_catalogs") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    shop.delete("/admin/meta/oauth").await.data();
    shop.meta.clear_faults();
    assert_told!("select-overtaken", selecting.await.expect("no panic"));
    let status = shop.get("/admin/meta/status").await.data();
    assert_eq!((&status["connected"], &status["selection"]), (&json!(false), &json!(null)));
    Arc::into_inner(shop).expect("nobody else has it").stop().await;
}

async fn another_catalog(database: Engine) {
    let shop = Installation::start(database).await;
    shop.connect().await;
    shop.select(CATALOG).await.data();
    shop.sql(&format!(
        "INSERT INTO meta_sync_state (variant_id, catalog_id, status, last_pushed_hash, at_meta, created_at, updated_at)
         VALUES ('v', '{CATALOG}', 'synced', 'h', TRUE, 0, 0)"
    ))
    .await;
    let claim = "SELECT status, last_pushed_hash FROM meta_sync_state";
    shop.select(CATALOG).await.data();
    let same: Vec<(String, Option<String>)> = shop.rows(claim).await;
    assert_eq!(same, [("synced".into(), Some("h".into()))]);
    shop.select(SECOND_CATALOG).await.data();
    let other: Vec<(String, Option<String>)> = shop.rows(claim).await;
    assert_eq!(other, [("pending".into(), None)]);
    let settings = shop.get("/admin/settings/admin").await.data();
    assert_eq!(settings["meta"]["catalog_id"], SECOND_CATALOG);
    shop.stop().await;
}

#[tokio::test]
async fn another_catalog_drops_the_claims_on_the_old_one_on_sqlite() {
    another_catalog(Engine::Sqlite).await;
}

#[tokio::test]
async fn another_catalog_drops_the_claims_on_the_old_one_on_postgres() {
    another_catalog(Engine::Postgres).await;
}
