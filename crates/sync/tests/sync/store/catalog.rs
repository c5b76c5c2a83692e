//! Writing the managed catalog: only what changed, with its intents.

use catalog_sync::domain::record::{BrandRef, CategoryRef, Given, ProductRecord, VariantRecord, VendorRef};
use catalog_sync::store::StoreError;
use catalog_sync::store::catalog::{Written, write};
use catalog_sync::store::source::{self, SourceBatch};
use mapper_core::{Inventory, OptionValue};

use super::{Done, NOW, TestDb, conformance};

conformance![
    everything_is_read_back_as_written,
    an_equal_record_writes_nothing,
    a_changed_price_is_one_intent,
    a_changed_title_is_one_intent_of_every_variant,
    deleted_variants_and_products_ask_for_deletes,
    options_and_inventory_are_replaced,
    a_variant_left_out_stays,
    a_variant_may_move_to_another_product,
    an_empty_write_is_nothing,
];

/// A plain variant.
pub(super) fn variant(id: &str) -> VariantRecord {
    VariantRecord {
        id: id.into(),
        sku: None,
        ean: None,
        upc: None,
        barcode: None,
        price: Some(1000),
        special_price: None,
        special_price_start: None,
        special_price_end: None,
        thumbnail: None,
        images: Vec::new(),
        deleted_at: None,
        options: Vec::new(),
        inventory: None,
        extra: None,
        given: Given::default(),
    }
}

/// A plain product that is on sale.
pub(super) fn product(id: &str, variants: &[&str]) -> ProductRecord {
    ProductRecord {
        id: id.into(),
        title: format!("Product {id}"),
        subtitle: None,
        description: None,
        slug: Some(id.to_lowercase()),
        status: "active".into(),
        visibility: "public".into(),
        thumbnail: None,
        images: Vec::new(),
        deleted_at: None,
        vendor: None,
        brand: None,
        categories: Vec::new(),
        extra: None,
        given: Given::default(),
        variants: variants.iter().map(|id| variant(id)).collect(),
    }
}

/// Categories of these ids and titles, root first.
pub(super) fn trail(steps: &[(&str, &str)]) -> Vec<CategoryRef> {
    let parents = std::iter::once(None).chain(steps.iter().map(|(id, _)| Some((*id).to_owned())));
    steps
        .iter()
        .zip(parents)
        .map(|((id, title), parent_id)| CategoryRef { id: (*id).into(), title: (*title).into(), parent_id })
        .collect()
}

pub(super) async fn save(db: &TestDb, records: &[ProductRecord]) -> Result<Written, StoreError> {
    let mut tx = db.write().await?;
    let written = write(&mut tx, records, NOW).await?;
    tx.commit().await?;
    Ok(written)
}

pub(super) async fn read(db: &TestDb, variants: &[&str]) -> Result<SourceBatch, StoreError> {
    let mut tx = db.read().await?;
    source::load(&mut tx, variants).await
}

/// Every intent since the last look, as `intent variant`; they count as processed then.
pub(super) async fn new_intents(db: &TestDb) -> Result<Vec<String>, StoreError> {
    let intents =
        db.texts("SELECT intent || ' ' || variant_id FROM meta_outbox WHERE processed_at IS NULL ORDER BY seq").await?;
    db.run("UPDATE meta_outbox SET processed_at = 1, outcome = 'noop' WHERE processed_at IS NULL").await?;
    Ok(intents)
}

