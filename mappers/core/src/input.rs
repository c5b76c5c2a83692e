//! The JSON side of the mapper: one line of `meta-catalog mapper map` in, one line out.
//!
//! In: `{now, settings, env:{S3_PUBLIC_URL}, product, variant, inventory, brand:{title}, vendor:{name},
//! categories:[title…], options:[{name,value}]}`. Out: `{"data":{…},"warnings":[…]}`,
//! `{"rejected":"<reason>"}` or `{"error":"product.title: expected text, got number"}`.
//!
//! Lenient where tables are: any part may be missing or null, keys we do not know are ignored, a setting
//! that is missing or null has its default, ids are texts or integers, flags are booleans or 0 and 1,
//! pictures are texts or objects with `url` or `key`, and a time is integer milliseconds or ISO 8601 with
//! any offset (none = UTC, a date alone = its midnight, `infinity` as in PostgreSQL). A stock record that
//! does not say whether it tracks does. `product.extra` and `variant.extra` are objects for mapper modules. `link`,
//! `condition` and `attributes` of both, and `currency` and `googleProductCategory` of the product, are what the shop says
//! for Meta itself ([`crate::GIVEN`]). Anything else of the wrong type is an error that names its path.
//!
//! `now` may be missing only where no sale window depends on it, and `variant.id` only where the answer
//! is a rejection.

mod section;
mod time;

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::GIVEN;
use crate::item::{Inventory, MapSettings, OptionValue, Product, Variant};
use crate::outcome::{Outcome, Warning};
use crate::payload::json;
use crate::trace::branch;
use section::{Section, elements};

/// What is wrong with a line, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// Path of the value, such as `product.images[2]`; empty for the line itself.
    pub path: String,
    /// What was expected and what was found.
    pub message: String,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for InputError {}

/// All that a line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// The instant to map at, in milliseconds since the Unix epoch.
    pub now: Option<i64>,
    /// The settings, defaults filled in.
    pub settings: MapSettings,
    /// The product, with brand, vendor and categories.
    pub product: Product,
    /// The variant, with stock and options.
    pub variant: Variant,
}

impl Item {
    /// Maps the item.
    ///
    /// # Errors
    /// When the answer needs `now` or `variant.id` and the line had none.
    pub fn map(&self) -> Result<Outcome, InputError> {
        let variant = &self.variant;
        let has_window = variant.special_price_start.or(variant.special_price_end).is_some();
        if self.now.is_none() && variant.special_price.is_some() && has_window {
            branch!("input.now_needed");
            return Err(missing("now", "the sale window needs it; give ISO 8601 or milliseconds"));
        }
        let outcome = crate::map(&self.settings, self.now.unwrap_or_default(), &self.product, variant);
        if matches!(outcome, Outcome::Mapped(_)) && variant.id.is_empty() {
            branch!("input.id_needed");
            return Err(missing("variant.id", "it becomes the item's id at Meta; give a text or an integer"));
        }
        Ok(outcome)
    }
}

