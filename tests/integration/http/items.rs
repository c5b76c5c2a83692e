//! Looking at variants: lists, one of them, and Meta's own view.

use serde_json::{Value, json};

use testkit::{CATALOG, Engine};

use super::installation::{Installation, assert_told};

async fn shop(database: Engine) -> Installation {
    let shop = Installation::start(database).await;
    let variant = |id: &str, sku: &str| json!({"id": id, "sku": sku, "price": 29900});
    let product = |id: &str, title: &str, status: &str, variants: Vec<Value>| {
        json!({"id": id, "title": title, "slug": format!("slug-{id}"), "status": status, "visibility": "public",
               "thumbnail": format!("img/{id}.jpg"), "brand": {"id": "b", "title": "Acme"}, "variants": variants})
    };
    let mut deleted = variant("v-del", "GONE");
    deleted["deletedAt"] = json!(1_700_000_000_000_i64);
    let mut full = variant("V-1", "SKU_1");
    full["specialPrice"] = json!(19900);
    full["specialPriceEnd"] = json!(1_800_000_000_000_i64);
    full["inventory"] =
        json!({"trackInventory": true, "quantityOnHand": 5, "reservedQuantity": 2, "allowBackorder": false});
    shop.stock(&[
        product("p1", "Blaue ÄRMEL 100%", "active", vec![full, variant("v-2", "SKU-2"), deleted]),
        product("p2", "Old hat", "archived", vec![variant("v-3", "HAT"), variant("a-4", "SKUx1")]),
    ])
    .await;
    shop.sql(
        "INSERT INTO meta_sync_state (variant_id, product_id, meta_retailer_id, status, last_handle, last_pushed_at,
             last_error, attempts, created_at, updated_at) VALUES
         ('V-1', 'p1', 'V-1', 'synced', 'h1', 1764000000000, NULL, 0, 0, 10),
         ('v-2', 'p1', 'v-2', 'failed', 'h2', 1764000001000, 'image_link: cannot be fetched', 2, 0, 20),
         ('v-3', 'p2', NULL, 'skipped', NULL, NULL, 'product_not_active', 0, 0, 30),
         ('x-lost', NULL, 'x-lost', 'failed', 'h3', 1763999999999, 'no longer there', 1, 0, 20)",
    )
    .await;
    shop
}

async fn ids(shop: &Installation, query: &str) -> Vec<String> {
    let list = shop.get(&format!("/admin/meta/items?{query}")).await.data();
    list.as_array().expect("a list").iter().map(|item| item["variantId"].as_str().expect("an id").into()).collect()
}

async fn lists(database: Engine) {
    let shop = shop(database).await;
    assert_told!("items", shop.get("/admin/meta/items").await);
    // Sent last first; those never sent bytewise by id. One is no longer in the shop.
    let all = ["v-2", "V-1", "x-lost", "a-4", "v-3", "v-del"];
    assert_eq!(ids(&shop, "").await, all);
    let page = shop.get("/admin/meta/items?page=2&limit=2").await;
    assert_eq!(page.json()["metadata"], json!({"page": 2, "limit": 2, "total": 6, "totalPages": 3}));
    assert_eq!(ids(&shop, "page=2&limit=2").await, all[2..4]);
    assert!(ids(&shop, "page=9&limit=2").await.is_empty());

    for (status, expected) in [
        ("synced", &["V-1"][..]),
        ("failed", &["v-2", "x-lost"]),
        ("skipped", &["v-3"]),
        ("never_synced", &["a-4", "v-del"]),
        ("submitted", &[]),
    ] {
        assert_eq!(ids(&shop, &format!("status={status}")).await, expected, "{status}");
    }
    for (search, expected) in [
        ("%C3%A4rmel", &["v-2", "V-1", "v-del"][..]),
        ("%C3%84RMEL%20100%25", &["v-2", "V-1", "v-del"]),
        ("SLUG-P2", &["a-4", "v-3"]),
        ("sku_1", &["V-1"]),
        ("sku%25", &[]),
        ("V-2", &["v-2"]),
        ("!", &[]),
        ("%5C", &[]),
    ] {
        assert_eq!(ids(&shop, &format!("search={search}")).await, expected, "{search}");
    }
    assert_eq!(ids(&shop, "eligibleOnly=true").await, ["v-2", "V-1"]);
    assert_eq!(ids(&shop, "eligibleOnly=true&status=failed&search=ACME").await, [""; 0]);
    assert_eq!(ids(&shop, "eligibleOnly=false&status=failed&search=sku-2").await, ["v-2"]);
    assert_told!("items-invalid", shop.get("/admin/meta/items?status=lost&limit=101&page=-1&eligibleOnly=yes").await);
    assert_told!("items-unknown-parameter", shop.get("/admin/meta/items?statuses=synced").await);

    assert_told!("errors", shop.get("/admin/meta/errors").await);
    assert_told!("errors-page", shop.get("/admin/meta/errors?page=2&limit=1").await);
    assert_told!("errors-invalid", shop.get("/admin/meta/errors?limit=201").await);
    shop.stop().await;
}

