//! What is queued: events, bootstrap, resync, delete, bulk.

use serde_json::{Value, json};

use testkit::Engine;

use super::installation::{Installation, assert_told};

fn product(id: &str, status: &str, variants: &[(&str, bool)]) -> Value {
    let variants: Vec<Value> = variants
        .iter()
        .map(|(id, deleted)| {
            let deleted_at = deleted.then_some(1_700_000_000_000_i64);
            json!({"id": id, "sku": id.to_uppercase(), "price": 29900, "deletedAt": deleted_at})
        })
        .collect();
    json!({"id": id, "title": format!("Product {id}"), "slug": id, "status": status, "visibility": "public",
           "variants": variants})
}

fn queued(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(variant, intent)| ((*variant).to_owned(), (*intent).to_owned())).collect()
}

async fn states(shop: &Installation) -> Vec<(String, Option<String>, String)> {
    shop.rows("SELECT variant_id, product_id, status FROM meta_sync_state ORDER BY variant_id").await
}

async fn events(database: Engine) {
    let shop = Installation::start(database).await;
    shop.stock(&[
        product("p1", "active", &[("a", false), ("b", true), ("c", false)]),
        product("p2", "draft", &[("d", false)]),
    ])
    .await;
    // The source lost this one; only the state knows whose it was.
    shop.sql(
        "INSERT INTO meta_sync_state (variant_id, product_id, status, created_at, updated_at)
         VALUES ('gone', 'p1', 'synced', 0, 0)",
    )
    .await;
    let one = |event: &str, key: &str, id: &str| json!({"event": event, key: id});
    let cases = [
        ("vendor.product.variant.created", "variantId", "a", &[("a", "upsert")][..]),
        ("vendor.product.variant.updated", "variantId", "new", &[("new", "upsert")]),
        ("vendor.product.variant.deleted", "variantId", "never-heard-of", &[("never-heard-of", "delete")]),
        ("inventory.stock.adjusted", "variantId", "b", &[("b", "upsert")]),
        ("inventory.policy.updated", "variantId", "a", &[("a", "upsert")]),
        ("vendor.product.basics.updated", "productId", "p1", &[("a", "upsert"), ("c", "upsert"), ("gone", "upsert")]),
        ("vendor.product.media.updated", "productId", "p2", &[("d", "upsert")]),
        ("vendor.product.synced", "productId", "p2", &[("d", "upsert")]),
        (
            "vendor.product.deleted",
            "productId",
            "p1",
            &[("a", "delete"), ("b", "delete"), ("c", "delete"), ("gone", "delete")],
        ),
        ("vendor.product.deleted", "productId", "nobody", &[]),
        ("vendor.updated", "vendorId", "nobody", &[]),
        ("brand.updated", "brandId", "nobody", &[]),
        ("category.updated", "categoryId", "nobody", &[]),
    ];
    for (event, key, id, expected) in cases {
        shop.sql("DELETE FROM meta_outbox").await;
        let taken = shop.post("/events", one(event, key, id)).await;
        assert_eq!((taken.status.as_u16(), taken.data()), (202, json!({"enqueued": expected.len()})), "{event}");
        assert_eq!(shop.queued().await, queued(expected), "{event}");
    }
    let pending = |id: &str, product: Option<&str>| (id.to_owned(), product.map(str::to_owned), "pending".to_owned());
    let known = ("gone".to_owned(), Some("p1".to_owned()), "synced".to_owned());
    assert_eq!(
        states(&shop).await,
        [
            pending("a", Some("p1")),
            pending("b", Some("p1")),
            pending("c", Some("p1")),
            pending("d", Some("p2")),
            known,
            pending("new", None),
        ],
        "the first upsert makes a row, a delete does not"
    );

    // The order of the events is the order of their intents.
    shop.sql("DELETE FROM meta_outbox").await;
    let many = json!({"events": [
        one("vendor.product.deleted", "productId", "p2"),
        one("vendor.product.synced", "productId", "p1"),
        one("inventory.stock.adjusted", "variantId", "d"),
        one("vendor.product.variant.deleted", "variantId", "a"),
    ]});
    assert_told!("events", shop.post("/admin/meta/events", many).await);
    let expected =
        [("d", "delete"), ("a", "upsert"), ("c", "upsert"), ("gone", "upsert"), ("d", "upsert"), ("a", "delete")];
    assert_eq!(shop.queued().await, queued(&expected));

    let bad = json!({"events": [one("inventory.stock.adjusted", "variantId", "a"), one("product.renamed", "productId", "p")]});
    assert_told!("events-invalid", shop.post("/events", bad).await);
    assert_told!("events-unknown-field", shop.post("/events", json!({"event": "x", "id": "a"})).await);
    assert_eq!(shop.queued().await.len(), expected.len(), "all or nothing");

    // A name asks again for what shows it, as a re-ask.
    let mut branded = product("p3", "active", &[("e", false), ("f", false)]);
    branded["brand"] = json!({"id": "b", "title": "Brand"});
    shop.stock(&[branded]).await;
    shop.sql("DELETE FROM meta_outbox").await;
    let taken = shop.post("/events", one("brand.updated", "brandId", "b")).await;
    assert_eq!((taken.status.as_u16(), taken.data()), (202, json!({"enqueued": 2})));
    assert_eq!(shop.queued().await, queued(&[]), "behind what the shop changes");
    shop.stop().await;
}

