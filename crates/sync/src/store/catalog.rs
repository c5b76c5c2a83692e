//! Writes the managed catalog tables: only changed rows, with their intents in the same transaction.

use std::collections::{BTreeMap, HashMap, HashSet};

use mapper_core::sha256_hex;
use serde_json::{Map, Value};

use super::{Result, Tx, execute, fetch_all, json, list, outbox};
use crate::clock::Millis;
use crate::domain::intent::{Intent, Origin};
use crate::domain::record::{Given, ProductRecord, VariantRecord, derived_id, search_key};

/// The result of a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Products whose own columns changed.
    pub products: u64,
    /// Variants whose own columns changed.
    pub variants: u64,
    /// Intents appended.
    pub intents: u64,
}

impl std::ops::AddAssign for Written {
    fn add_assign(&mut self, other: Self) {
        self.products += other.products;
        self.variants += other.variants;
        self.intents += other.intents;
    }
}

/// Upserts products with their variants. Unchanged ones are left alone. A variant that a record omits is kept.
///
/// # Errors
/// When the database query fails.
pub async fn write(tx: &mut Tx, records: &[ProductRecord], now: Millis) -> Result<Written> {
    let changes = Changes::find(tx, records).await?;
    write_names(tx, records).await?;
    write_products(tx, &changes).await?;
    write_variants(tx, &changes).await?;
    write_options(tx, &changes).await?;
    write_inventory(tx, &changes).await?;
    let intents = append_intents(tx, records, &changes, now).await?;
    Ok(Written { products: changes.products.len() as u64, variants: changes.variants.len() as u64, intents })
}

/// The records that differ from the stored digests.
struct Changes<'r> {
    products: Vec<(&'r ProductRecord, String)>,
    variants: Vec<(&'r ProductRecord, &'r VariantRecord, String)>,
}

impl<'r> Changes<'r> {
    async fn find(tx: &mut Tx, records: &'r [ProductRecord]) -> Result<Self> {
        let product_ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
        let variant_ids: Vec<&str> =
            records.iter().flat_map(|record| &record.variants).map(|variant| variant.id.as_str()).collect();
        let known_products = digests(fetch_all!(
            tx,
            (String, Option<String>),
            "SELECT id, digest FROM product WHERE id IN (SELECT id FROM @ids($1) AS wanted)",
            list::ids(&product_ids)
        )?);
        let known_variants = digests(fetch_all!(
            tx,
            (String, Option<String>),
            "SELECT id, digest FROM product_variant WHERE id IN (SELECT id FROM @ids($1) AS wanted)",
            list::ids(&variant_ids)
        )?);
        let mut changes = Self { products: Vec::new(), variants: Vec::new() };
        for record in records {
            let alone = ProductRecord { variants: Vec::new(), ..record.clone() };
            let digest = sha256_hex(&json(&alone)?);
            if known_products.get(&record.id) != Some(&digest) {
                changes.products.push((record, digest));
            }
            for variant in &record.variants {
                let digest = sha256_hex(&json(&(&record.id, variant))?);
                if known_variants.get(&variant.id) != Some(&digest) {
                    changes.variants.push((record, variant, digest));
                }
            }
        }
        // Rows are written in id order; otherwise two concurrent imports could deadlock.
        changes.products.sort_by_key(|(record, _)| record.id.as_str());
        changes.variants.sort_by_key(|(_, variant, _)| variant.id.as_str());
        Ok(changes)
    }

    fn variant_ids(&self) -> Vec<&str> {
        self.variants.iter().map(|(_, variant, _)| variant.id.as_str()).collect()
    }
}

fn digests(rows: Vec<(String, Option<String>)>) -> HashMap<String, String> {
    rows.into_iter().filter_map(|(id, digest)| Some((id, digest?))).collect()
}