async fn everything_is_read_back_as_written(db: &TestDb) -> Done {
    let red = OptionValue { name: "Couleur".into(), value: "Rouge \"vif\" 🟥".into() };
    let size = OptionValue { name: "Größe".into(), value: "XL\\n".into() };
    let stock = Inventory { track_inventory: true, quantity_on_hand: -3, reserved_quantity: 7, allow_backorder: true };
    let mut record = ProductRecord {
        title: "नमूना «тест» 👩‍👩‍👧 \u{1}".into(),
        subtitle: Some(String::new()),
        description: Some("<p>a\nb\t\"c\" \\ 'd' — 日本語</p>".into()),
        slug: Some("ärmel/é".into()),
        thumbnail: Some("t/ü.jpg".into()),
        images: vec!["a b.jpg".into(), "https://cdn.example/ß.png".into(), "a b.jpg".into()],
        vendor: Some(VendorRef { id: "ven".into(), name: "Händler ’n Söhne".into() }),
        brand: Some(BrandRef { id: "bra".into(), title: "Бренд".into() }),
        categories: trail(&[("c1", "Kleidung"), ("c2", "Ober\"teile"), ("c3", "👕")]),
        extra: serde_json::json!({"season": "été"}).as_object().cloned(),
        ..product("prod-Ä", &["var-1", "var-2"])
    };
    record.variants[0] = VariantRecord {
        sku: Some("SKU-é".into()),
        ean: Some("0000000000017".into()),
        upc: Some("000000000012".into()),
        barcode: Some("007".into()),
        price: Some(i64::MAX / 2),
        special_price: Some(0),
        special_price_start: Some(NOW),
        special_price_end: Some(NOW + 1),
        thumbnail: Some("v/👍.jpg".into()),
        images: vec!["v1.jpg".into()],
        // Not in the order of any id or name.
        options: vec![size.clone(), red.clone()],
        inventory: Some(stock.clone()),
        extra: serde_json::json!({"zeta": [1], "cost": 500}).as_object().cloned(),
        ..variant("var-1")
    };
    record.variants[1].price = None;
    record.variants[1].options = vec![red.clone(), size.clone()];
    save(db, std::slice::from_ref(&record)).await?;

    let batch = read(db, &["var-2", "unknown", "var-1"]).await?;
    assert_eq!(batch.unreadable, []);
    assert_eq!(batch.products.len(), 1, "a product is read once: {:?}", batch.products);
    let read = &batch.products[0];
    assert_eq!((&read.id, read.title.as_deref()), (&record.id, Some(record.title.as_str())));
    assert_eq!((&read.subtitle, &read.description, &read.slug), (&record.subtitle, &record.description, &record.slug));
    assert_eq!((read.status.as_deref(), read.visibility.as_deref()), (Some("active"), Some("public")));
    assert_eq!((&read.thumbnail, &read.images, read.deleted_at), (&record.thumbnail, &record.images, None));
    assert_eq!(read.vendor_name.as_deref(), Some("Händler ’n Söhne"));
    assert_eq!(read.brand_title.as_deref(), Some("Бренд"));
    assert_eq!(read.extra_json.as_deref(), Some(r#"{"season":"été"}"#));
    assert_eq!(read.categories, ["Kleidung", "Ober\"teile", "👕"], "root first");

    let mut items = batch.items;
    items.sort_by(|a, b| a.variant.id.cmp(&b.variant.id));
    assert_eq!(items.len(), 2);
    for (mapper_core::Item { product_index, variant: read }, written) in items.iter().zip(&record.variants) {
        assert_eq!(*product_index, 0);
        let written = mapper_core::Variant {
            id: written.id.clone(),
            sku: written.sku.clone(),
            ean: written.ean.clone(),
            upc: written.upc.clone(),
            barcode: written.barcode.clone(),
            price: written.price,
            special_price: written.special_price,
            special_price_start: written.special_price_start,
            special_price_end: written.special_price_end,
            thumbnail: written.thumbnail.clone(),
            images: written.images.clone(),
            deleted_at: written.deleted_at,
            inventory: written.inventory.clone(),
            options: written.options.clone(),
            extra_json: written.extra.as_ref().map(|extra| serde_json::json!(extra).to_string()),
        };
        assert_eq!(*read, written);
    }
    Ok(())
}

async fn an_equal_record_writes_nothing(db: &TestDb) -> Done {
    let record = ProductRecord {
        vendor: Some(VendorRef { id: "ven".into(), name: "Seller".into() }),
        categories: trail(&[("c1", "Root"), ("c2", "Leaf")]),
        ..product("p", &["a", "b"])
    };
    let written = save(db, std::slice::from_ref(&record)).await?;
    assert_eq!(written, Written { products: 1, variants: 2, intents: 2 });
    assert_eq!(new_intents(db).await?, ["upsert a", "upsert b"]);

    let written = save(db, &[record]).await?;
    assert_eq!(written, Written::default());
    assert_eq!(new_intents(db).await?, Vec::<String>::new());
    Ok(())
}

async fn a_changed_price_is_one_intent(db: &TestDb) -> Done {
    let mut record = product("p", &["a", "b"]);
    save(db, std::slice::from_ref(&record)).await?;
    new_intents(db).await?;

    record.variants[1].price = Some(1001);
    let written = save(db, &[record]).await?;
    assert_eq!(written, Written { products: 0, variants: 1, intents: 1 });
    assert_eq!(new_intents(db).await?, ["upsert b"]);
    assert_eq!(read(db, &["b"]).await?.items[0].variant.price, Some(1001));
    Ok(())
}

async fn a_changed_title_is_one_intent_of_every_variant(db: &TestDb) -> Done {
    save(db, &[product("p", &["a", "b"]), product("other", &["o"])]).await?;
    new_intents(db).await?;

    // Only `a` is on the line, and it changed as well.
    let mut record = ProductRecord { title: "New".into(), ..product("p", &["a"]) };
    record.variants[0].price = Some(5);
    let written = save(db, &[record]).await?;
    assert_eq!(written, Written { products: 1, variants: 1, intents: 2 });
    assert_eq!(new_intents(db).await?, ["upsert a", "upsert b"]);
    Ok(())
}

async fn deleted_variants_and_products_ask_for_deletes(db: &TestDb) -> Done {
    let mut record = product("p", &["a", "b"]);
    save(db, &[record.clone(), product("q", &["c", "d"])]).await?;
    new_intents(db).await?;

    record.variants[0].deleted_at = Some(NOW);
    save(db, std::slice::from_ref(&record)).await?;
    assert_eq!(new_intents(db).await?, ["delete a"]);
    assert_eq!(read(db, &["a"]).await?.items[0].variant.deleted_at, Some(NOW));

    // A deleted product takes the variants along that its line does not name.
    save(db, &[ProductRecord { deleted_at: Some(NOW), ..product("q", &["c"]) }]).await?;
    assert_eq!(new_intents(db).await?, ["delete c", "delete d"]);

    // And back again.
    record.variants[0].deleted_at = None;
    save(db, &[record]).await?;
    assert_eq!(new_intents(db).await?, ["upsert a"]);
    Ok(())
}

async fn options_and_inventory_are_replaced(db: &TestDb) -> Done {
    let option = |name: &str, value: &str| OptionValue { name: name.into(), value: value.into() };
    let mut record = product("p", &["a", "b"]);
    record.variants[0].options = vec![option("Size", "S"), option("Colour", "Red"), option("Fit", "Slim")];
    record.variants[0].inventory =
        Some(Inventory { track_inventory: true, quantity_on_hand: 1, ..Inventory::default() });
    record.variants[1].options = vec![option("Size", "S")];
    save(db, std::slice::from_ref(&record)).await?;

    record.variants[0].options = vec![option("Colour", "Blue"), option("Size", "S")];
    record.variants[0].inventory = Some(Inventory { quantity_on_hand: 9, ..Inventory::default() });
    save(db, std::slice::from_ref(&record)).await?;
    let batch = read(db, &["a"]).await?;
    assert_eq!(batch.items[0].variant.options, record.variants[0].options);
    assert_eq!(batch.items[0].variant.inventory, record.variants[0].inventory);
    assert_eq!(read(db, &["b"]).await?.items[0].variant.options, [option("Size", "S")], "a neighbour keeps its own");

    record.variants[0].options.clear();
    record.variants[0].inventory = None;
    save(db, &[record]).await?;
    let batch = read(db, &["a"]).await?;
    assert_eq!((batch.items[0].variant.options.len(), &batch.items[0].variant.inventory), (0, &None));
    Ok(())
}

async fn a_variant_left_out_stays(db: &TestDb) -> Done {
    save(db, &[product("p", &["a", "b"])]).await?;
    new_intents(db).await?;
    assert_eq!(save(db, &[product("p", &["b"])]).await?, Written::default());
    assert_eq!(read(db, &["a", "b"]).await?.items.len(), 2);
    Ok(())
}

async fn a_variant_may_move_to_another_product(db: &TestDb) -> Done {
    save(db, &[product("p", &["a", "b"]), product("q", &["c"])]).await?;
    new_intents(db).await?;
    save(db, &[product("q", &["c", "a"])]).await?;
    assert_eq!(new_intents(db).await?, ["upsert a"]);
    assert_eq!(read(db, &["a"]).await?.products[0].id, "q");
    Ok(())
}

async fn an_empty_write_is_nothing(db: &TestDb) -> Done {
    assert_eq!(save(db, &[]).await?, Written::default());
    Ok(())
}