#[tokio::test]
async fn items_are_listed_and_filtered_on_sqlite() {
    lists(Engine::Sqlite).await;
}

#[tokio::test]
async fn items_are_listed_and_filtered_on_postgres() {
    lists(Engine::Postgres).await;
}

async fn details(database: Engine) {
    let shop = shop(database).await;
    shop.set(json!({"catalog_id": CATALOG, "storefront_base_url": "https://shop.example"})).await.data();
    assert_told!("item", shop.get("/admin/meta/items/V-1").await);
    assert_told!("item-skipped", shop.get("/admin/meta/items/v-3").await);
    assert_told!("item-unknown", shop.get("/admin/meta/items/x-lost").await);

    // What Meta may hold and the payload has no more of is emptied, or told where it cannot be.
    shop.sql(
        "INSERT INTO field_set (hash, fields) VALUES ('a hash', 'additional_image_link,brand,color,id,image_link,sale_price,title')",
    )
    .await;
    shop.sql(&format!(
        "UPDATE meta_sync_state SET catalog_id = '{CATALOG}', at_meta = TRUE, last_pushed_hash = 'old',
             status = 'synced', fields_at_meta = (SELECT MAX(id) FROM field_set)"
    ))
    .await;
    shop.sql("UPDATE product SET brand_id = NULL, thumbnail = NULL").await;
    let detail = shop.get("/admin/meta/items/v-2").await.data();
    assert_eq!(detail["clears"], json!(["additional_image_link", "color", "sale_price"]));
    assert_eq!(detail["next"], json!({"action": "upsert", "reason": "changed"}));
    let codes: Vec<&str> =
        detail["warnings"].as_array().expect("a list").iter().filter_map(|w| w["code"].as_str()).collect();
    assert_eq!(codes.iter().filter(|code| **code == "stale_required_field").count(), 2, "{codes:?}");

    let next = async |id: &str| shop.get(&format!("/admin/meta/items/{id}")).await.data()["next"].clone();
    assert_eq!(next("v-3").await, json!({"action": "delete", "reason": "product_not_active"}));
    assert_eq!(next("v-del").await, json!({"action": "skip", "reason": "variant_deleted"}));
    shop.post("/admin/meta/items/v-2/delete-from-meta", Value::Null).await.data();
    assert_eq!(next("v-2").await, json!({"action": "delete", "reason": "delete_asked"}));
    shop.post("/admin/meta/items/a-4/delete-from-meta", Value::Null).await.data();
    assert_eq!(next("a-4").await, json!({"action": "drop", "reason": "not_at_meta"}));
    shop.sql("UPDATE meta_sync_state SET status = 'submitted'").await;
    assert_eq!(next("V-1").await, json!({"action": "wait", "reason": "submission_open"}));

    shop.sql("UPDATE product_variant SET images = '{\"not\": \"a list\"}' WHERE id = 'V-1'").await;
    // A fault is the business of the next decision, not of a submission that waits for its verdict.
    assert_eq!(next("V-1").await, json!({"action": "wait", "reason": "submission_open"}));
    shop.sql("UPDATE meta_sync_state SET status = 'synced' WHERE variant_id = 'V-1'").await;
    let broken = shop.get("/admin/meta/items/V-1").await.data();
    assert_eq!(broken["next"], json!({"action": "fault", "reason": "mapper_error"}));
    assert_eq!((&broken["mappedItemData"], &broken["variant"]["sku"]), (&json!(null), &json!("SKU_1")));
    assert!(broken["mapperError"].as_str().expect("a reason").contains("images"), "{broken}");
    shop.stop().await;
}

#[tokio::test]
async fn one_variant_is_shown_with_what_comes_next_on_sqlite() {
    details(Engine::Sqlite).await;
}

#[tokio::test]
async fn one_variant_is_shown_with_what_comes_next_on_postgres() {
    details(Engine::Postgres).await;
}

#[tokio::test]
async fn metas_view_is_asked_for_and_what_to_mend_is_told() {
    let shop = shop(Engine::Sqlite).await;
    let live = async |id: &str| shop.get(&format!("/admin/meta/items/{id}/meta-status")).await;
    assert_told!("meta-status-unknown", live("who").await);
    assert_told!("meta-status-unset", live("V-1").await);
    shop.set(json!({"catalog_id": CATALOG, "storefront_base_url": "https://shop.example"})).await.data();
    assert_told!("meta-status-no-app", live("V-1").await);
    shop.set_app().await;
    assert_told!("meta-status-not-connected", live("V-1").await);
    shop.connect().await;
    assert_told!("meta-status-absent", live("V-1").await);
    shop.plan(json!({"on": "products", "kind": "status_5xx"}));
    assert_told!("meta-status-meta-down", live("V-1").await);
    shop.set(json!({"catalog_id": "4999999999"})).await.data();
    assert_told!("meta-status-no-such-catalog", live("V-1").await);
    shop.stop().await;
}

