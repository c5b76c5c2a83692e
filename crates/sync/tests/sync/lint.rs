//! What shows only when variants are compared: found soon after the drain, kept with the state, gone with its reason.

use std::collections::BTreeMap;

use catalog_sync::admin::items::{self, ItemsAsked};
use catalog_sync::admin::{issues, item_detail};
use serde_json::{Value, json};
use testkit::{Engine, Shop, product, variant};

const CODES: [&str; 5] =
    ["group_too_large", "indistinguishable_variants", "missing_variant_attribute", "same_gtin", "same_link"];

/// The variants with each code.
async fn linted(shop: &Shop) -> BTreeMap<&'static str, Vec<String>> {
    let mut found = BTreeMap::new();
    for code in CODES {
        let asked = ItemsAsked { warning: Some(code), limit: Some("100"), ..ItemsAsked::default() };
        let mut ids: Vec<String> = items::list(&shop.service.app, asked)
            .await
            .expect("a list")
            .rows
            .into_iter()
            .map(|row| row.variant_id)
            .collect();
        ids.sort();
        if !ids.is_empty() {
            found.insert(code, ids);
        }
    }
    found
}

async fn becomes(shop: &Shop, expected: &[(&'static str, &[&str])]) {
    let expected: BTreeMap<_, Vec<String>> =
        expected.iter().map(|(code, ids)| (*code, ids.iter().map(|id| (*id).to_owned()).collect())).collect();
    shop.until("the lint pass", async || linted(shop).await == expected).await;
}

fn with(id: &str, options: Value) -> Value {
    let mut variant = variant(id, 100);
    variant["options"] = options;
    variant
}

fn coded(id: &str, ean: &str) -> Value {
    let mut variant = variant(id, 100);
    variant["ean"] = json!(ean);
    variant
}

fn sluggish(mut product: Value, slug: &str) -> Value {
    product["slug"] = json!(slug);
    product
}

async fn compared(engine: Engine) {
    let shop = Shop::open(engine).await;
    let size = |size: &str| json!([{"name": "Size", "value": size}]);
    let ring = |size: &str| json!([{"name": "Ring size", "value": size}]);
    let shirt = |color: &str, size: &str| json!([{"name": "Color", "value": color}, {"name": "Size", "value": size}]);
    let rings =
        |options: &dyn Fn(&str) -> Value| product("rings", &[with("r5", options("5")), with("r6", options("6"))]);
    let shirts = |third: Value| {
        product("shirts", &[with("s1", shirt("red", "S")), with("s2", shirt("red", "M")), with("s3", third)])
    };
    shop.import(&[
        rings(&ring),
        shirts(json!([{"name": "Color", "value": "red"}])),
        product("one", &[coded("g1", "4006381333931")]),
        product("two", &[coded("g2", "04006381333931"), variant("g3", 100)]),
        sluggish(product("left", &[with("l1", size("S")), with("l3", size("M"))]), "same"),
        sluggish(product("right", &[variant("l2", 100)]), "same"),
        product("alone", &[variant("a1", 100)]),
    ])
    .await;
    shop.settle().await;
    becomes(
        &shop,
        &[
            // A product of two variants without any option is the same kind.
            ("indistinguishable_variants", &["g2", "g3", "r5", "r6"]),
            ("missing_variant_attribute", &["s3"]),
            ("same_gtin", &["g1", "g2"]),
            ("same_link", &["l1", "l2", "l3"]),
        ],
    )
    .await;

    // The page of an item names the others, and the groups of findings name the setting.
    let told = async |id: &str, code: &str| {
        let detail = item_detail::detail(&shop.service.app, id).await.expect("known");
        detail.warnings.into_iter().find(|warning| warning.code == code).expect("told").message
    };
    assert!(told("r5", "indistinguishable_variants").await.contains("(such as r6)"));
    assert!(told("g1", "same_gtin").await.contains("(such as g2)"));
    assert!(told("l2", "same_link").await.contains("(such as l1, l3)"));
    assert!(told("l1", "same_link").await.contains("(such as l2)"), "its sibling is of the same product");
    let found = issues::list(&shop.service.app).await.expect("issues");
    let rings_told = found.iter().find(|issue| issue.code == "indistinguishable_variants").expect("an issue");
    assert_eq!((rings_told.count, rings_told.setting), (4, Some("additional_variant_attributes")));
    assert_eq!(rings_told.items_url, "/admin/meta/items?warning=indistinguishable%5Fvariants");

    // The setting that it names helps; an edit of another variant helps; a delete of one of two helps the other.
    shop.set(json!({"additional_variant_attributes": true})).await;
    shop.import(&[
        shirts(shirt("red", "L")),
        product("two", &[coded("g2", "4006381333948"), with("g3", shirt("blue", "S"))]),
    ])
    .await;
    shop.import(&[sluggish(
        {
            let mut right = product("right", &[variant("l2", 100)]);
            right["status"] = json!("archived");
            right
        },
        "same",
    )])
    .await;
    shop.settle().await;
    becomes(&shop, &[("missing_variant_attribute", &["g2"])]).await;
    shop.check().await;

    // Another page is read after more than Meta groups.
    let many: Vec<Value> = (0..101).map(|n| with(&format!("m{n:03}"), shirt("red", &n.to_string()))).collect();
    shop.import(&[product("many", &many)]).await;
    shop.settle().await;
    shop.until("the large group", async || {
        let asked = ItemsAsked { warning: Some("group_too_large"), ..ItemsAsked::default() };
        items::list(&shop.service.app, asked).await.expect("a list").total == 101
    })
    .await;
    shop.import(&[product("many", &many[1..])]).await;
    shop.ask(&["m000"], catalog_sync::domain::intent::Intent::Delete, catalog_sync::domain::intent::Origin::Operator)
        .await;
    shop.settle().await;
    becomes(&shop, &[("missing_variant_attribute", &["g2"])]).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variants_are_compared_with_each_other_on_sqlite() {
    compared(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variants_are_compared_with_each_other_on_postgres() {
    compared(Engine::Postgres).await;
}
