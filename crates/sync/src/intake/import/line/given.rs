//! What a line says for Meta: `link`, `condition`, `currency`, `googleProductCategory` and `attributes`.

use mapper_core::{ATTRIBUTES, check_attribute};
use serde_json::{Map, Value};

use super::json::Path;
use super::object::{Limit, Object, Problems};
use crate::domain::record::Given;
use crate::report::clip;

const LINK: Limit = Limit::Chars(2_000);
const CATEGORY: Limit = Limit::Chars(250);
const MAX_ATTRIBUTES_BYTES: usize = 16 * 1024;

/// Reads what a product says.
pub(super) fn of_product(object: &mut Object<'_, '_>, problems: &mut Problems) -> Given {
    Given {
        currency: object.currency("currency", problems),
        google_product_category: object.text("googleProductCategory", CATEGORY, problems),
        ..of_variant(object, problems)
    }
}

/// Reads what a variant says.
pub(super) fn of_variant(object: &mut Object<'_, '_>, problems: &mut Problems) -> Given {
    Given {
        link: link(object, problems),
        condition: object.optional_choice("condition", &["new", "refurbished", "used"], problems),
        attributes: attributes(object, problems),
        ..Given::default()
    }
}

fn link(object: &mut Object<'_, '_>, problems: &mut Problems) -> Option<String> {
    let link = object.text("link", LINK, problems)?;
    let is_web =
        url::Url::parse(link.trim()).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !is_web {
        let message = format_args!("must be an absolute http or https URL, got {:?}", clip(&link, 100));
        problems.report(object.path().field("link"), message);
        return None;
    }
    Some(link)
}

/// Reads the attributes, each in its canonical form. An empty value counts as absent.
fn attributes(object: &mut Object<'_, '_>, problems: &mut Problems) -> Option<Map<String, Value>> {
    let given = object.extra("attributes", MAX_ATTRIBUTES_BYTES, problems)?;
    let path = object.path().field("attributes");
    let mut checked = Map::new();
    for (name, value) in given {
        match attribute(&name, &value, path, problems) {
            Some(value) => checked.insert(name, value),
            None => continue,
        };
    }
    (!checked.is_empty()).then_some(checked)
}

fn attribute(name: &str, value: &Value, path: Path<'_>, problems: &mut Problems) -> Option<Value> {
    let is_known = mapper_core::attribute(name).is_some();
    if !is_known {
        problems.report(path.field(name), unknown(name));
        return None;
    }
    let is_empty = match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    if is_empty {
        return None;
    }
    match check_attribute(name, value) {
        Ok((_, value)) => Some(value),
        Err(problem) => {
            problems.report(path.field(name), format_args!("{problem}, got {}", clip(&value.to_string(), 60)));
            None
        }
    }
}

/// The message for a name that is no attribute.
fn unknown(name: &str) -> String {
    if let Some(instead) = made_from(name) {
        return format!("is made of other fields of the line; write {instead}");
    }
    let nearest = ATTRIBUTES
        .iter()
        .map(|spec| (strsim::damerau_levenshtein(&name.to_lowercase(), spec.name), spec.name))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 3);
    match nearest {
        Some((_, nearest)) => format!("is no field that Meta documents; write {nearest}"),
        None => {
            let known: Vec<&str> = ATTRIBUTES.iter().map(|spec| spec.name).collect();
            format!("is no field that Meta documents; known fields are {}", known.join(", "))
        }
    }
}

/// The fields of a line that the built-in mapper makes a field of Meta from.
fn made_from(name: &str) -> Option<&'static str> {
    Some(match name {
        "id" => "the id of the variant",
        "title" => "title",
        "description" => "description",
        "link" => "link beside attributes",
        "image_link" | "additional_image_link" | "image" => "thumbnail and images",
        "availability" => "inventory",
        "price" => "price",
        "sale_price" => "specialPrice",
        "sale_price_effective_date" => "specialPriceStart and specialPriceEnd",
        "condition" => "condition beside attributes",
        "brand" => "brand",
        "gtin" => "ean, upc or barcode",
        "mpn" => "sku",
        "item_group_id" => "the id of the product",
        "google_product_category" => "googleProductCategory beside attributes, or categories",
        "custom_label_0" => "vendor",
        "custom_label_1" => "brand",
        _ => return None,
    })
}
