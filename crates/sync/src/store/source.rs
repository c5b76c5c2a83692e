//! Reads the shop's catalog through the view `variant_source`.
//!
//! The view is the contract: a platform with its own schema replaces the view and keeps its tables. The values of such
//! a view are read leniently. A row that cannot be read is reported with its reason and does not affect other rows.

use std::collections::HashMap;

use mapper_core::{Inventory, Item, OptionValue, Product, Variant};
use serde::Deserialize;

use super::{Result, Tx, fetch_all, list};

/// A batch in the form that mappers read: each product once, variants with a product index.
#[derive(Clone, Debug, Default)]
pub struct SourceBatch {
    /// Each product of the batch, once.
    pub products: Vec<Product>,
    /// The variants, with the index of their product.
    pub items: Vec<Item>,
    /// Variants whose row cannot be read, each with the reason.
    pub unreadable: Vec<(String, String)>,
}

#[derive(sqlx::FromRow)]
struct VariantRow {
    variant_id: String,
    product_id: String,
    sku: Option<String>,
    ean: Option<String>,
    upc: Option<String>,
    barcode: Option<String>,
    price: Option<i64>,
    special_price: Option<i64>,
    special_price_start: Option<i64>,
    special_price_end: Option<i64>,
    thumbnail: Option<String>,
    images: Option<String>,
    deleted_at: Option<i64>,
    options: Option<String>,
    track_inventory: Option<bool>,
    quantity_on_hand: Option<i64>,
    reserved_quantity: Option<i64>,
    allow_backorder: Option<bool>,
    extra: Option<String>,
}

#[derive(sqlx::FromRow)]
struct ProductRow {
    product_id: String,
    product_title: Option<String>,
    product_subtitle: Option<String>,
    product_description: Option<String>,
    product_slug: Option<String>,
    product_status: Option<String>,
    product_visibility: Option<String>,
    product_thumbnail: Option<String>,
    product_images: Option<String>,
    product_deleted_at: Option<i64>,
    vendor_name: Option<String>,
    brand_title: Option<String>,
    categories: Option<String>,
    product_extra: Option<String>,
}

/// How often a variant is read that moves to another product between the two statements.
const ATTEMPTS: usize = 3;

/// Loads the rows of these variants. Variants that the source does not have are missing in the result.
///
/// What a view says of a product is read once, from the first of its variants: descriptions are long, and the trail of
/// categories is dear. The two statements are not of one instant: a variant whose product is not found by the second one is
/// read again. Any other change between them has its own intent, as one after them.
///
/// # Errors
/// When the database query fails.
pub async fn load(tx: &mut Tx, variants: &[&str]) -> Result<SourceBatch> {
    let mut batch = SourceBatch { items: Vec::with_capacity(variants.len()), ..SourceBatch::default() };
    let mut asked: Vec<String> = variants.iter().map(|id| (*id).to_owned()).collect();
    for _ in 0..ATTEMPTS {
        let rows = variant_rows(tx, &asked).await?;
        let known = load_products(tx, &rows, &mut batch.products).await?;
        asked = Vec::new();
        for row in rows {
            let variant_id = row.variant_id.clone();
            let read = match known.get(&row.product_id) {
                Some(Ok(index)) => variant(row).map(|variant| Item { product_index: *index, variant }),
                Some(Err(reason)) => Err(reason.clone()),
                None => {
                    asked.push(variant_id);
                    continue;
                }
            };
            match read {
                Ok(item) => batch.items.push(item),
                Err(reason) => batch.unreadable.push((variant_id, reason)),
            }
        }
        if asked.is_empty() {
            break;
        }
    }
    let moving = asked.into_iter().map(|id| (id, "its product changed each time that it was read".to_owned()));
    batch.unreadable.extend(moving);
    Ok(batch)
}

async fn variant_rows(tx: &mut Tx, variants: &[String]) -> Result<Vec<VariantRow>> {
    // JSON columns are read as text, because one unreadable value must not fail the batch. Numbers are widened, because
    // a platform's view may have narrower types.
    fetch_all!(
        tx,
        VariantRow,
        "SELECT variant_id, product_id, sku, ean, upc, barcode, CAST(price AS BIGINT) AS price,
             CAST(special_price AS BIGINT) AS special_price, CAST(special_price_start AS BIGINT) AS special_price_start,
             CAST(special_price_end AS BIGINT) AS special_price_end, thumbnail, CAST(images AS TEXT) AS images,
             CAST(deleted_at AS BIGINT) AS deleted_at, CAST(options AS TEXT) AS options, track_inventory,
             CAST(quantity_on_hand AS BIGINT) AS quantity_on_hand,
             CAST(reserved_quantity AS BIGINT) AS reserved_quantity, allow_backorder, CAST(extra AS TEXT) AS extra
         FROM variant_source WHERE variant_id IN (SELECT id FROM @ids($1) AS wanted)",
        list::ids(variants)
    )
}