#[tokio::test]
async fn events_fan_out_over_source_and_state_on_sqlite() {
    events(Engine::Sqlite).await;
}

#[tokio::test]
async fn events_fan_out_over_source_and_state_on_postgres() {
    events(Engine::Postgres).await;
}

async fn operator(database: Engine) {
    let shop = Installation::start(database).await;
    let mut many: Vec<Value> = (0..6)
        .map(|at| {
            let ids: Vec<String> = (0..100).map(|n| format!("m{at}-{n:03}")).collect();
            product(&format!("m{at}"), "active", &ids.iter().map(|id| (id.as_str(), false)).collect::<Vec<_>>())
        })
        .collect();
    many.push(product("p1", "active", &[("a", false), ("b", true)]));
    many.push(product("p2", "archived", &[("c", false)]));
    shop.stock(&many).await;
    let bootstrapped = shop.post("/admin/meta/bootstrap", Value::Null).await;
    assert_told!("bootstrap", bootstrapped);
    let ids: Vec<String> = shop.queued().await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(
        (ids.len(), ids.is_sorted(), ids.contains(&"b".into()), ids.contains(&"c".into())),
        (601, true, false, false)
    );

    shop.sql("DELETE FROM meta_outbox").await;
    assert_told!("resync", shop.post("/admin/meta/resync/a", Value::Null).await);
    assert_told!("resync", shop.post("/admin/meta/items/a/resync", Value::Null).await);
    assert_told!("delete-from-meta", shop.post("/admin/meta/items/c/delete-from-meta", Value::Null).await);
    assert_eq!(shop.queued().await, queued(&[("a", "upsert"), ("a", "upsert"), ("c", "delete")]));
    assert_told!("resync-unknown", shop.post("/admin/meta/resync/who", Value::Null).await);
    shop.sql("DELETE FROM meta_outbox").await;
    assert_told!("exclude", shop.post("/admin/meta/items/a/exclude", Value::Null).await);
    assert_told!("exclude", shop.post("/admin/meta/items/a/include", Value::Null).await);
    let forced = shop.post("/admin/meta/items/a/resync?force=true", Value::Null).await;
    assert_told!("resync", forced);
    let many = shop.post("/admin/meta/items/bulk/resync", json!({"variantIds": ["c", "a", "c"], "force": true})).await;
    assert_eq!((many.status.as_u16(), many.data()), (202, json!({"enqueued": 2})));
    let expected = [("a", "upsert"), ("a", "upsert"), ("a", "upsert"), ("a", "upsert"), ("c", "upsert")];
    assert_eq!(shop.queued().await, queued(&expected));
    for wrong in [
        json!([]),
        json!([""]),
        json!(vec!["a"; 1001]),
        json!(vec!["x"; 1001].iter().enumerate().map(|(n, _)| n.to_string()).collect::<Vec<_>>()),
    ] {
        let refused = shop.post("/admin/meta/items/bulk/resync", json!({"variantIds": wrong})).await;
        assert_eq!(refused.status.as_u16(), 400);
    }
    assert_eq!(shop.post("/admin/meta/items/bulk/resync", json!({"variantIds": ["a", "who"]})).await.status, 404);
    assert_eq!(shop.post("/admin/meta/bootstrap?force=maybe", Value::Null).await.status, 400);
    shop.sql("DELETE FROM meta_outbox").await;
    shop.sql(
        "INSERT INTO meta_sync_state (variant_id, status, created_at, updated_at) VALUES ('caf\u{e9} 1/2', 'synced', 0, 0)",
    )
    .await;
    let odd = shop.post("/admin/meta/items/caf%C3%A9%201%2F2/delete-from-meta", Value::Null).await;
    assert_eq!((odd.status.as_u16(), odd.data()["variantId"].clone()), (202, json!("café 1/2")));
    let expected = [("café 1/2", "delete")];
    assert_eq!(shop.queued().await, queued(&expected));
    shop.stop().await;
}

