//! The read contract, also when a platform's own view stands behind it.

use super::catalog::{product, read, save};
use super::{Done, TestDb, conformance};

conformance![
    an_unreadable_row_costs_nobody_else,
    images_come_as_keys_or_objects,
    a_platform_may_use_narrower_numbers,
    nothing_asked_is_nothing_read,
];

/// Puts a platform's view in the place of ours: `images` is text that we did not write, numbers are narrow.
async fn replace_view(db: &TestDb) -> Done {
    if db.is_postgres() {
        db.run(
            "CREATE TABLE shop (variant_id text, images text);
             ALTER VIEW variant_source RENAME TO ours;
             CREATE VIEW variant_source AS
             SELECT o.variant_id, o.product_id, o.sku, o.ean, o.upc, o.barcode, o.price::int AS price,
                 o.special_price::smallint AS special_price, o.special_price_start, o.special_price_end, o.thumbnail,
                 COALESCE(s.images, o.images::text) AS images, o.deleted_at, o.product_title::varchar(200),
                 o.product_subtitle, o.product_description, o.product_slug, o.product_status, o.product_visibility,
                 o.product_thumbnail, o.product_images, o.product_deleted_at, o.vendor_name, o.brand_title,
                 o.categories, o.options, o.track_inventory, o.quantity_on_hand::numeric AS quantity_on_hand,
                 o.reserved_quantity::int AS reserved_quantity, o.allow_backorder,
                 o.extra::jsonb AS extra, NULL AS product_extra
             FROM ours o LEFT JOIN shop s USING (variant_id)",
        )
        .await
    } else {
        db.run(
            "CREATE TABLE shop (variant_id text, images text);
             CREATE TRIGGER shop_images AFTER INSERT ON shop BEGIN
                 UPDATE product_variant SET images = new.images WHERE id = new.variant_id;
             END",
        )
        .await
    }
}

/// The view lets it move between the two statements; SQLite has no sequence to do so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variant_that_moves_while_it_is_read_lends_its_product_to_no_sibling_on_postgres() -> Done {
    let db = &TestDb::postgres().await;
    save(db, &[product("p", &["a", "b"]), product("other", &["c"])]).await?;
    db.run(
        "CREATE SEQUENCE moves;
         ALTER VIEW variant_source RENAME TO ours;
         CREATE VIEW variant_source AS
         SELECT o.variant_id,
             CASE WHEN o.variant_id = 'a' AND nextval('moves') > 1 THEN 'other' ELSE o.product_id END AS product_id,
             o.sku, o.ean, o.upc, o.barcode, o.price, o.special_price, o.special_price_start, o.special_price_end,
             o.thumbnail, o.images, o.deleted_at, o.extra, o.product_title, o.product_subtitle, o.product_description,
             o.product_slug, o.product_status, o.product_visibility, o.product_thumbnail, o.product_images,
             o.product_deleted_at, o.product_extra, o.vendor_name, o.brand_title, o.categories, o.options,
             o.track_inventory, o.quantity_on_hand, o.reserved_quantity, o.allow_backorder
         FROM ours o ORDER BY o.variant_id",
    )
    .await?;
    let batch = read(db, &["a", "b"]).await?;
    let mut read: Vec<(&str, &str)> =
        batch.items.iter().map(|item| (&*item.variant.id, &*batch.products[item.product_index as usize].id)).collect();
    read.sort_unstable();
    assert_eq!((read, batch.unreadable), (vec![("a", "other"), ("b", "p")], vec![]));
    Ok(())
}

async fn an_unreadable_row_costs_nobody_else(db: &TestDb) -> Done {
    save(db, &[product("p", &["a", "bad-text", "bad-shape", "b"])]).await?;
    replace_view(db).await?;
    db.run(
        r#"INSERT INTO shop VALUES ('bad-text', 'one.jpg, two.jpg'), ('bad-shape', '{"front": "one.jpg"}'),
               ('b', 'null')"#,
    )
    .await?;
    let batch = read(db, &["a", "bad-text", "bad-shape", "b"]).await?;
    let mut good: Vec<&str> = batch.items.iter().map(|item| item.variant.id.as_str()).collect();
    good.sort_unstable();
    assert_eq!(good, ["a", "b"]);
    let mut bad = batch.unreadable;
    bad.sort();
    assert_eq!(bad.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["bad-shape", "bad-text"]);
    for (_, reason) in bad {
        assert!(reason.starts_with("variant_source.images is not the expected list"), "{reason}");
    }
    Ok(())
}

async fn images_come_as_keys_or_objects(db: &TestDb) -> Done {
    save(db, &[product("p", &["a"])]).await?;
    replace_view(db).await?;
    db.run(r#"INSERT INTO shop VALUES ('a', '["k", {"url": "u"}, null, {"key": "o", "alt": 1}, {"src": "s"}]')"#)
        .await?;
    let batch = read(db, &["a"]).await?;
    assert_eq!(batch.items[0].variant.images, ["k", "u", "o", "s"]);
    Ok(())
}

async fn a_platform_may_use_narrower_numbers(db: &TestDb) -> Done {
    let mut record = product("p", &["a"]);
    record.variants[0].inventory =
        Some(mapper_core::Inventory { track_inventory: true, quantity_on_hand: 3, ..Default::default() });
    save(db, &[record]).await?;
    replace_view(db).await?;
    let batch = read(db, &["a"]).await?;
    assert_eq!(batch.items[0].variant.price, Some(1000));
    assert_eq!(batch.items[0].variant.inventory.as_ref().map(|stock| stock.quantity_on_hand), Some(3));
    Ok(())
}

async fn nothing_asked_is_nothing_read(db: &TestDb) -> Done {
    let batch = read(db, &[]).await?;
    assert!(batch.items.is_empty() && batch.products.is_empty());
    Ok(())
}
