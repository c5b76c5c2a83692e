//! One line of an import file: turns bytes into a checked [`ProductRecord`] or into all refusals.
//!
//! The reader is strict on purpose. Otherwise a misspelt field, a price in rupees instead of paise or a time without
//! its offset would silently become a wrong price in a public shop.

mod given;
mod json;
mod object;

use std::collections::HashMap;
use std::fmt;

use jiff::tz::TimeZone;

use mapper_core::{GIVEN, Inventory, OptionValue};
use serde_json::{Map, Value};

use self::json::{Node, Path, Quoted};
use self::object::{Limit, Object, Problems, text};
use crate::domain::record::{BrandRef, CategoryRef, ProductRecord, VariantRecord, VendorRef, derived_id};

/// Maximum length of a line, in bytes without its line end.
pub const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

const TITLE: Limit = Limit::Chars(10_000);
const DESCRIPTION: Limit = Limit::Bytes(1_000_000);
/// Limit of codes, slugs and names, which may be index keys: a PostgreSQL index key has at most 2,704 bytes, and a
/// character has at most 4 bytes.
const SHORT: Limit = Limit::Chars(500);
/// Limit of an image URL: long enough for a signed URL.
const IMAGE: Limit = Limit::Chars(10_000);

const MAX_VARIANTS: usize = 10_000;
const MAX_IMAGES: usize = 1_000;
const MAX_OPTIONS: usize = 100;
/// The depth to which the source view follows parents.
const MAX_CATEGORIES: usize = 20;
/// Limit of the JSON text. It is copied into a mapper module with every batch of variants.
const MAX_EXTRA_BYTES: usize = 16 * 1024;

/// One problem of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The place, such as `variants[0].price`; empty for the line as a whole.
    pub path: String,
    /// What is wrong and what would be correct; never empty, without line breaks.
    pub message: String,
}

