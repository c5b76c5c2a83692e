//! What the mapper reads: one product, one of its variants, the settings and the instant.
//!
//! The same structs are filled from the store's `variant_source` view, from an import line and from
//! `meta-catalog mapper map`. They hold what tables may hold (a null or negative price, any status
//! text); judging it is the mapper's job. Times are milliseconds since the Unix epoch, prices are
//! integer subunits (hundredths) of the configured currency.
//!
//! With feature `component` the same structs cross into a mapper module: their fields, names and order
//! are those of `mappers/wit/mapper.wit`, and loading any module fails when they are not.

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
    /// What else the shop knows of it, a JSON object: for mapper modules, the built-in mapping does not read it.
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
    /// What else the shop knows of it, a JSON object: for mapper modules, the built-in mapping does not read it.
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
#[cfg_attr(feature = "component", derive(wasmtime::component::ComponentType, wasmtime::component::Lower))]
#[cfg_attr(feature = "component", component(record))]
pub struct MapSettings {
    /// ISO 4217 code stamped on every price.
    pub currency: String,
    /// Public storefront origin.
    #[cfg_attr(feature = "component", component(name = "storefront-base-url"))]
    pub storefront_base_url: String,
    /// Path template; `{slug}` is replaced by the URL-encoded slug.
    #[cfg_attr(feature = "component", component(name = "storefront-product-path"))]
    pub storefront_product_path: String,
    /// `new`, `refurbished` or `used`.
    #[cfg_attr(feature = "component", component(name = "default-condition"))]
    pub default_condition: String,
    /// Whether `business_name` stands in for a missing brand.
    #[cfg_attr(feature = "component", component(name = "identifier-exists-fallback"))]
    pub identifier_exists_fallback: bool,
    /// Display name of the selected business.
    #[cfg_attr(feature = "component", component(name = "business-name"))]
    pub business_name: String,
    /// Cap of `title` in characters.
    #[cfg_attr(feature = "component", component(name = "title-max-length"))]
    pub title_max_length: u32,
    /// Cap of `description` in characters.
    #[cfg_attr(feature = "component", component(name = "description-max-length"))]
    pub description_max_length: u32,
    /// Prefix of bare object keys (`S3_PUBLIC_URL`).
    #[cfg_attr(feature = "component", component(name = "s3-public-url"))]
    pub s3_public_url: String,
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
        }
    }
}