fn shirt(title: &str, price: i64) -> Value {
    json!({"id": "p", "title": title, "description": "A shirt of cotton.", "slug": "shirt", "status": "active",
           "visibility": "public", "thumbnail": "img/shirt.jpg", "brand": {"id": "b", "title": "Acme"},
           "variants": [{"id": "v 1", "sku": "S", "price": price}]})
}

/// The row of a field: what changes, and how Meta compares.
fn row(compared: &Value, field: &str) -> Value {
    let rows = compared["rows"].as_array().expect("a list");
    rows.iter().find(|row| row["field"] == field).unwrap_or_else(|| panic!("{field} in {compared}")).clone()
}

async fn three_columns(database: Engine) {
    let shop = Installation::start(database).await;
    shop.stock(&[shirt("Cotton shirt", 29900)]).await;
    let compare = async |query: &str| shop.get(&format!("/admin/meta/items/v%201/compare{query}")).await.data();
    let kinds = async || -> Vec<String> {
        let events = shop.get("/admin/meta/items/v%201/timeline").await.data();
        let word = |event: &Value, name: &str| event[name].as_str().map(str::to_owned);
        let told = |event: &Value| [word(event, "kind"), word(event, "outcome").or(word(event, "origin"))];
        events
            .as_array()
            .expect("a list")
            .iter()
            .map(|e| told(e).into_iter().flatten().collect::<Vec<_>>().join(" "))
            .collect()
    };
    let before = compare("").await;
    assert_eq!((&before["sent"]["source"], &before["live"]), (&json!("nothing"), &Value::Null));
    // Nothing is set up: that is told, and Meta is not asked.
    let unasked = compare("?live=true").await;
    assert!(unasked["live"]["errors"][0]["message"].as_str().expect("a reason").contains("settings"), "{unasked}");
    assert_eq!(row(&unasked, "title")["agreement"], "not_told");

    shop.connect().await;
    shop.select(CATALOG).await.data();
    shop.set(json!({"storefront_base_url": "https://shop.example", "sync_enabled": true})).await.data();
    shop.post("/admin/meta/bootstrap", Value::Null).await.data();
    shop.until_state("v%201", "synced").await;
    shop.meta.advance(120_000);
    assert_eq!(kinds().await[..2], ["verdict synced", "sent taken"]);

    // A change that nothing sends yet.
    shop.set(json!({"sync_enabled": false})).await.data();
    shop.import(&[shirt("Linen shirt", 29900)]).await;
    let calls = shop.called("GET products");
    let quiet = compare("").await;
    assert_eq!(shop.called("GET products"), calls, "Meta is asked only when told to");
    assert_eq!(quiet["sent"]["source"], "body");
    let title = row(&quiet, "title");
    assert_eq!(
        (&title["now"], &title["sent"], &title["meta"]),
        (&json!("Linen shirt"), &json!("Cotton shirt"), &Value::Null)
    );
    assert_eq!((&title["changes"], &title["agreement"]), (&json!(true), &json!("not_told")));

    let live = compare("?live=true").await;
    let title = row(&live, "title");
    assert_eq!(
        (&title["readAs"], &title["meta"], &title["agreement"]),
        (&json!("name"), &json!("Cotton shirt"), &json!("same"))
    );
    let price = row(&live, "price");
    assert_eq!((&price["sent"], &price["meta"]), (&json!("299.00 INR"), &json!("₹299.00")));
    let differing: Vec<&Value> =
        live["rows"].as_array().expect("a list").iter().filter(|row| row["agreement"] == "differs").collect();
    assert!(differing.is_empty(), "{differing:?}");

    // The body goes with the submission; where the payload is the same, its hash still tells.
    shop.sql("DELETE FROM meta_batch_bodies").await;
    assert_eq!(compare("").await["sent"]["source"], "not_kept");
    shop.import(&[shirt("Cotton shirt", 29900)]).await;
    let same = compare("").await;
    assert_eq!((&same["sent"]["source"], &row(&same, "title")["sent"]), (&json!("same"), &json!("Cotton shirt")));

    shop.post("/admin/meta/items/v%201/delete-from-meta", Value::Null).await.data();
    shop.set(json!({"sync_enabled": true})).await.data();
    shop.until_state("v%201", "deleted").await;
    assert_eq!(compare("").await["sent"]["source"], "delete");
    assert_eq!(kinds().await[..2], ["verdict deleted", "sent taken"]);

    for path in ["compare", "timeline"] {
        let unknown = shop.get(&format!("/admin/meta/items/unknown/{path}")).await;
        assert_eq!(unknown.failure(), (404, "NOT_FOUND".into()), "{path}");
    }
    shop.stop().await;
}

#[tokio::test]
async fn a_variant_is_compared_with_what_was_sent_and_with_meta_on_sqlite() {
    three_columns(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_variant_is_compared_with_what_was_sent_and_with_meta_on_postgres() {
    three_columns(Engine::Postgres).await;
}