/// Answers one line of `meta-catalog mapper map`, without a line break. Never panics.
///
/// ```
/// use mapper_core::input::map_line;
///
/// let line = r#"{"product":{"status":"active","visibility":"public"},"variant":{"price":29900}}"#;
/// assert_eq!(map_line(line), r#"{"rejected":"missing_storefront_slug"}"#);
/// assert_eq!(map_line(r#"{"product":{"title":5}}"#), r#"{"error":"product.title: expected text, got number"}"#);
/// ```
#[must_use]
pub fn map_line(line: &str) -> String {
    match read(line).and_then(|item| item.map()) {
        Ok(Outcome::Mapped(mapped)) => {
            format!(r#"{{"data":{},"warnings":{}}}"#, mapped.data, json::<[Warning]>(&mapped.warnings))
        }
        Ok(Outcome::Rejected(reason)) => json(&Rejected { rejected: reason.as_str() }),
        Err(error) => json(&Failed { error: error.to_string() }),
    }
}

#[derive(Serialize)]
struct Rejected {
    rejected: &'static str,
}

#[derive(Serialize)]
struct Failed {
    error: String,
}

/// Reads one line.
///
/// # Errors
/// When the line is not a JSON object, or a value in it has the wrong type.
pub fn read(line: &str) -> Result<Item, InputError> {
    let line: serde_json::Value = serde_json::from_str(line).map_err(|error| {
        branch!("input.not_json");
        InputError { path: String::new(), message: format!("the line is not JSON: {error}") }
    })?;
    let line = Section::whole(&line)?;
    Ok(Item { now: line.time("now")?, settings: settings(&line)?, product: product(&line)?, variant: variant(&line)? })
}

fn settings(line: &Section<'_>) -> Result<MapSettings, InputError> {
    let given = line.section("settings")?;
    let mut settings = MapSettings::default();
    let texts = [
        ("currency", &mut settings.currency),
        ("storefront_base_url", &mut settings.storefront_base_url),
        ("storefront_product_path", &mut settings.storefront_product_path),
        ("default_condition", &mut settings.default_condition),
        ("business_name", &mut settings.business_name),
    ];
    for (key, setting) in texts {
        if let Some(text) = given.text(key)? {
            branch!("input.setting_given");
            *setting = text;
        } else {
            branch!("input.setting_default");
        }
    }
    if let Some(flag) = given.flag("identifier_exists_fallback")? {
        settings.identifier_exists_fallback = flag;
    }
    if let Some(cap) = given.count("title_max_length")? {
        settings.title_max_length = cap;
    }
    if let Some(cap) = given.count("description_max_length")? {
        settings.description_max_length = cap;
    }
    if let Some(levels) = given.count("category_levels")? {
        settings.category_levels = levels;
    }
    if let Some(flag) = given.flag("additional_variant_attributes")? {
        settings.additional_variant_attributes = flag;
    }
    if let Some(synonyms) = given.texts_by_name("option_synonyms")? {
        settings.option_synonyms = synonyms;
    }
    if let Some(url) = line.section("env")?.text("S3_PUBLIC_URL")? {
        settings.s3_public_url = url;
    }
    Ok(settings)
}

fn product(line: &Section<'_>) -> Result<Product, InputError> {
    let product = line.section("product")?;
    let categories = line.list("categories")?;
    let categories = elements("categories", categories).map(|(path, title)| section::as_text(&path, title));
    Ok(Product {
        id: product.id("id")?.unwrap_or_default(),
        title: product.text("title")?,
        subtitle: product.text("subtitle")?,
        description: product.text("description")?,
        slug: product.text("slug")?,
        status: product.text("status")?,
        visibility: product.text("visibility")?,
        thumbnail: product.picture("thumbnail")?,
        images: product.pictures("images")?,
        deleted_at: product.time("deletedAt")?,
        vendor_name: line.section("vendor")?.text("name")?,
        brand_title: line.section("brand")?.text("title")?,
        categories: categories.collect::<Result<_, _>>()?,
        extra_json: extra(&product, &["link", "condition", "attributes", "currency", "googleProductCategory"])?,
    })
}

fn variant(line: &Section<'_>) -> Result<Variant, InputError> {
    let variant = line.section("variant")?;
    Ok(Variant {
        id: variant.id("id")?.unwrap_or_default(),
        sku: variant.text("sku")?,
        ean: variant.text("ean")?,
        upc: variant.text("upc")?,
        barcode: variant.text("barcode")?,
        price: variant.integer("price")?,
        special_price: variant.integer("specialPrice")?,
        special_price_start: variant.time("specialPriceStart")?,
        special_price_end: variant.time("specialPriceEnd")?,
        thumbnail: variant.picture("thumbnail")?,
        images: variant.pictures("images")?,
        deleted_at: variant.time("deletedAt")?,
        inventory: inventory(line)?,
        options: options(line)?,
        extra_json: extra(&variant, &["link", "condition", "attributes"])?,
    })
}

/// The `extra` of a product or variant, with what it says for Meta itself.
fn extra(section: &Section<'_>, keys: &[&str]) -> Result<Option<String>, InputError> {
    let extra = section.object("extra")?;
    let mut said = Map::new();
    for key in keys {
        let value = if *key == "attributes" {
            section.object(key)?.map(|object| Value::Object(object.clone()))
        } else {
            section.text(key)?.map(Value::String)
        };
        said.extend(value.map(|value| ((*key).to_owned(), value)));
    }
    if said.is_empty() {
        return Ok(extra.map(|extra| Value::Object(extra.clone()).to_string()));
    }
    branch!("input.given");
    let mut whole = extra.cloned().unwrap_or_default();
    whole.insert(GIVEN.to_owned(), Value::Object(said));
    Ok(Some(Value::Object(whole).to_string()))
}

fn inventory(line: &Section<'_>) -> Result<Option<Inventory>, InputError> {
    let stock = line.section("inventory")?;
    if stock.is_missing() {
        return Ok(None);
    }
    Ok(Some(Inventory {
        track_inventory: stock.flag("trackInventory")?.unwrap_or(true),
        quantity_on_hand: stock.integer("quantityOnHand")?.unwrap_or_default(),
        reserved_quantity: stock.integer("reservedQuantity")?.unwrap_or_default(),
        allow_backorder: stock.flag("allowBackorder")?.unwrap_or_default(),
    }))
}

fn options(line: &Section<'_>) -> Result<Vec<OptionValue>, InputError> {
    let mut options = Vec::new();
    for (path, value) in elements("options", line.list("options")?) {
        let option = Section::of(path, Some(value))?;
        if let (Some(name), Some(value)) = (option.text("name")?, option.text("value")?) {
            options.push(OptionValue { name, value });
        }
    }
    Ok(options)
}

fn missing(path: &str, why: &str) -> InputError {
    InputError { path: path.to_owned(), message: format!("missing; {why}") }
}
