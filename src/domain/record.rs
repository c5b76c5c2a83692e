//! A product with its variants, checked and ready for the tables.
//!
//! Times are milliseconds since the Unix epoch, prices integer subunits (hundredths). The JSON form
//! is itself an import line: [`crate::intake::import::parse`] reads it back equal.

use mapper_core::{Inventory, OptionValue};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// A product and the variants that were given with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductRecord {
    /// Stable id, 1 to 100 characters.
    pub id: String,
    /// Display title; may be empty.
    pub title: String,
    /// Short text.
    pub subtitle: Option<String>,
    /// Long text, may be HTML.
    pub description: Option<String>,
    /// Path segment of the storefront page.
    pub slug: Option<String>,
    /// `draft`, `active` or `archived`.
    pub status: String,
    /// `public` or `private`.
    pub visibility: String,
    /// Main image: an object key or an absolute URL.
    pub thumbnail: Option<String>,
    /// Further images: object keys or absolute URLs.
    pub images: Vec<String>,
    /// When the product was soft-deleted.
    pub deleted_at: Option<i64>,
    /// Who sells it.
    pub vendor: Option<VendorRef>,
    /// Who makes it.
    pub brand: Option<BrandRef>,
    /// The one category trail, root first; each one's parent is the one before it.
    pub categories: Vec<CategoryRef>,
    /// What mapper modules may want to know besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<Map<String, Value>>,
    /// The variants on this line; others of the product stay as they are.
    pub variants: Vec<VariantRecord>,
}

/// One variant of a [`ProductRecord`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VariantRecord {
    /// Stable id, 1 to 100 characters; becomes Meta's retailer id.
    pub id: String,
    /// Stock keeping unit.
    pub sku: Option<String>,
    /// European article number.
    pub ean: Option<String>,
    /// Universal product code.
    pub upc: Option<String>,
    /// Any other barcode.
    pub barcode: Option<String>,
    /// Regular price in subunits, not negative.
    pub price: Option<i64>,
    /// Sale price in subunits, not negative.
    pub special_price: Option<i64>,
    /// Start of the sale, inclusive.
    pub special_price_start: Option<i64>,
    /// End of the sale, exclusive.
    pub special_price_end: Option<i64>,
    /// Main image: an object key or an absolute URL.
    pub thumbnail: Option<String>,
    /// Further images: object keys or absolute URLs.
    pub images: Vec<String>,
    /// When the variant was soft-deleted.
    pub deleted_at: Option<i64>,
    /// Options such as Colour = Red, in the line's order.
    pub options: Vec<OptionValue>,
    /// Stock record, if the shop keeps one.
    pub inventory: Option<Inventory>,
    /// What mapper modules may want to know besides, such as the cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<Map<String, Value>>,
}

/// The seller of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VendorRef {
    /// Given on the line, or derived from the name.
    pub id: String,
    /// Display name.
    pub name: String,
}

/// The maker of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrandRef {
    /// Given on the line, or derived from the title.
    pub id: String,
    /// Display title.
    pub title: String,
}

/// One step of a category trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CategoryRef {
    /// Given on the line, or derived from the titles from the root down to here.
    pub id: String,
    /// Display title.
    pub title: String,
    /// The category above; `None` at the root.
    pub parent_id: Option<String>,
}

/// An id for something that was named but given none: 16 hex digits that depend on `path` alone, so
/// the same name on another line, or in another run, is the same thing.
#[must_use]
pub fn derived_id(path: &[&str]) -> String {
    let mut hash = Sha256::new();
    for (index, part) in path.iter().enumerate() {
        if index > 0 {
            // No text of a line holds NUL, so ["a", "bc"] and ["ab", "c"] stay apart.
            hash.update([0]);
        }
        hash.update(part.as_bytes());
    }
    let mut id = hex::encode(hash.finalize());
    id.truncate(16);
    id
}

/// What the listing's search looks into: the parts with their case folded, one below the other.
///
/// Fold a search term with this same function. Case is folded here and not in SQL because SQLite
/// folds ASCII only and PostgreSQL by locale; and character by character, because the folding of a
/// whole text depends on neighbours (a final sigma), which would hide a match inside a word.
#[must_use]
pub fn search_key(parts: &[&str]) -> String {
    parts.join("\n").chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_depend_on_the_whole_path_and_its_cuts() {
        let id = derived_id(&["Root", "Leaf"]);
        assert_eq!(id.len(), 16);
        assert!(id.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(id, derived_id(&["Root", "Leaf"]));
        assert_ne!(id, derived_id(&["Leaf"]));
        assert_ne!(derived_id(&["a", "bc"]), derived_id(&["ab", "c"]));
        // Stored ids must not move when the code does.
        assert_eq!(derived_id(&["abc"]), "ba7816bf8f01cfea");
    }

    #[test]
    fn search_keys_fold_case_beyond_ascii_and_without_context() {
        assert_eq!(search_key(&["Ärmel", "SKU-1"]), "ärmel\nsku-1");
        assert!(search_key(&["ΟΔΟΣΑ"]).contains(&search_key(&["ΟΔΟΣ"])));
        assert_eq!(search_key(&[]), "");
    }
}
