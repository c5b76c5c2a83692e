//! A product with its variants, validated and ready for the tables.
//!
//! Times are milliseconds since the Unix epoch; prices are integer subunits (hundredths). The JSON form is a valid
//! import line: [`crate::intake::import::parse`] parses it to an equal record.

use mapper_core::{Inventory, OptionValue};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// A product and the variants that came with it.
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
    /// The seller.
    pub vendor: Option<VendorRef>,
    /// The maker.
    pub brand: Option<BrandRef>,
    /// The one category trail, root first. The parent of each category is the one before it.
    pub categories: Vec<CategoryRef>,
    /// Additional data for mapper modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<Map<String, Value>>,
    /// What the line says for Meta.
    #[serde(flatten)]
    pub given: Given,
    /// The variants on this line. Other variants of the product stay unchanged.
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
    /// Additional data for mapper modules, such as the cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<Map<String, Value>>,
    /// What the line says for Meta. A variant gives neither currency nor Google category.
    #[serde(flatten)]
    pub given: Given,
}

/// What a product or a variant says for Meta itself, beside what the built-in mapping makes of its other fields. What a
/// variant gives wins over what its product gives, field by field.
///
/// It is stored within `extra`, under [`mapper_core::GIVEN`], so the view of a platform's own tables and the contract of
/// mapper modules have it without a new column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Given {
    /// The page of the product or variant: an absolute http(s) URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// `new`, `refurbished` or `used`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The currency of the product's prices, as an ISO 4217 code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// A path or a number of Google's taxonomy, in place of the shop's own categories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub google_product_category: Option<String>,
    /// Fields of Meta that the built-in mapping does not make, by Meta's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Map<String, Value>>,
}

impl Given {
    /// Returns whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
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
    /// The parent category. `None` at the root.
    pub parent_id: Option<String>,
}

/// Returns an id for a named entity without an id: 16 hex digits that depend on `path` alone, so the same name on
/// another line, or in another run, results in the same id.
#[must_use]
pub fn derived_id(path: &[&str]) -> String {
    let mut hash = Sha256::new();
    for (index, part) in path.iter().enumerate() {
        if index > 0 {
            // A line contains no NUL, so ["a", "bc"] and ["ab", "c"] result in different ids.
            hash.update([0]);
        }
        hash.update(part.as_bytes());
    }
    let mut id = hex::encode(hash.finalize());
    id.truncate(16);
    id
}

/// Returns the text that the search of the listing examines: the case-folded parts, one per line.
///
/// Search terms must be folded with this same function. Case is folded here instead of in SQL, because SQLite folds
/// only ASCII and PostgreSQL folds by locale. It is folded character by character, because folding a whole text depends
/// on neighbouring characters (a final sigma), which would hide a match inside a word.
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
        // Stored ids must not change when the code does.
        assert_eq!(derived_id(&["abc"]), "ba7816bf8f01cfea");
    }

    #[test]
    fn search_keys_fold_case_beyond_ascii_and_without_context() {
        assert_eq!(search_key(&["Ärmel", "SKU-1"]), "ärmel\nsku-1");
        assert!(search_key(&["ΟΔΟΣΑ"]).contains(&search_key(&["ΟΔΟΣ"])));
        assert_eq!(search_key(&[]), "");
    }
}
