//! A name that products share changes: every variant that shows it is asked for again.

use catalog_sync::domain::intent::{Intent, Lane};
use catalog_sync::domain::reask::{Named, Reason};
use catalog_sync::domain::record::{BrandRef, ProductRecord, VendorRef};
use catalog_sync::store::StoreError;
use catalog_sync::store::catalog::Written;
use catalog_sync::store::events::{self, Change, Target};
use catalog_sync::store::reask::{self, Step};
use mapper_core::OptionValue;

use super::catalog::{new_intents, product, read, save, trail};
use super::{Done, NOW, TestDb, conformance};

conformance![
    a_renamed_vendor_reaches_other_products,
    a_renamed_brand_reaches_other_products,
    a_renamed_category_reaches_everything_below_it,
    a_moved_category_reaches_everything_below_it,
    categories_in_a_circle_end,
    a_name_changed_by_hand_counts_as_well,
    a_new_name_asks_for_nothing,
    a_name_that_changes_again_is_walked_again,
    an_event_asks_again_for_what_shows_the_name,
];

/// Takes one step of the re-ask of names.
async fn step(db: &TestDb, limit: i64) -> Result<Option<Step>, StoreError> {
    let mut tx = db.write().await?;
    if reask::is_renamed(&mut tx).await? {
        reask::begin(&mut tx, Reason::Renamed, None, NOW).await?;
    }
    let Some(reask) = reask::next(&mut tx).await? else { return Ok(None) };
    assert_eq!(reask.reason, Reason::Renamed);
    let total = reask::count(&mut tx, reask.reason).await?;
    let step = reask::step(&mut tx, &reask, Some(total), limit, NOW).await?;
    tx.commit().await?;
    Ok(Some(step))
}

/// Walks to the end and returns the open intents, each once, by variant.
async fn asked_again(db: &TestDb) -> Result<Vec<String>, StoreError> {
    while step(db, 2).await?.is_some() {}
    let mut intents = new_intents(db).await?;
    intents.sort();
    intents.dedup();
    assert_eq!(db.texts("SELECT id FROM reask_subject").await?, Vec::<String>::new());
    Ok(intents)
}

fn sold_by(name: &str, id: &str, variants: &[&str]) -> ProductRecord {
    ProductRecord { vendor: Some(VendorRef { id: "ven".into(), name: name.into() }), ..product(id, variants) }
}

fn made_by(title: &str, id: &str, variants: &[&str]) -> ProductRecord {
    ProductRecord { brand: Some(BrandRef { id: "bra".into(), title: title.into() }), ..product(id, variants) }
}

fn filed(under: &[(&str, &str)], id: &str, variants: &[&str]) -> ProductRecord {
    ProductRecord { categories: trail(under), ..product(id, variants) }
}

async fn a_renamed_vendor_reaches_other_products(db: &TestDb) -> Done {
    save(db, &[sold_by("Old", "p", &["a"]), sold_by("Old", "q", &["b", "c"]), product("r", &["d"])]).await?;
    new_intents(db).await?;
    let written = save(db, &[sold_by("New", "p", &["a"])]).await?;
    assert_eq!(written, Written { products: 1, variants: 0, intents: 1 });
    assert_eq!(asked_again(db).await?, ["upsert a", "upsert b", "upsert c"]);
    assert_eq!(read(db, &["c"]).await?.products[0].vendor_name.as_deref(), Some("New"));
    Ok(())
}

async fn a_renamed_brand_reaches_other_products(db: &TestDb) -> Done {
    save(db, &[made_by("Old", "p", &["a"]), made_by("Old", "q", &["b"]), product("r", &["d"])]).await?;
    new_intents(db).await?;
    save(db, &[made_by("New", "p", &["a"])]).await?;
    assert_eq!(asked_again(db).await?, ["upsert a", "upsert b"]);
    assert_eq!(read(db, &["b"]).await?.products[0].brand_title.as_deref(), Some("New"));
    Ok(())
}

async fn a_renamed_category_reaches_everything_below_it(db: &TestDb) -> Done {
    let old = [("root", "Clothes"), ("mid", "Tops"), ("leaf", "Shirts")];
    save(db, &[filed(&old, "p", &["a"]), filed(&old[..2], "q", &["b"]), filed(&[("else", "Toys")], "r", &["c"])])
        .await?;
    new_intents(db).await?;

    // The root is renamed by a product that stands right below it.
    save(db, &[filed(&[("root", "Apparel")], "s", &["d"])]).await?;
    assert_eq!(asked_again(db).await?, ["upsert a", "upsert b", "upsert d"]);
    assert_eq!(read(db, &["a"]).await?.products[0].categories, ["Apparel", "Tops", "Shirts"]);
    Ok(())
}

