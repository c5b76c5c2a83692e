//! Reads the shop's catalog through the view `variant_source`.
//!
//! The view is the contract: a platform with its own schema replaces the view and keeps its tables. The values of such
//! a view are read leniently. A row that cannot be read is reported with its reason and does not affect other rows.

use std::collections::HashMap;

use mapper_core::{Inventory, Item, OptionValue, Product, Variant};
use serde::Deserialize;

use super::{Result, Tx, fetch_all, json};

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
struct SourceRow {
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
    options: Option<String>,
    track_inventory: Option<bool>,
    quantity_on_hand: Option<i64>,
    reserved_quantity: Option<i64>,
    allow_backorder: Option<bool>,
    extra: Option<String>,
    product_extra: Option<String>,
}

/// Loads the rows of these variants. Variants that the source does not have are missing in the result.
///
/// # Errors
/// When the database query fails.
pub async fn load(tx: &mut Tx, variants: &[&str]) -> Result<SourceBatch> {
    // JSON columns are read as text, because one unreadable value must not fail the batch. Numbers are widened, because
    // a platform's view may have narrower types.
    let rows: Vec<SourceRow> = fetch_all!(
        tx,
        SourceRow,
        "SELECT variant_id, product_id, sku, ean, upc, barcode, CAST(price AS BIGINT) AS price,
             CAST(special_price AS BIGINT) AS special_price, CAST(special_price_start AS BIGINT) AS special_price_start,
             CAST(special_price_end AS BIGINT) AS special_price_end, thumbnail, CAST(images AS TEXT) AS images,
             CAST(deleted_at AS BIGINT) AS deleted_at, product_title, product_subtitle, product_description,
             product_slug, product_status, product_visibility, product_thumbnail,
             CAST(product_images AS TEXT) AS product_images, CAST(product_deleted_at AS BIGINT) AS product_deleted_at,
             vendor_name, brand_title, CAST(categories AS TEXT) AS categories, CAST(options AS TEXT) AS options,
             track_inventory, CAST(quantity_on_hand AS BIGINT) AS quantity_on_hand,
             CAST(reserved_quantity AS BIGINT) AS reserved_quantity, allow_backorder,
             CAST(extra AS TEXT) AS extra, CAST(product_extra AS TEXT) AS product_extra
         FROM variant_source WHERE variant_id IN (SELECT id FROM @ids($1) AS wanted)",
        json(variants)?
    )?;
    let mut batch = SourceBatch { items: Vec::with_capacity(rows.len()), ..SourceBatch::default() };
    let mut known: HashMap<String, u32> = HashMap::new();
    for row in rows {
        let variant_id = row.variant_id.clone();
        if let Err(reason) = take(&mut batch, &mut known, row) {
            batch.unreadable.push((variant_id, reason));
        }
    }
    Ok(batch)
}

fn take(batch: &mut SourceBatch, known: &mut HashMap<String, u32>, row: SourceRow) -> std::result::Result<(), String> {
    let product_index = match known.get(&row.product_id) {
        Some(&index) => index,
        None => {
            batch.products.push(Product {
                id: row.product_id.clone(),
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
            });
            let index = u32::try_from(batch.products.len() - 1)
                .map_err(|_| "more products than one batch can hold".to_owned())?;
            known.insert(row.product_id, index);
            index
        }
    };
    let inventory = row.track_inventory.map(|track_inventory| Inventory {
        track_inventory,
        quantity_on_hand: row.quantity_on_hand.unwrap_or_default(),
        reserved_quantity: row.reserved_quantity.unwrap_or_default(),
        allow_backorder: row.allow_backorder.unwrap_or_default(),
    });
    let variant = Variant {
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
    };
    batch.items.push(Item { product_index, variant });
    Ok(())
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
