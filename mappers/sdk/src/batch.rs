//! Mapping a whole batch at once, for the rare mapper that shares work between items.
//!
//! ```
//! use meta_catalog_mapper::batch::{BatchItem, each};
//! use meta_catalog_mapper::{Context, Outcome, Product, mapper, patch};
//!
//! mapper!(name: "labels", version: "1.0.0", batch: map_batch);
//!
//! fn map_batch(context: Context, products: Vec<Product>, items: Vec<BatchItem>) -> Vec<Outcome> {
//!     let initials: Vec<Option<char>> = products.iter().map(|p| p.title.as_deref()?.chars().next()).collect();
//!     items
//!         .iter()
//!         .map(|item| match initials[item.product_index as usize] {
//!             Some(initial) => patch().text("custom_label_4", initial.to_string()).into(),
//!             None => patch().into(),
//!         })
//!         .collect()
//! }
//! # fn main() {}
//! ```

pub use crate::bindings::catalog::mapper::types::Item as BatchItem;
use crate::{Context, Item, Outcome, Product};

/// Answers each item of a batch by itself, in order.
///
/// # Panics
/// When an item names a product that the batch lacks, which the service never does.
pub fn each<'a, T: Into<Outcome>>(
    context: &Context,
    products: &'a [Product],
    items: &'a [BatchItem],
    mut map: impl FnMut(&Context, &Item<'a>) -> T,
) -> Vec<Outcome> {
    (0..).zip(items).map(|(index, item)| map(context, &Item::of_batch(products, item, index)).into()).collect()
}
