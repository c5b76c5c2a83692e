//! What the mapper reads: one product, one of its variants, the settings and the instant.
//!
//! The same structs are filled from the store's `variant_source` view, from an import line and from
//! `meta-catalog mapper map`. They hold what tables may hold (a null or negative price, any status
//! text); judging it is the mapper's job. Times are milliseconds since the Unix epoch, prices are
//! integer subunits (hundredths) of the configured currency.
//!
//! With feature `component` products and variants cross into a mapper module as they are: their fields, names and order
//! are those of `mappers/wit/mapper.wit`, and loading any module fails when they are not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A product, shared by its variants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "component", derive(wasmtime::component::ComponentType, wasmtime::component::Lower))]
#[cfg_attr(feature = "component", component(record))]
pub struct Product {
    /// Stable id; becomes `item_group_id`.
    pub id: String,
    /// Display title, shared by all variants.
    pub title: Option<String>,
    /// Short text, second choice for the description.
    pub subtitle: Option<String>,
    /// Long text, may be HTML.
    pub description: Option<String>,
    /// Path segment of the storefront page.
    pub slug: Option<String>,
    /// `draft`, `active` or `archived`; anything else counts as not active.
    pub status: Option<String>,
    /// `public` or `private`; anything else counts as not public.
    pub visibility: Option<String>,
    /// Main image: an object key or an absolute URL.
    pub thumbnail: Option<String>,
    /// Further images: object keys or absolute URLs.
    pub images: Vec<String>,
    /// When the product was soft-deleted.
    #[cfg_attr(feature = "component", component(name = "deleted-at"))]
    pub deleted_at: Option<i64>,
    /// Name of the selling vendor.
    #[cfg_attr(feature = "component", component(name = "vendor-name"))]
    pub vendor_name: Option<String>,
    /// Title of the brand.
    #[cfg_attr(feature = "component", component(name = "brand-title"))]
    pub brand_title: Option<String>,
    /// Category titles, root first.
    pub categories: Vec<String>,
    /// What else the shop knows of it, a JSON object: for mapper modules; the built-in mapping reads [`crate::GIVEN`] of it.
    #[cfg_attr(feature = "component", component(name = "extra-json"))]
    pub extra_json: Option<String>,
}

/// A sellable variant of a [`Product`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "component", derive(wasmtime::component::ComponentType, wasmtime::component::Lower))]
#[cfg_attr(feature = "component", component(record))]
pub struct Variant {
    /// Stable id; becomes Meta's retailer id.
    pub id: String,
    /// Stock keeping unit; becomes `mpn`.
    pub sku: Option<String>,
    /// European article number, first choice for `gtin`.
    pub ean: Option<String>,
    /// Universal product code, second choice for `gtin`.
    pub upc: Option<String>,
    /// Any other barcode, third choice for `gtin`.
    pub barcode: Option<String>,
    /// Regular price in subunits.
    pub price: Option<i64>,
    /// Sale price in subunits.
    #[cfg_attr(feature = "component", component(name = "special-price"))]
    pub special_price: Option<i64>,
    /// Start of the sale, inclusive.
    #[cfg_attr(feature = "component", component(name = "special-price-start"))]
    pub special_price_start: Option<i64>,
    /// End of the sale, exclusive.
    #[cfg_attr(feature = "component", component(name = "special-price-end"))]
    pub special_price_end: Option<i64>,
    /// Main image: an object key or an absolute URL.
    pub thumbnail: Option<String>,
    /// Further images: object keys or absolute URLs.
    pub images: Vec<String>,
    /// When the variant was soft-deleted.
    #[cfg_attr(feature = "component", component(name = "deleted-at"))]
    pub deleted_at: Option<i64>,
    /// Stock record, if the shop keeps one.
    pub inventory: Option<Inventory>,
    /// Resolved options, such as Colour = Red.
    pub options: Vec<OptionValue>,
    /// What else the shop knows of it, a JSON object: for mapper modules; the built-in mapping reads [`crate::GIVEN`] of it.
    #[cfg_attr(feature = "component", component(name = "extra-json"))]
    pub extra_json: Option<String>,
}

/// A variant to map, with its product by index: products are stored, and sent to a module, once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "component", derive(wasmtime::component::ComponentType, wasmtime::component::Lower))]
#[cfg_attr(feature = "component", component(record))]
pub struct Item {
    /// Index into the products of the batch.
    #[cfg_attr(feature = "component", component(name = "product-index"))]
    pub product_index: u32,
    /// The variant.
    pub variant: Variant,
}