/// Writes vendors, brands and categories. A trigger notes those that are renamed, for the re-ask of their variants
/// ([`super::reask`]).
async fn write_names(tx: &mut Tx, records: &[ProductRecord]) -> Result<()> {
    let vendors: BTreeMap<_, _> = records.iter().filter_map(|r| r.vendor.as_ref()).map(|v| (&v.id, &v.name)).collect();
    let brands: BTreeMap<_, _> = records.iter().filter_map(|r| r.brand.as_ref()).map(|b| (&b.id, &b.title)).collect();
    let categories: BTreeMap<_, _> =
        records.iter().flat_map(|r| &r.categories).map(|c| (&c.id, (&c.title, &c.parent_id))).collect();
    if !vendors.is_empty() {
        execute!(
            tx,
            "INSERT INTO vendor AS old (id, name) SELECT r.id, r.name FROM @rows($1: id text, name text) AS r WHERE true
             ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE old.name <> excluded.name",
            list::rows(&vendors.into_iter().collect::<Vec<_>>())
        )?;
    }
    if !brands.is_empty() {
        execute!(
            tx,
            "INSERT INTO brand AS old (id, title) SELECT r.id, r.title FROM @rows($1: id text, title text) AS r WHERE true
             ON CONFLICT (id) DO UPDATE SET title = excluded.title WHERE old.title <> excluded.title",
            list::rows(&brands.into_iter().collect::<Vec<_>>())
        )?;
    }
    if !categories.is_empty() {
        let list: Vec<_> = categories.into_iter().map(|(id, (title, parent))| (id, title, parent)).collect();
        execute!(
            tx,
            "INSERT INTO category AS old (id, title, parent_id)
             SELECT r.id, r.title, r.parent FROM @rows($1: id text, title text, parent text) AS r WHERE true
             ON CONFLICT (id) DO UPDATE SET title = excluded.title, parent_id = excluded.parent_id
             WHERE old.title <> excluded.title OR old.parent_id IS DISTINCT FROM excluded.parent_id",
            list::rows(&list)
        )?;
    }
    Ok(())
}

async fn write_products(tx: &mut Tx, changes: &Changes<'_>) -> Result<()> {
    if changes.products.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = changes
        .products
        .iter()
        .map(|(record, digest)| {
            (
                &record.id,
                &record.title,
                &record.subtitle,
                &record.description,
                &record.slug,
                &record.status,
                &record.visibility,
                &record.thumbnail,
                &record.images,
                record.vendor.as_ref().map(|vendor| &vendor.id),
                record.brand.as_ref().map(|brand| &brand.id),
                record.categories.last().map(|category| &category.id),
                record.deleted_at,
                search_key(&[&record.title, record.slug.as_deref().unwrap_or_default()]),
                digest,
                extra_text(record.extra.as_ref(), &record.given),
            )
        })
        .collect();
    execute!(
        tx,
        "INSERT INTO product (id, title, subtitle, description, slug, status, visibility, thumbnail, images, vendor_id,
             brand_id, category_id, deleted_at, search_key, digest, extra)
         SELECT r.id, r.title, r.subtitle, r.description, r.slug, r.status, r.visibility, r.thumbnail, r.images, r.vendor,
             r.brand, r.category, r.deleted, r.search, r.digest, r.extra
         FROM @rows($1: id text, title text, subtitle text, description text, slug text, status text, visibility text, thumbnail text, images json, vendor text, brand text, category text, deleted bigint, search text, digest text, extra text) AS r
         WHERE true
         ON CONFLICT (id) DO UPDATE SET title = excluded.title, subtitle = excluded.subtitle,
             description = excluded.description, slug = excluded.slug, status = excluded.status,
             visibility = excluded.visibility, thumbnail = excluded.thumbnail, images = excluded.images,
             vendor_id = excluded.vendor_id, brand_id = excluded.brand_id, category_id = excluded.category_id,
             deleted_at = excluded.deleted_at, search_key = excluded.search_key, digest = excluded.digest,
             extra = excluded.extra",
        list::rows(&list)
    )?;
    Ok(())
}

/// The stored `extra`: what the shop adds for mapper modules, and what the line says for Meta under
/// [`mapper_core::GIVEN`]. Stored as text on both databases: jsonb would pass the keys to mapper modules in another order.
fn extra_text(extra: Option<&Map<String, Value>>, given: &Given) -> Option<String> {
    if given.is_empty() {
        return extra.map(|extra| Value::Object(extra.clone()).to_string());
    }
    let mut whole = extra.cloned().unwrap_or_default();
    let given = serde_json::to_value(given).expect("texts and JSON values serialize");
    whole.insert(mapper_core::GIVEN.to_owned(), given);
    Some(Value::Object(whole).to_string())
}

