//! Businesses, catalogs, system users, and the real order of steps to a system user's token.

use serde_json::{Value, json};

use crate::support::*;

const LIST: &str =
    "id,name,owned_product_catalogs.limit(1){id,name,product_count,vertical},client_product_catalogs.limit(50){id}";

#[tokio::test]
async fn businesses_come_with_nested_catalogs_and_an_empty_edge_is_left_out() {
    let sim = Sim::start().await;
    let body = sim.get("me/businesses", &[("fields", LIST)]).await.json();
    let business = &body["data"][0];
    assert_eq!((&business["id"], &business["name"]), (&json!(BUSINESS), &json!("Acme Holdings")));
    let owned = &business["owned_product_catalogs"];
    assert_eq!(
        owned["data"],
        json!([{"id": CATALOG, "name": "Acme Master Catalog", "product_count": 0, "vertical": "commerce"}])
    );
    assert!(business.get("client_product_catalogs").is_none());
    let next = owned["paging"]["next"].as_str().expect("there are two");
    let rest = sim.send(sim.http.get(next).bearer_auth(&sim.token)).await.json();
    assert_eq!(rest["data"][0]["id"], OTHER_CATALOG);
    assert!(rest["paging"].get("next").is_none());
}

#[tokio::test]
async fn nested_edges_can_be_missing_altogether() {
    let sim = Sim::with(|config| config.switches.omit_nested_edges = true).await;
    let body = sim.get("me/businesses", &[("fields", LIST)]).await.json();
    assert_eq!(body["data"], json!([{"id": BUSINESS, "name": "Acme Holdings"}]));
}

#[tokio::test]
async fn a_user_without_business_gets_an_empty_list() {
    let sim = Sim::with(|config| {
        config.users.push(graph_simulator::User { id: "2000000002".into(), name: "Nobody".into() });
    })
    .await;
    let token = sim.handle.mint_token("2000000002", None);
    assert_eq!(sim.get_as(&token, "me/businesses", &[]).await.json(), json!({"data": []}));
    let edge = format!("{BUSINESS}/owned_product_catalogs");
    assert_eq!(sim.get_as(&token, &edge, &[]).await.code(), (100, Some(33)));
}

#[tokio::test]
async fn unknown_fields_of_nodes_are_100_also_when_nested() {
    let sim = Sim::start().await;
    for fields in ["id,nonsense", "owned_product_catalogs{nonsense}"] {
        let reply = sim.get(BUSINESS, &[("fields", fields)]).await;
        assert_eq!(reply.code().0, 100);
        assert!(reply.text.contains("Tried accessing nonexisting field (nonsense)"), "{}", reply.text);
    }
    assert_eq!(sim.get(BUSINESS, &[("fields", "id,name{")]).await.code().0, 2500);
}

#[tokio::test]
async fn a_catalog_can_be_created() {
    let sim = Sim::start().await;
    let path = format!("{BUSINESS}/owned_product_catalogs");
    assert_eq!(sim.post(&path, json!({})).await.code().0, 100);
    let id = sim.post(&path, json!({"name": "Third"})).await.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(sim.get(&path, &[]).await.json()["data"].as_array().map(Vec::len), Some(3));
    assert_eq!(sim.get(&id, &[]).await.json(), json!({"id": id, "name": "Third"}));
}

async fn created(sim: &Sim, role: &str) -> String {
    let reply = sim.post(&format!("{BUSINESS}/system_users"), json!({"name": "Sync", "role": role})).await;
    reply.json()["id"].as_str().unwrap_or_else(|| panic!("{}", reply.text)).to_owned()
}

fn mint_body(sim: &Sim, proof: &str) -> Value {
    json!({"business_app": APP, "scope": "catalog_management,business_management", "appsecret_proof": proof, "access_token": sim.token})
}

async fn signed(change: impl FnOnce(&mut graph_simulator::Config)) -> (Sim, String) {
    let mut sim = Sim::with(change).await;
    let minted = sim.control("tokens", json!({"owner": USER})).await;
    sim.token = minted["access_token"].as_str().expect("a token").to_owned();
    let proof = minted["appsecret_proof"].as_str().expect("a proof").to_owned();
    (sim, proof)
}