impl Refusal {
    /// Returns a refusal of the line as a whole.
    pub(super) fn of_line(message: String) -> Self {
        Self { path: String::new(), message }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Reads one line whose dates without a time are days of UTC; see [`parse_in`].
///
/// # Errors
/// As [`parse_in`].
pub fn parse(line: &[u8]) -> Result<ProductRecord, Vec<Refusal>> {
    parse_in(line, &TimeZone::UTC)
}

/// Reads one line whose dates without a time are days in this time zone. `null` means the same as an absent field; a
/// leading byte order mark is skipped.
///
/// # Errors
/// Returns the first 20 problems of the line in reading order, each with its place, and the number of the remaining
/// ones.
pub fn parse_in(line: &[u8], zone: &TimeZone) -> Result<ProductRecord, Vec<Refusal>> {
    let node = syntax(line).map_err(|message| vec![Refusal::of_line(message)])?;
    let mut problems = Problems::none(zone);
    let record = product(node, &mut problems);
    problems.finish()?;
    // Without a problem there is always a record; returning a refusal instead of unwrapping avoids a panic.
    record.ok_or_else(|| vec![Refusal::of_line("must be an object".into())])
}

/// Returns the refusal of a line that is too long.
pub(super) fn too_long() -> Refusal {
    Refusal::of_line(format!("is too long: at most {MAX_LINE_BYTES} bytes are allowed"))
}

fn syntax(line: &[u8]) -> Result<Node<'_>, String> {
    if line.len() > MAX_LINE_BYTES {
        return Err(too_long().message);
    }
    let text =
        std::str::from_utf8(line).map_err(|e| format!("is not UTF-8: invalid at byte offset {}", e.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str(text).map_err(|error| {
        // The caller reports the line number of the file; within one line only the column is useful.
        let place = format!(" at line {} column {}", error.line(), error.column());
        let reason = error.to_string();
        let reason = reason.strip_suffix(&place).unwrap_or(&reason);
        format!("is not valid JSON at column {}: {reason}", error.column())
    })
}

fn product(node: Node<'_>, problems: &mut Problems) -> Option<ProductRecord> {
    const KNOWN: &[&str] = &[
        "id",
        "title",
        "subtitle",
        "description",
        "slug",
        "status",
        "visibility",
        "thumbnail",
        "images",
        "deletedAt",
        "vendor",
        "brand",
        "categories",
        "extra",
        "link",
        "condition",
        "currency",
        "googleProductCategory",
        "attributes",
        "variants",
    ];
    let root = Path::Root;
    let mut object = Object::open(node, &root, KNOWN, problems)?;
    Some(ProductRecord {
        id: object.required_id("id", problems),
        title: object.required_text("title", TITLE, problems),
        subtitle: object.text("subtitle", TITLE, problems),
        description: object.text("description", DESCRIPTION, problems),
        slug: object.text("slug", SHORT, problems),
        status: object.choice("status", &["draft", "active", "archived"], problems),
        visibility: object.choice("visibility", &["public", "private"], problems),
        thumbnail: object.text("thumbnail", IMAGE, problems),
        images: object.texts("images", MAX_IMAGES, IMAGE, problems),
        deleted_at: object.time("deletedAt", problems),
        vendor: named(&mut object, "vendor", &["id", "name"], problems).map(|(id, name)| VendorRef { id, name }),
        brand: named(&mut object, "brand", &["id", "title"], problems).map(|(id, title)| BrandRef { id, title }),
        categories: categories(&mut object, problems),
        extra: extra(&mut object, problems),
        given: given::of_product(&mut object, problems),
        variants: variants(&mut object, problems),
    })
}

/// Reads the shop's own fields for mapper modules.
fn extra(object: &mut Object<'_, '_>, problems: &mut Problems) -> Option<Map<String, Value>> {
    let extra = object.extra("extra", MAX_EXTRA_BYTES, problems)?;
    if extra.contains_key(GIVEN) {
        problems.report(
            object.path().field("extra").field(GIVEN),
            "is reserved for what the line says for Meta; write link, condition, currency, googleProductCategory or \
             attributes beside extra, or use another name",
        );
    }
    Some(extra)
}

/// Reads a vendor or brand: `{id?, name}`; `known` contains the names of the two fields.
fn named(
    object: &mut Object<'_, '_>,
    field: &str,
    known: &'static [&'static str; 2],
    problems: &mut Problems,
) -> Option<(String, String)> {
    let node = object.take(field)?;
    let path = object.path().field(field);
    let mut object = Object::open(node, &path, known, problems)?;
    let id = object.id(known[0], problems);
    let name = object.required_text(known[1], SHORT, problems);
    Some((id.unwrap_or_else(|| derived_id(&[&name])), name))
}

/// Reads the category path, root first: titles, or objects `{id?, title, parentId?}`.
fn categories(object: &mut Object<'_, '_>, problems: &mut Problems) -> Vec<CategoryRef> {
    const KNOWN: &[&str] = &["id", "title", "parentId"];
    let nodes = object.list("categories", MAX_CATEGORIES, problems);
    let path = object.path().field("categories");
    let mut trail: Vec<CategoryRef> = Vec::with_capacity(nodes.len());
    for (at, node) in nodes.into_iter().enumerate() {
        let path = path.index(at);
        let parent_id = trail.last().map(|above| above.id.clone());
        let (id, title) = if let Node::Text(_) = node {
            (None, text(node, path, SHORT, problems).unwrap_or_default())
        } else {
            let Some(mut object) = Object::open(node, &path, KNOWN, problems) else {
                continue;
            };
            let id = object.id("id", problems);
            let title = object.required_text("title", SHORT, problems);
            let given = object.id("parentId", problems);
            if given.is_some() && given != parent_id {
                problems.report(
                    path.field("parentId"),
                    "must be the id of the category before it in the list (left out for the first)",
                );
            }
            (id, title)
        };
        let id = id.unwrap_or_else(|| {
            let mut titles: Vec<&str> = trail.iter().map(|c| c.title.as_str()).collect();
            titles.push(&title);
            derived_id(&titles)
        });
        if let Some(first) = trail.iter().position(|c| c.id == id) {
            let message = format_args!("is already the id of categories[{first}]");
            problems.report(path.field("id"), message);
        }
        trail.push(CategoryRef { id, title, parent_id });
    }
    trail
}

fn variants(object: &mut Object<'_, '_>, problems: &mut Problems) -> Vec<VariantRecord> {
    let nodes = object.list("variants", MAX_VARIANTS, problems);
    let path = object.path().field("variants");
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(nodes.len());
    let mut variants = Vec::with_capacity(nodes.len());
    for (at, node) in nodes.into_iter().enumerate() {
        let path = path.index(at);
        let Some(variant) = variant(node, &path, problems) else {
            continue;
        };
        if !variant.id.is_empty()
            && let Some(first) = seen.insert(variant.id.clone(), at)
        {
            let id = Quoted(&variant.id);
            let message = format_args!("{id} is already the id of variants[{first}]");
            problems.report(path.field("id"), message);
        }
        variants.push(variant);
    }
    variants
}

fn variant(node: Node<'_>, path: &Path<'_>, problems: &mut Problems) -> Option<VariantRecord> {
    const KNOWN: &[&str] = &[
        "id",
        "sku",
        "ean",
        "upc",
        "barcode",
        "price",
        "specialPrice",
        "specialPriceStart",
        "specialPriceEnd",
        "thumbnail",
        "images",
        "deletedAt",
        "options",
        "inventory",
        "extra",
        "link",
        "condition",
        "attributes",
    ];
    let mut object = Object::open(node, path, KNOWN, problems)?;
    Some(VariantRecord {
        id: object.required_id("id", problems),
        sku: object.text("sku", SHORT, problems),
        ean: object.text("ean", SHORT, problems),
        upc: object.text("upc", SHORT, problems),
        barcode: object.text("barcode", SHORT, problems),
        price: object.price("price", problems),
        special_price: object.price("specialPrice", problems),
        special_price_start: object.time("specialPriceStart", problems),
        special_price_end: object.end("specialPriceEnd", problems),
        thumbnail: object.text("thumbnail", IMAGE, problems),
        images: object.texts("images", MAX_IMAGES, IMAGE, problems),
        deleted_at: object.time("deletedAt", problems),
        options: options(&mut object, problems),
        inventory: inventory(&mut object, problems),
        extra: extra(&mut object, problems),
        given: given::of_variant(&mut object, problems),
    })
}

fn options(object: &mut Object<'_, '_>, problems: &mut Problems) -> Vec<OptionValue> {
    let nodes = object.list("options", MAX_OPTIONS, problems);
    let path = object.path().field("options");
    let mut options: Vec<OptionValue> = Vec::with_capacity(nodes.len());
    for (at, node) in nodes.into_iter().enumerate() {
        let path = path.index(at);
        let Some(mut object) = Object::open(node, &path, &["name", "value"], problems) else {
            continue;
        };
        let name = object.required_text("name", SHORT, problems);
        let value = object.required_text("value", SHORT, problems);
        if options.iter().any(|option| option.name == name) {
            let message = format_args!("{} is given twice", Quoted(&name));
            problems.report(path.field("name"), message);
        }
        options.push(OptionValue { name, value });
    }
    options
}

/// Reads a stock record. Without one, the variant is tracked, has no stock and accepts no backorders: the only default
/// that cannot sell stock that the shop does not have.
fn inventory(object: &mut Object<'_, '_>, problems: &mut Problems) -> Option<Inventory> {
    const KNOWN: &[&str] = &["trackInventory", "quantityOnHand", "reservedQuantity", "allowBackorder"];
    let node = object.take("inventory")?;
    let path = object.path().field("inventory");
    let mut object = Object::open(node, &path, KNOWN, problems)?;
    Some(Inventory {
        track_inventory: object.flag("trackInventory", true, problems),
        quantity_on_hand: object.quantity("quantityOnHand", problems),
        reserved_quantity: object.quantity("reservedQuantity", problems),
        allow_backorder: object.flag("allowBackorder", false, problems),
    })
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