async fn write_variants(tx: &mut Tx, changes: &Changes<'_>) -> Result<()> {
    if changes.variants.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = changes
        .variants
        .iter()
        .map(|(record, variant, digest)| {
            (
                &variant.id,
                &record.id,
                &variant.sku,
                &variant.ean,
                &variant.upc,
                &variant.barcode,
                variant.price,
                variant.special_price,
                variant.special_price_start,
                variant.special_price_end,
                &variant.thumbnail,
                &variant.images,
                variant.deleted_at,
                search_key(&[&variant.id, variant.sku.as_deref().unwrap_or_default()]),
                digest,
                extra_text(variant.extra.as_ref(), &variant.given),
            )
        })
        .collect();
    execute!(
        tx,
        "INSERT INTO product_variant (id, product_id, sku, ean, upc, barcode, price, special_price, special_price_start,
             special_price_end, thumbnail, images, deleted_at, search_key, digest, extra)
         SELECT r.id, r.product, r.sku, r.ean, r.upc, r.barcode, r.price, r.special, r.special_start, r.special_end,
             r.thumbnail, r.images, r.deleted, r.search, r.digest, r.extra
         FROM @rows($1: id text, product text, sku text, ean text, upc text, barcode text, price bigint, special bigint, special_start bigint, special_end bigint, thumbnail text, images json, deleted bigint, search text, digest text, extra text) AS r
         WHERE true
         ON CONFLICT (id) DO UPDATE SET product_id = excluded.product_id, sku = excluded.sku, ean = excluded.ean,
             upc = excluded.upc, barcode = excluded.barcode, price = excluded.price,
             special_price = excluded.special_price, special_price_start = excluded.special_price_start,
             special_price_end = excluded.special_price_end, thumbnail = excluded.thumbnail, images = excluded.images,
             deleted_at = excluded.deleted_at, search_key = excluded.search_key, digest = excluded.digest,
             extra = excluded.extra",
        list::rows(&list)
    )?;
    Ok(())
}

async fn write_options(tx: &mut Tx, changes: &Changes<'_>) -> Result<()> {
    if changes.variants.is_empty() {
        return Ok(());
    }
    execute!(
        tx,
        "DELETE FROM variant_option_value WHERE variant_id IN (SELECT id FROM @ids($1) AS changed)",
        list::ids(&changes.variant_ids())
    )?;
    let mut options = BTreeMap::new();
    let mut values = BTreeMap::new();
    let mut links = Vec::new();
    for (record, variant, _) in &changes.variants {
        for (position, option) in variant.options.iter().enumerate() {
            let option_id = derived_id(&[&record.id, &option.name]);
            let value_id = derived_id(&[&option_id, &option.value]);
            links.push((&variant.id, position, value_id.clone()));
            values.insert(value_id, (option_id.clone(), &option.value));
            options.insert(option_id, (&record.id, &option.name));
        }
    }
    if links.is_empty() {
        return Ok(());
    }
    let options: Vec<_> = options.iter().map(|(id, (product, name))| (id, product, name)).collect();
    let values: Vec<_> = values.iter().map(|(id, (option, value))| (id, option, value)).collect();
    execute!(
        tx,
        "INSERT INTO product_option (id, product_id, name)
         SELECT r.id, r.product, r.name FROM @rows($1: id text, product text, name text) AS r WHERE true
         ON CONFLICT (id) DO NOTHING",
        list::rows(&options)
    )?;
    execute!(
        tx,
        "INSERT INTO product_option_value (id, option_id, value)
         SELECT r.id, r.option, r.value FROM @rows($1: id text, option text, value text) AS r WHERE true
         ON CONFLICT (id) DO NOTHING",
        list::rows(&values)
    )?;
    execute!(
        tx,
        "INSERT INTO variant_option_value (variant_id, position, option_value_id)
         SELECT r.variant, r.position, r.value FROM @rows($1: variant text, position bigint, value text) AS r",
        list::rows(&links)
    )?;
    Ok(())
}

async fn write_inventory(tx: &mut Tx, changes: &Changes<'_>) -> Result<()> {
    let (with, without): (Vec<&VariantRecord>, Vec<&VariantRecord>) =
        changes.variants.iter().map(|(_, variant, _)| *variant).partition(|variant| variant.inventory.is_some());
    if !without.is_empty() {
        let ids: Vec<&str> = without.iter().map(|variant| variant.id.as_str()).collect();
        execute!(
            tx,
            "DELETE FROM inventory_stock WHERE variant_id IN (SELECT id FROM @ids($1) AS gone)",
            list::ids(&ids)
        )?;
    }
    let list: Vec<_> = with
        .iter()
        .filter_map(|variant| Some((&variant.id, variant.inventory.as_ref()?)))
        .map(|(id, stock)| {
            (id, stock.track_inventory, stock.quantity_on_hand, stock.reserved_quantity, stock.allow_backorder)
        })
        .collect();
    if list.is_empty() {
        return Ok(());
    }
    execute!(
        tx,
        "INSERT INTO inventory_stock (variant_id, track_inventory, quantity_on_hand, reserved_quantity, allow_backorder)
         SELECT r.id, r.track, r.on_hand, r.reserved, r.backorder
         FROM @rows($1: id text, track bool, on_hand bigint, reserved bigint, backorder bool) AS r WHERE true
         ON CONFLICT (variant_id) DO UPDATE SET track_inventory = excluded.track_inventory,
             quantity_on_hand = excluded.quantity_on_hand, reserved_quantity = excluded.reserved_quantity,
             allow_backorder = excluded.allow_backorder",
        list::rows(&list)
    )?;
    Ok(())
}

