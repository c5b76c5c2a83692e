//! What real shops bring beside the mapping table, end to end: attributes, links, options, other currencies.

use catalog_sync::domain::state::SyncStatus;
use serde_json::{Value, json};
use testkit::{Engine, Shop, product, variant};

/// Sets fields of an object.
fn with(mut object: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("an object") };
    object.as_object_mut().expect("an object").extend(fields);
    object
}

/// Waits until no re-ask is under way and everything is settled.
async fn settle(shop: &Shop) {
    shop.until("no re-ask is under way", async || {
        shop.service.app.wake.all();
        shop.count("SELECT COUNT(*) FROM reask WHERE finished_at IS NULL").await == 0
    })
    .await;
    shop.settle().await;
}

async fn attributes(engine: Engine) {
    let shop = Shop::open(engine).await;
    let given = json!({
        "link": "HTTPS://Shop.example/shirt one", "condition": "used",
        "googleProductCategory": "Apparel & Accessories > Clothing",
        "attributes": {
            "gender": "female", "custom_number_0": 7, "internal_label": ["summer"], "material": "Linen",
            "importer_address": {"street1": "1 Road", "city": "Pune", "country": "IN"}
        }
    });
    let red = with(variant("a", 100), json!({"attributes": {"gender": "unisex"}}));
    shop.import(&[with(product("p", &[red.clone(), variant("b", 100)]), given)]).await;
    shop.settle().await;
    let item = shop.item("a").expect("at Meta");
    assert_eq!(item["link"], "https://shop.example/shirt%20one");
    assert_eq!(
        (&item["condition"], &item["gender"], &item["material"]),
        (&json!("used"), &json!("unisex"), &json!("Linen"))
    );
    assert_eq!(item["google_product_category"], "Apparel & Accessories > Clothing");
    assert_eq!(shop.item("b").expect("at Meta")["gender"], "female");
    shop.check().await;

    // What the shop no longer gives is cleared at Meta; an object has no empty form, so it stays.
    shop.import(&[product("p", &[variant("a", 100), variant("b", 100)])]).await;
    shop.settle().await;
    let item = shop.item("a").expect("at Meta");
    for gone in ["gender", "custom_number_0", "internal_label", "material", "google_product_category"] {
        assert!(item.get(gone).is_none_or(|value| value == "" || value == &json!([])), "{gone}: {item}");
    }
    assert_eq!((&item["condition"], &item["importer_address"]["city"]), (&json!("new"), &json!("Pune")));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_line_says_for_meta_is_sent_and_cleared_on_sqlite() {
    attributes(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_line_says_for_meta_is_sent_and_cleared_on_postgres() {
    attributes(Engine::Postgres).await;
}

/// An archived item is shown again when the shop no longer says that it is archived, although no empty text says so. The
/// word is sent once: the next push is as any other.
async fn archived(engine: Engine) {
    let shop = Shop::open(engine).await;
    let hidden = with(variant("a", 100), json!({"attributes": {"status": "archived", "shipping_weight": "0.5 KG"}}));
    shop.import(&[product("p", &[hidden])]).await;
    shop.settle().await;
    let item = shop.item("a").expect("at Meta");
    assert_eq!((&item["status"], &item["shipping_weight"]), (&json!("archived"), &json!("0.5 kg")));

    shop.import(&[product("p", &[variant("a", 100)])]).await;
    shop.settle().await;
    let item = shop.item("a").expect("at Meta");
    assert_eq!((&item["status"], item.get("shipping_weight")), (&json!("active"), None));
    let rows = shop.meta.calls().batch_rows;
    shop.bootstrap().await;
    shop.settle().await;
    assert_eq!(shop.meta.calls().batch_rows, rows, "nothing is left to say");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archived_item_comes_back_on_sqlite() {
    archived(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archived_item_comes_back_on_postgres() {
    archived(Engine::Postgres).await;
}

/// What a real shop brings: a path of Google's that is cut until a setting says otherwise, a page that is named by ids,
/// no slug, and a picture whose URL no standard allows.
async fn paths(engine: Engine) {
    let shop = Shop::open(engine).await;
    let bike = json!({
        "slug": null, "thumbnail": "HTTP://Site.example/картинка a|b.jpg",
        "categories": ["Sporting Goods", "Outdoor Recreation", "Cycling", "Bicycles"]
    });
    shop.import(&[with(product("p", &[variant("v 1", 100)]), bike)]).await;
    shop.settle().await;
    assert_eq!(shop.status("v 1").await, Some(SyncStatus::Skipped));
    assert_eq!(shop.last_error("v 1").await.as_deref(), Some("missing_storefront_slug"));

    shop.set(json!({"storefront_product_path": "/p/{productId}?variant={variantId}"})).await;
    settle(&shop).await;
    let item = shop.item("v 1").expect("at Meta");
    assert!(item["link"].as_str().is_some_and(|link| link.ends_with("/p/p?variant=v%201")), "{item}");
    assert_eq!(item["image_link"], "http://site.example/%D0%BA%D0%B0%D1%80%D1%82%D0%B8%D0%BD%D0%BA%D0%B0%20a%7Cb.jpg");
    assert_eq!(item["google_product_category"], "Outdoor Recreation > Cycling > Bicycles");

    shop.set(json!({"category_levels": 0})).await;
    settle(&shop).await;
    let item = shop.item("v 1").expect("at Meta");
    assert_eq!(item["google_product_category"], "Sporting Goods > Outdoor Recreation > Cycling > Bicycles");
    shop.check().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_pictures_and_categories_reach_meta_whole_on_sqlite() {
    paths(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_pictures_and_categories_reach_meta_whole_on_postgres() {
    paths(Engine::Postgres).await;
}

async fn options(engine: Engine) {
    let shop = Shop::open(engine).await;
    let of = |id: &str, size: &str| {
        let options = json!([{"name": "Ring size", "value": size}, {"name": "Färg", "value": "Röd"}]);
        with(variant(id, 100), json!({"options": options}))
    };
    shop.import(&[product("p", &[of("a", "5"), of("b", "6")])]).await;
    shop.settle().await;
    assert_eq!(shop.item("a").expect("at Meta").get("additional_variant_attribute"), None);

    shop.set(json!({"additional_variant_attributes": true, "option_synonyms": {"färg": "color"}})).await;
    settle(&shop).await;
    let item = shop.item("a").expect("at Meta");
    assert_eq!((&item["additional_variant_attribute"], &item["color"]), (&json!("Ring size:5"), &json!("Röd")));
    shop.check().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_of_the_shops_own_reach_meta_when_a_setting_says_so_on_sqlite() {
    options(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_of_the_shops_own_reach_meta_when_a_setting_says_so_on_postgres() {
    options(Engine::Postgres).await;
}

/// A product in another currency is not stamped with ours. What a changed currency removes comes back with it.
async fn currencies(engine: Engine) {
    let shop = Shop::open(engine).await;
    let rupees = with(product("p", &[variant("a", 100)]), json!({"currency": "inr"}));
    let euros = with(product("q", &[variant("b", 100)]), json!({"currency": "EUR"}));
    shop.import(&[rupees, euros]).await;
    shop.settle().await;
    let there = || (shop.item("a").is_some(), shop.item("b").is_some());
    assert_eq!((there(), shop.status("b").await), ((true, false), Some(SyncStatus::Skipped)));
    let reason = "SELECT COUNT(*) FROM meta_sync_state WHERE variant_id = 'b' AND last_error = 'currency_mismatch'";
    assert_eq!(shop.count(reason).await, 1);

    shop.set(json!({"currency": "EUR"})).await;
    settle(&shop).await;
    assert_eq!((there(), shop.status("a").await), ((false, true), Some(SyncStatus::Deleted)));
    shop.set(json!({"currency": "INR"})).await;
    settle(&shop).await;
    assert_eq!(there(), (true, false));
    shop.check().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_currency_is_no_price_of_ours_on_sqlite() {
    currencies(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_currency_is_no_price_of_ours_on_postgres() {
    currencies(Engine::Postgres).await;
}