/// The stock record of a variant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "component", derive(wasmtime::component::ComponentType, wasmtime::component::Lower))]
#[cfg_attr(feature = "component", component(record))]
pub struct Inventory {
    /// When false, quantities are ignored and the variant is in stock.
    #[cfg_attr(feature = "component", component(name = "track-inventory"))]
    pub track_inventory: bool,
    /// Units in the warehouse.
    #[cfg_attr(feature = "component", component(name = "quantity-on-hand"))]
    pub quantity_on_hand: i64,
    /// Units promised to orders.
    #[cfg_attr(feature = "component", component(name = "reserved-quantity"))]
    pub reserved_quantity: i64,
    /// Whether orders are taken without stock.
    #[cfg_attr(feature = "component", component(name = "allow-backorder"))]
    pub allow_backorder: bool,
}

/// One resolved option of a variant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "component", derive(wasmtime::component::ComponentType, wasmtime::component::Lower))]
#[cfg_attr(feature = "component", component(record))]
pub struct OptionValue {
    /// Option name as the shop writes it, such as `Colour`.
    pub name: String,
    /// The variant's value, such as `Red`.
    pub value: String,
}

/// The settings that shape a payload. Defaults are the seed's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapSettings {
    /// ISO 4217 code stamped on every price.
    pub currency: String,
    /// Public storefront origin.
    pub storefront_base_url: String,
    /// Path template; `{slug}`, `{variantId}`, `{productId}` and `{sku}` are replaced by the URL-encoded values.
    pub storefront_product_path: String,
    /// `new`, `refurbished` or `used`.
    pub default_condition: String,
    /// Whether `business_name` stands in for a missing brand.
    pub identifier_exists_fallback: bool,
    /// Display name of the selected business.
    pub business_name: String,
    /// Cap of `title` in characters.
    pub title_max_length: u32,
    /// Cap of `description` in characters.
    pub description_max_length: u32,
    /// Prefix of bare object keys (`S3_PUBLIC_URL`).
    pub s3_public_url: String,
    /// How many categories of the trail are sent, the deepest ones; 0 = the whole trail.
    pub category_levels: u32,
    /// Whether the options that are none of the four attributes are sent as `additional_variant_attribute`.
    pub additional_variant_attributes: bool,
    /// The shop's own option names, each with `color`, `size`, `material` or `pattern`.
    pub option_synonyms: BTreeMap<String, String>,
}

/// The settings that version 1 of the module contract has no field for. They cross in its `extra-json`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Beyond {
    category_levels: u32,
    additional_variant_attributes: bool,
    option_synonyms: BTreeMap<String, String>,
}

impl Default for Beyond {
    fn default() -> Self {
        Self::of(MapSettings::default())
    }
}

impl Beyond {
    fn of(settings: MapSettings) -> Self {
        let MapSettings { category_levels, additional_variant_attributes, option_synonyms, .. } = settings;
        Self { category_levels, additional_variant_attributes, option_synonyms }
    }
}

impl MapSettings {
    /// Returns the settings that cross to a mapper module in `context.extra-json`; `None` while all have their defaults.
    #[must_use]
    pub fn extra_json(&self) -> Option<String> {
        let beyond = Beyond::of(self.clone());
        (beyond != Beyond::default()).then(|| crate::payload::json(&beyond))
    }

    /// Takes the settings that [`Self::extra_json`] wrote. What cannot be read is ignored.
    #[must_use]
    pub fn with_extra_json(self, extra: Option<&str>) -> Self {
        let beyond: Beyond = extra.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let Beyond { category_levels, additional_variant_attributes, option_synonyms } = beyond;
        Self { category_levels, additional_variant_attributes, option_synonyms, ..self }
    }
}

impl Default for MapSettings {
    fn default() -> Self {
        Self {
            currency: "INR".into(),
            storefront_base_url: String::new(),
            storefront_product_path: "/product/{slug}".into(),
            default_condition: "new".into(),
            identifier_exists_fallback: false,
            business_name: String::new(),
            title_max_length: 200,
            description_max_length: 9999,
            s3_public_url: String::new(),
            category_levels: 3,
            additional_variant_attributes: false,
            option_synonyms: BTreeMap::new(),
        }
    }
}