#[tokio::test]
async fn the_real_flow_create_install_assign_mint_leads_to_a_token_that_pushes() {
    let (sim, proof) = signed(|_| ()).await;
    let list = format!("{BUSINESS}/system_users");
    assert_eq!(sim.get(&list, &[("fields", "id,name,role")]).await.json(), json!({"data": []}));
    let user = created(&sim, "ADMIN").await;
    assert_eq!(
        sim.get(&list, &[("fields", "id,name,role")]).await.json()["data"],
        json!([{"id": user, "name": "Sync", "role": "ADMIN"}])
    );
    let install = sim.post(&format!("{user}/applications"), json!({"business_app": APP})).await;
    assert_eq!(install.json(), json!({"success": true}));
    let assign = sim.post(&format!("{CATALOG}/assigned_users"), json!({"user": user, "tasks": ["MANAGE"]})).await;
    assert_eq!(assign.json(), json!({"success": true}));
    let minted = sim.post(&format!("{user}/access_tokens"), mint_body(&sim, &proof)).await.json();
    assert_eq!(minted.as_object().map(serde_json::Map::len), Some(1), "the token and nothing else: {minted}");
    let token = minted["access_token"].as_str().expect("a token");
    assert_eq!(sim.get_as(token, "me", &[]).await.json(), json!({"id": user, "name": "Sync"}));
    assert_eq!(sim.get_as(token, "me/businesses", &[]).await.json(), json!({"data": []}));
    let assigned =
        sim.get_as(token, &format!("{user}/assigned_product_catalogs"), &[("fields", "id,name")]).await.json();
    assert_eq!(assigned["data"], json!([{"id": CATALOG, "name": "Acme Master Catalog"}]));
    let debug = sim.get("debug_token", &[("input_token", token)]).await.json()["data"].clone();
    assert_eq!((&debug["type"], &debug["expires_at"]), (&json!("SYSTEM_USER"), &json!(0)));
    assert_eq!(debug["granular_scopes"][0], json!({"scope": "catalog_management", "target_ids": [CATALOG]}));
    let rows = json!({"item_type": "PRODUCT_ITEM", "requests": [update(item("a"))]});
    assert_eq!(sim.post_as(token, &format!("{CATALOG}/items_batch"), rows.clone()).await.status, 200);
    let foreign = sim.post_as(token, &format!("{OTHER_CATALOG}/items_batch"), rows.clone()).await;
    assert_eq!(foreign.code(), (100, Some(33)), "only assigned catalogs");
    sim.control("switches", json!({"unassigned_is_permission_error": true})).await;
    assert_eq!(sim.post_as(token, &format!("{OTHER_CATALOG}/items_batch"), rows).await.code().0, 200);
}

#[tokio::test]
async fn assigned_product_catalogs_is_for_reading_only() {
    let sim = Sim::start().await;
    let user = created(&sim, "EMPLOYEE").await;
    let body = json!({"product_catalog_id": CATALOG, "tasks": ["MANAGE"]});
    let reply = sim.post(&format!("{user}/assigned_product_catalogs"), body).await;
    assert_eq!((reply.status, reply.code()), (400, (100, Some(33))));
    assert!(reply.text.contains("Unsupported post request."), "{}", reply.text);
}

#[tokio::test]
async fn minting_needs_the_installed_app_and_the_proof() {
    let (sim, proof) = signed(|_| ()).await;
    let user = created(&sim, "ADMIN").await;
    let path = format!("{user}/access_tokens");
    assert_eq!(sim.post(&path, mint_body(&sim, &proof)).await.code().0, 100, "not installed");
    sim.post(&format!("{user}/applications"), json!({"business_app": APP})).await;
    let mut body = mint_body(&sim, &proof);
    body.as_object_mut().expect("an object").remove("appsecret_proof");
    assert_eq!(sim.post(&path, body).await.code().0, 100, "no proof");
    assert_eq!(sim.post(&path, mint_body(&sim, "00")).await.code().0, 100, "wrong proof");
    assert_eq!(sim.post(&path, mint_body(&sim, &proof)).await.status, 200);
}