#[tokio::test]
async fn operators_queue_variants_on_sqlite() {
    operator(Engine::Sqlite).await;
}

#[tokio::test]
async fn operators_queue_variants_on_postgres() {
    operator(Engine::Postgres).await;
}

async fn bulk(database: Engine) {
    let shop = Installation::start(database).await;
    let state = |id: &str, status: &str| format!("('{id}', '{status}', 0, 0)");
    let states = [
        state("f-never-asked", "failed"),
        state("f-upsert", "failed"),
        state("f-delete", "failed"),
        state("f-kept-delete", "failed"),
        state("f-later-upsert", "failed"),
        state("f-open-delete", "failed"),
        state("s", "skipped"),
        state("ok", "synced"),
    ];
    shop.sql(&format!(
        "INSERT INTO meta_sync_state (variant_id, status, created_at, updated_at) VALUES {}",
        states.join(", ")
    ))
    .await;
    shop.sql(
        "INSERT INTO meta_outbox (variant_id, intent, origin, enqueued_at, processed_at) VALUES
             ('f-upsert', 'delete', 'event', 0, 1), ('f-upsert', 'upsert', 'event', 0, 2),
             ('f-delete', 'upsert', 'event', 0, 1), ('f-delete', 'delete', 'event', 0, 2),
             ('f-kept-delete', 'delete', 'operator', 0, 2), ('f-kept-delete', 'upsert', 'event', 0, 2),
             ('f-later-upsert', 'delete', 'operator', 0, 1), ('f-later-upsert', 'upsert', 'event', 0, 2),
             ('f-open-delete', 'delete', 'operator', 0, NULL), ('f-open-delete', 'upsert', 'window', 0, NULL),
             ('ok', 'upsert', 'event', 0, 2)",
    )
    .await;
    let failed = shop.post("/admin/meta/items/bulk/resync-failed", Value::Null).await;
    assert_told!("resync-failed", failed);
    let new: Vec<(String, String)> = shop.rows(
        "SELECT variant_id, intent FROM meta_outbox WHERE origin = 'operator' AND processed_at IS NULL AND enqueued_at > 0 ORDER BY seq",
    ).await;
    assert_eq!(
        new,
        queued(&[
            ("f-delete", "delete"),
            ("f-kept-delete", "delete"),
            ("f-later-upsert", "upsert"),
            ("f-never-asked", "upsert"),
            ("f-open-delete", "delete"),
            ("f-upsert", "upsert"),
        ])
    );
    shop.sql("DELETE FROM meta_outbox").await;
    assert_told!("resync-skipped", shop.post("/admin/meta/items/bulk/resync-skipped", Value::Null).await);
    assert_eq!(shop.queued().await, queued(&[("s", "upsert")]));
    shop.stop().await;
}

#[tokio::test]
async fn what_failed_is_queued_again_as_what_it_was_on_sqlite() {
    bulk(Engine::Sqlite).await;
}

#[tokio::test]
async fn what_failed_is_queued_again_as_what_it_was_on_postgres() {
    bulk(Engine::Postgres).await;
}