async fn append_intents(tx: &mut Tx, records: &[ProductRecord], changes: &Changes<'_>, now: Millis) -> Result<u64> {
    let products: HashSet<&str> =
        records.iter().filter(|record| record.deleted_at.is_some()).map(|record| record.id.as_str()).collect();
    let variants = records.iter().flat_map(|record| &record.variants);
    let variants: HashSet<&str> =
        variants.filter(|variant| variant.deleted_at.is_some()).map(|variant| variant.id.as_str()).collect();
    let mut asked: BTreeMap<String, String> = fan_out(tx, changes).await?.into_iter().collect();
    asked.extend(changes.variants.iter().map(|(record, variant, _)| (variant.id.clone(), record.id.clone())));
    // The variants that the record of a deleted product does not list are deleted as well.
    let (deletes, upserts): (Vec<_>, Vec<_>) = asked
        .into_iter()
        .partition(|(variant, product)| products.contains(product.as_str()) || variants.contains(variant.as_str()));
    let mut count = 0;
    for (list, intent) in [(deletes, Intent::Delete), (upserts, Intent::Upsert)] {
        if !list.is_empty() {
            let ids: Vec<String> = list.into_iter().map(|(variant, _)| variant).collect();
            count += outbox::append(tx, &ids, intent, Origin::Import, now).await?;
        }
    }
    Ok(count)
}

/// Returns every variant, with its product, of a changed product.
async fn fan_out(tx: &mut Tx, changes: &Changes<'_>) -> Result<Vec<(String, String)>> {
    let products: Vec<&str> = changes.products.iter().map(|(record, _)| record.id.as_str()).collect();
    fetch_all!(
        tx,
        (String, String),
        "SELECT variant_id, product_id FROM variant_index WHERE product_id IN (SELECT id FROM @ids($1) AS changed)",
        list::ids(&products)
    )
}

/// A variant and its product.
pub type VariantOf = (String, String);

/// Returns up to `limit` variants of the managed tables that are not deleted, nor their products, in id order, after
/// an id.
///
/// # Errors
/// When the database query fails.
pub async fn live_after(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<VariantOf>> {
    fetch_all!(
        tx,
        VariantOf,
        "SELECT v.id, v.product_id FROM product_variant v JOIN product p ON p.id = v.product_id
         WHERE v.id > $1 AND v.deleted_at IS NULL AND p.deleted_at IS NULL
         ORDER BY v.id LIMIT $2",
        after,
        limit
    )
}

/// Returns the variants of these products that are not deleted, nor their products.
///
/// # Errors
/// When the database query fails.
pub async fn live_of(tx: &mut Tx, products: &[&str]) -> Result<Vec<String>> {
    let ids: Vec<(String,)> = fetch_all!(
        tx,
        (String,),
        "SELECT v.id FROM product_variant v JOIN product p ON p.id = v.product_id
         WHERE v.product_id IN (SELECT id FROM @ids($1) AS asked) AND v.deleted_at IS NULL AND p.deleted_at IS NULL",
        list::ids(products)
    )?;
    Ok(ids.into_iter().map(|(id,)| id).collect())
}

/// Deletes variants in the managed tables, with their intents in the same transaction. Returns the number of intents.
///
/// # Errors
/// When the database query fails.
pub async fn delete(tx: &mut Tx, variants: &[String], now: Millis) -> Result<u64> {
    // Without a digest, the variant is written when a file names it again.
    execute!(
        tx,
        "UPDATE product_variant SET deleted_at = $2, digest = NULL
         WHERE id IN (SELECT id FROM @ids($1) AS gone) AND deleted_at IS NULL",
        list::ids(variants),
        now
    )?;
    outbox::append(tx, variants, Intent::Delete, Origin::Import, now).await
}