#[tokio::test]
async fn some_businesses_allow_only_expiring_tokens() {
    let (sim, proof) = signed(|config| {
        config.switches.only_expiring_system_tokens = true;
        config.switches.mint_tells_expiry = true;
    })
    .await;
    let user = created(&sim, "ADMIN").await;
    sim.post(&format!("{user}/applications"), json!({"business_app": APP})).await;
    let mut body = mint_body(&sim, &proof);
    assert_eq!(sim.post(&format!("{user}/access_tokens"), body.clone()).await.code().0, 100);
    body["set_token_expires_in_60_days"] = true.into();
    let minted = sim.post(&format!("{user}/access_tokens"), body).await.json();
    assert_eq!(minted["expires_in"], 60 * 86_400);
    let token = minted["access_token"].as_str().expect("a token");
    sim.handle.advance(60 * 86_400_000);
    assert_eq!(sim.get_as(token, "me", &[]).await.code(), (190, Some(463)));
}

#[tokio::test]
async fn system_users_are_limited_and_the_app_must_belong_to_the_business() {
    let sim = Sim::with(|config| config.rules.max_system_users = 2).await;
    let path = format!("{BUSINESS}/system_users");
    created(&sim, "ADMIN").await;
    assert_eq!(sim.post(&path, json!({"name": "b", "role": "ADMIN"})).await.code().0, 3965);
    created(&sim, "EMPLOYEE").await;
    assert_eq!(sim.post(&path, json!({"name": "c"})).await.code().0, 3949);
    let sim = Sim::with(|config| config.app.businesses = vec!["3000000009".into()]).await;
    assert_eq!(sim.post(&path, json!({"name": "a"})).await.code().0, 104001);
}

#[tokio::test]
async fn a_system_user_can_be_renamed_and_bad_roles_are_refused() {
    let sim = Sim::start().await;
    let user = created(&sim, "EMPLOYEE").await;
    let path = format!("{BUSINESS}/system_users");
    assert_eq!(sim.post(&path, json!({"name": "New", "system_user_id": user})).await.json(), json!({"id": user}));
    assert_eq!(
        sim.get(&user, &[("fields", "name,role")]).await.json(),
        json!({"id": user, "name": "New", "role": "EMPLOYEE"})
    );
    assert_eq!(sim.post(&path, json!({"name": "x", "role": "KING"})).await.code().0, 100);
}

#[tokio::test]
async fn assigned_users_can_be_listed_overwritten_and_taken_away() {
    let sim = Sim::start().await;
    let user = created(&sim, "EMPLOYEE").await;
    let path = format!("{CATALOG}/assigned_users");
    assert_eq!(sim.post(&path, json!({"user": user, "tasks": ["OWN"]})).await.code().0, 100);
    assert_eq!(sim.post(&path, json!({"user": "5", "tasks": ["MANAGE"]})).await.code().0, 100);
    for tasks in [json!(["ADVERTISE"]), json!(["MANAGE"])] {
        assert_eq!(
            sim.post(&path, json!({"user": user.parse::<u64>().expect("a number"), "tasks": tasks})).await.status,
            200
        );
    }
    assert_eq!(sim.get(&path, &[]).await.code().0, 100, "business is required");
    let listed =
        sim.get(&path, &[("business", BUSINESS), ("fields", "id,name,tasks"), ("summary", "true")]).await.json();
    assert_eq!(listed["data"], json!([{"id": user, "name": "Sync", "tasks": ["MANAGE"]}]));
    assert_eq!(listed["summary"]["total_count"], 1);
    assert_eq!(sim.delete(&format!("{path}?user={user}")).await.json(), json!({"success": true}));
    assert_eq!(sim.get(&path, &[("business", BUSINESS)]).await.json(), json!({"data": []}));
}

#[tokio::test]
async fn deleting_a_system_users_tokens_ends_them_all() {
    let sim = Sim::start().await;
    let user = created(&sim, "EMPLOYEE").await;
    let token = sim.handle.mint_token(&user, None);
    assert_eq!(sim.delete(&format!("{user}/access_tokens")).await.json(), json!(true));
    assert_eq!(sim.get_as(&token, "me", &[]).await.code(), (190, Some(467)));
}