/// The index of a product in the batch, or why it cannot be read.
type Known = HashMap<String, std::result::Result<u32, String>>;

/// Loads the products of these variants.
async fn load_products(tx: &mut Tx, rows: &[VariantRow], products: &mut Vec<Product>) -> Result<Known> {
    let mut firsts: HashMap<&str, &str> = HashMap::new();
    for row in rows {
        firsts.entry(&row.product_id).or_insert(&row.variant_id);
    }
    let asked: Vec<&str> = firsts.into_values().collect();
    let found: Vec<ProductRow> = fetch_all!(
        tx,
        ProductRow,
        "SELECT product_id, product_title, product_subtitle, product_description, product_slug, product_status,
             product_visibility, product_thumbnail, CAST(product_images AS TEXT) AS product_images,
             CAST(product_deleted_at AS BIGINT) AS product_deleted_at, vendor_name, brand_title,
             CAST(categories AS TEXT) AS categories, CAST(product_extra AS TEXT) AS product_extra
         FROM variant_source WHERE variant_id IN (SELECT id FROM @ids($1) AS wanted)",
        list::ids(&asked)
    )?;
    let mut known = Known::with_capacity(found.len());
    for row in found {
        let id = row.product_id.clone();
        let read = product(row).map(|product| {
            products.push(product);
            // A batch is far smaller.
            u32::try_from(products.len() - 1).unwrap_or(u32::MAX)
        });
        known.insert(id, read);
    }
    Ok(known)
}

fn product(row: ProductRow) -> std::result::Result<Product, String> {
    Ok(Product {
        id: row.product_id,
        title: row.product_title,
        subtitle: row.product_subtitle,
        description: row.product_description,
        slug: row.product_slug,
        status: row.product_status,
        visibility: row.product_visibility,
        thumbnail: row.product_thumbnail,
        images: images("product_images", row.product_images)?,
        deleted_at: row.product_deleted_at,
        vendor_name: row.vendor_name,
        brand_title: row.brand_title,
        categories: list("categories", row.categories)?,
        extra_json: row.product_extra,
    })
}

fn variant(row: VariantRow) -> std::result::Result<Variant, String> {
    let inventory = row.track_inventory.map(|track_inventory| Inventory {
        track_inventory,
        quantity_on_hand: row.quantity_on_hand.unwrap_or_default(),
        reserved_quantity: row.reserved_quantity.unwrap_or_default(),
        allow_backorder: row.allow_backorder.unwrap_or_default(),
    });
    Ok(Variant {
        id: row.variant_id,
        sku: row.sku,
        ean: row.ean,
        upc: row.upc,
        barcode: row.barcode,
        price: row.price,
        special_price: row.special_price,
        special_price_start: row.special_price_start,
        special_price_end: row.special_price_end,
        thumbnail: row.thumbnail,
        images: images("images", row.images)?,
        deleted_at: row.deleted_at,
        inventory,
        options: list::<OptionValue>("options", row.options)?,
        extra_json: row.extra,
    })
}

fn list<T: serde::de::DeserializeOwned>(column: &str, text: Option<String>) -> std::result::Result<Vec<T>, String> {
    match text.as_deref() {
        None | Some("null" | "[]") => Ok(Vec::new()),
        Some(text) => serde_json::from_str(text)
            .map_err(|error| format!("variant_source.{column} is not the expected list: {error}")),
    }
}

/// An image as platforms store it: a key, or an object that contains one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Image {
    Key(String),
    Object {
        #[serde(alias = "key", alias = "src")]
        url: String,
    },
}

fn images(column: &str, text: Option<String>) -> std::result::Result<Vec<String>, String> {
    let images: Vec<Option<Image>> = list(column, text)?;
    Ok(images
        .into_iter()
        .flatten()
        .map(|image| match image {
            Image::Key(key) => key,
            Image::Object { url } => url,
        })
        .collect())
}
