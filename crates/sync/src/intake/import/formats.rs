//! The shapes of import files.
//!
//! Purpose: one [`Source`] per format reads a file product by product.
//! Promises: memory is bounded by the largest permitted product; every product passes [`super::parse`], so limits and
//! messages exist once.
//! Left out on purpose: ids that occur again later in the file (see [`super::Duplicates`]).

mod cells;
pub mod decimal;
pub mod google_merchant;
mod markup;
mod ndjson;
mod parts;
pub mod shopify;
pub mod table;
pub mod woocommerce;

use std::io;

use super::line::Refusal;
use crate::domain::record::ProductRecord;

pub use google_merchant::GoogleMerchant;
pub use ndjson::Ndjson;
pub use shopify::Shopify;
pub use woocommerce::WooCommerce;

/// A product of a file.
#[derive(Debug)]
pub struct Item {
    /// The line on which it begins, counted from 1.
    pub line: u64,
    /// The record, or everything that is wrong with it.
    pub record: Result<ProductRecord, Vec<Refusal>>,
}

/// Reads a file product by product.
pub trait Source {
    /// Returns the next product; `None` at the end of the file.
    ///
    /// # Errors
    /// When reading fails, or when what follows cannot be told apart into products.
    fn next_item(&mut self) -> io::Result<Option<Item>>;

    /// Returns the number of bytes read so far: the value of a progress bar.
    fn bytes_read(&self) -> u64;
}

/// Returns each product as JSON, or its refusals.
#[cfg(test)]
fn shown(mut source: impl Source) -> Vec<serde_json::Value> {
    let mut items = Vec::new();
    while let Some(Item { line, record }) = source.next_item().expect("memory does not fail") {
        items.push(match record {
            Ok(record) => serde_json::json!({ "line": line, "record": record }),
            Err(refusals) => {
                let refusals: Vec<String> = refusals.iter().map(ToString::to_string).collect();
                serde_json::json!({ "line": line, "refused": refusals })
            }
        });
    }
    items
}
