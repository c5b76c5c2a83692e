//! A name that products share changes: every variant that shows it is asked for again.

use catalog_sync::domain::record::{BrandRef, ProductRecord, VendorRef};
use catalog_sync::store::catalog::Written;

use super::catalog::{new_intents, product, read, save, trail};
use super::{Done, TestDb, conformance};

conformance![
    a_renamed_vendor_reaches_other_products,
    a_renamed_brand_reaches_other_products,
    a_renamed_category_reaches_everything_below_it,
    a_moved_category_reaches_everything_below_it,
    categories_in_a_circle_end,
];

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
    assert_eq!(written, Written { products: 1, variants: 0, intents: 3 });
    assert_eq!(new_intents(db).await?, ["upsert a", "upsert b", "upsert c"]);
    assert_eq!(read(db, &["c"]).await?.products[0].vendor_name.as_deref(), Some("New"));
    Ok(())
}

async fn a_renamed_brand_reaches_other_products(db: &TestDb) -> Done {
    save(db, &[made_by("Old", "p", &["a"]), made_by("Old", "q", &["b"]), product("r", &["d"])]).await?;
    new_intents(db).await?;
    save(db, &[made_by("New", "p", &["a"])]).await?;
    assert_eq!(new_intents(db).await?, ["upsert a", "upsert b"]);
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
    assert_eq!(new_intents(db).await?, ["upsert a", "upsert b", "upsert d"]);
    assert_eq!(read(db, &["a"]).await?.products[0].categories, ["Apparel", "Tops", "Shirts"]);
    Ok(())
}

async fn a_moved_category_reaches_everything_below_it(db: &TestDb) -> Done {
    save(db, &[filed(&[("x", "X"), ("mid", "Mid"), ("leaf", "Leaf")], "p", &["a"])]).await?;
    new_intents(db).await?;
    save(db, &[filed(&[("y", "Y"), ("mid", "Mid")], "q", &["b"])]).await?;
    assert_eq!(new_intents(db).await?, ["upsert a", "upsert b"]);
    assert_eq!(read(db, &["a"]).await?.products[0].categories, ["Y", "Mid", "Leaf"]);
    Ok(())
}

async fn categories_in_a_circle_end(db: &TestDb) -> Done {
    save(db, &[filed(&[("x", "X"), ("y", "Y")], "p", &["a"])]).await?;
    save(db, &[filed(&[("y", "Y"), ("x", "X2")], "q", &["b"])]).await?;
    db.run("UPDATE category SET parent_id = 'x' WHERE id = 'y'").await?;
    new_intents(db).await?;
    save(db, &[filed(&[("y", "Y3")], "r", &["c"])]).await?;
    assert_eq!(read(db, &["a"]).await?.unreadable, []);
    assert_eq!(new_intents(db).await?, ["upsert a", "upsert b", "upsert c"]);
    Ok(())
}
