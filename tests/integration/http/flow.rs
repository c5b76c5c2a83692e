//! From an empty installation to items at Meta, by nothing but the API.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use testkit::{CATALOG, Engine, PATIENCE};

use super::installation::{Installation, assert_told};

/// Lets time pass, here and at Meta, until the counts are these.
async fn until(shop: &Installation, what: &str, reached: impl Fn(&Value) -> bool) {
    let mut last = Value::Null;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        last = shop.get("/admin/meta/status").await.data();
        if reached(&last["counts"]) {
            return;
        }
        shop.clock.advance(1_000);
        shop.meta.advance(1_000);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}: {last}");
}

#[tokio::test]
async fn settings_apply_at_once_and_what_is_queued_arrives() {
    let shop = Installation::start(Engine::Sqlite).await;
    let variant = |id: &str| {
        json!({"id": id, "sku": id, "price": 29900,
               "inventory": {"trackInventory": false, "quantityOnHand": 0, "reservedQuantity": 0, "allowBackorder": false}})
    };
    shop.stock(&[json!({
        "id": "p", "title": "Cotton shirt", "description": "A shirt of cotton.", "slug": "shirt", "status": "active",
        "visibility": "public", "thumbnail": "img/shirt.jpg", "brand": {"id": "b", "title": "Acme"},
        "variants": [variant("v-1"), variant("v-2")],
    })])
    .await;
    shop.connect().await;
    shop.select(CATALOG).await.data();
    shop.post("/admin/meta/bootstrap", Value::Null).await.data();
    assert_eq!(shop.called("POST items_batch"), 0, "sync is off");
    // An interval of an hour: only the change itself wakes the drain.
    shop.set(
        json!({"sync_interval_seconds": 3600, "drain_pacing": "budget", "storefront_base_url": "https://shop.example"}),
    )
    .await
    .data();
    shop.set(json!({"sync_enabled": true})).await.data();
    until(&shop, "both are synced", |counts| counts["synced"] == 2 && counts["outboxPending"] == 0).await;

    shop.meta.advance(120_000);
    assert_told!("meta-status-found", shop.get("/admin/meta/items/v-1/meta-status").await);
    let detail = shop.get("/admin/meta/items/v-1").await.data();
    assert_eq!(detail["next"], json!({"action": "noop", "reason": "unchanged"}));
    assert_eq!(detail["syncState"]["status"], "synced");
    let items = shop.meta.items(CATALOG).expect("the catalog");
    assert_eq!(items["v-1"], detail["mappedItemData"], "what was shown is what was sent");

    shop.post("/admin/meta/items/v-2/delete-from-meta", Value::Null).await.data();
    until(&shop, "one is deleted", |counts| counts["deleted"] == 1 && counts["synced"] == 1).await;
    assert_eq!(shop.meta.items(CATALOG).expect("the catalog").keys().collect::<Vec<_>>(), ["v-1"]);
    shop.stop().await;
}
