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