async fn a_moved_category_reaches_everything_below_it(db: &TestDb) -> Done {
    save(db, &[filed(&[("x", "X"), ("mid", "Mid"), ("leaf", "Leaf")], "p", &["a"])]).await?;
    new_intents(db).await?;
    save(db, &[filed(&[("y", "Y"), ("mid", "Mid")], "q", &["b"])]).await?;
    assert_eq!(asked_again(db).await?, ["upsert a", "upsert b"]);
    assert_eq!(read(db, &["a"]).await?.products[0].categories, ["Y", "Mid", "Leaf"]);
    Ok(())
}

async fn categories_in_a_circle_end(db: &TestDb) -> Done {
    save(db, &[filed(&[("x", "X"), ("y", "Y")], "p", &["a"])]).await?;
    save(db, &[filed(&[("y", "Y"), ("x", "X2")], "q", &["b"])]).await?;
    db.run("UPDATE category SET parent_id = 'x' WHERE id = 'y'").await?;
    asked_again(db).await?;
    save(db, &[filed(&[("y", "Y3")], "r", &["c"])]).await?;
    assert_eq!(read(db, &["a"]).await?.unreadable, []);
    assert_eq!(asked_again(db).await?, ["upsert a", "upsert b", "upsert c"]);
    Ok(())
}

async fn a_name_changed_by_hand_counts_as_well(db: &TestDb) -> Done {
    let mut ring = product("p", &["a", "b"]);
    ring.variants[0].options = vec![OptionValue { name: "Size".into(), value: "5".into() }];
    save(db, &[ring, made_by("Brand", "q", &["c"]), sold_by("Vendor", "r", &["d"])]).await?;
    new_intents(db).await?;
    for (change, expected) in [
        ("UPDATE brand SET title = 'Other'", ["upsert c"].as_slice()),
        ("UPDATE vendor SET name = 'Other'", &["upsert d"]),
        ("UPDATE product_option SET name = 'Ring size'", &["upsert a", "upsert b"]),
        ("UPDATE product_option_value SET value = '6'", &["upsert a", "upsert b"]),
        ("UPDATE brand SET title = title", &[]),
        ("DELETE FROM brand", &["upsert c"]),
    ] {
        db.run(change).await?;
        assert_eq!(asked_again(db).await?, expected, "{change}");
    }
    Ok(())
}

async fn a_new_name_asks_for_nothing(db: &TestDb) -> Done {
    save(db, &[sold_by("Vendor", "p", &["a"]), made_by("Brand", "q", &["b"]), filed(&[("x", "X")], "r", &["c"])])
        .await?;
    assert_eq!(step(db, 10).await?, None);
    Ok(())
}

async fn a_name_that_changes_again_is_walked_again(db: &TestDb) -> Done {
    save(db, &[made_by("One", "p", &["a", "b", "c"]), sold_by("Vendor", "q", &["d"])]).await?;
    new_intents(db).await?;
    db.run("UPDATE brand SET title = 'Two'").await?;
    assert_eq!(step(db, 2).await?, Some(Step::More));
    assert_eq!(new_intents(db).await?, ["upsert a", "upsert b"]);

    // What was walked showed the second name: the next walk begins at the first variant, and covers other names too.
    db.run("UPDATE brand SET title = 'Three'").await?;
    db.run("UPDATE vendor SET name = 'Other'").await?;
    assert_eq!(step(db, 2).await?, Some(Step::Done));
    assert_eq!(asked_again(db).await?, ["upsert a", "upsert b", "upsert c", "upsert d"]);
    Ok(())
}

async fn an_event_asks_again_for_what_shows_the_name(db: &TestDb) -> Done {
    save(
        db,
        &[
            made_by("Brand", "p", &["a"]),
            sold_by("Vendor", "q", &["b", "c"]),
            filed(&[("x", "X"), ("y", "Y")], "r", &["d"]),
        ],
    )
    .await?;
    new_intents(db).await?;
    let changed = |kind, id: &str| Change {
        target: Target::Named(kind, id.to_owned()),
        intent: Intent::Upsert,
        lane: Lane::Change,
    };
    let mut tx = db.write().await?;
    let changes = [changed(Named::Vendor, "ven"), changed(Named::Brand, "unknown"), changed(Named::Category, "x")];
    assert_eq!(events::append(&mut tx, &changes, NOW).await?, 3);
    tx.commit().await?;
    assert_eq!(asked_again(db).await?, ["upsert b", "upsert c", "upsert d"]);
    Ok(())
}
