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
    if let Some(now) = renamed(name) {
        return format!("is an old name of Meta's; write {now}");
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

/// What a field is called now that Meta once called otherwise.
fn renamed(name: &str) -> Option<&'static str> {
    Some(match name {
        "inventory" => "quantity_to_sell_on_facebook, or inventory beside attributes",
        "product_tags" => "internal_label",
        "visibility" => "status, or visibility beside attributes",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use mapper_core::{AttributeKind, Part, PartKind};

    use super::*;

    const HEAD: &str = "# What a line says for Meta\n\n\
        The built-in mapper makes most of Meta's fields of the shop's own: title, price, pictures, stock. Beside them a line of\n\
        `meta-catalog import` may say for Meta itself:\n\n\
        | field | of | what it does |\n|---|---|---|\n\
        | `link` | product, variant | the page: an absolute http or https URL, in place of `storefront_product_path`; a slug is \
        not needed then |\n\
        | `condition` | product, variant | `new`, `refurbished` or `used`, in place of the setting `default_condition` |\n\
        | `currency` | product | the currency of the prices; where it is not the setting `currency` the product is skipped \
        (`currency_mismatch`), since prices are not converted |\n\
        | `googleProductCategory` | product | a path or a number of Google's taxonomy, in place of the shop's `categories` |\n\
        | `attributes` | product, variant | the fields of Meta below |\n\n\
        What a variant says wins over what its product says, field by field. What a line no longer says is cleared at Meta. A name\n\
        that is not in the table is refused, with the nearest that is. The lines of `meta-catalog mapper map` take the same\n\
        fields. A platform with tables of its own puts the same object into `extra`, under the key `meta`: the view\n\
        `variant_source` has it as `product_extra` and `extra`. What Meta would not take is left out there, with the warning\n\
        `attribute_unusable`.\n\n\
        ```json\n\
        {\"id\": \"p-1\", \"title\": \"Linen Shirt\", \"status\": \"active\", \"visibility\": \"public\",\n\
        \x20\"link\": \"https://shop.example/linen-shirt\", \"googleProductCategory\": \"Apparel & Accessories > Clothing\",\n\
        \x20\"attributes\": {\"gender\": \"female\", \"product_type\": \"Shirts > Linen\", \"shipping_weight\": \"0.25 kg\"},\n\
        \x20\"variants\": [{\"id\": \"v-1\", \"price\": 29900, \"attributes\": {\"quantity_to_sell_on_facebook\": 3}}]}\n\
        ```\n\n\
        ## Attributes\n\n\
        An option of the variant beats `color`, `size`, `material` and `pattern`. `additional_variant_attribute` beats what the\n\
        setting of the same name makes of the options. An object has no empty form, so Meta keeps `applink` and\n\
        `importer_address` when they go. A test writes this table.\n\n\
        | name | takes | when it goes |\n|---|---|---|\n";

    fn takes(kind: AttributeKind) -> String {
        match kind {
            AttributeKind::Text(most) => format!("a text of at most {most} characters"),
            AttributeKind::Word(words) => format!("one of {}", words.join(", ")),
            AttributeKind::Url => "an absolute http or https URL".into(),
            AttributeKind::Day => "a day such as 2026-11-30".into(),
            AttributeKind::Country => "a country code of two letters such as IN".into(),
            AttributeKind::Weight => "a weight such as 10 kg, in lb, oz, g or kg".into(),
            AttributeKind::Whole(low, high) => format!("a whole number from {low} to {high}"),
            AttributeKind::Rating => "a number from 1 to 5".into(),
            AttributeKind::Texts(most, longest) => {
                format!("a list of at most {most} texts of at most {longest} characters")
            }
            AttributeKind::Objects(parts) => format!("a list of objects with {}", of(parts)),
            AttributeKind::Object([]) => "an object of texts, such as ios_url and android_package".into(),
            AttributeKind::Object(parts) => format!("an object with {}", of(parts)),
        }
    }

    fn of(parts: &[Part]) -> String {
        let part = |part: &Part| {
            let kind = match part.kind {
                PartKind::Text => "text",
                PartKind::Number => "number",
                PartKind::Url => "URL",
                PartKind::Country => "country",
                PartKind::Currency => "currency",
                PartKind::Texts => "texts",
            };
            format!("`{}` ({kind}{})", part.name, if part.is_required { "" } else { ", optional" })
        };
        parts.iter().map(part).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn the_page_of_attributes_is_written_from_the_table() {
        let mut page = HEAD.to_owned();
        for spec in ATTRIBUTES {
            let gone = match (spec.neutral(), spec.kind) {
                (Some(word), _) => format!("`{word}` is sent"),
                (None, AttributeKind::Object(_)) => "stays".into(),
                (None, _) => "is cleared".into(),
            };
            writeln!(page, "| `{}` | {} | {gone} |", spec.name, takes(spec.kind)).expect("a String takes all");
        }
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/attributes.md");
        let written = std::fs::read_to_string(file).unwrap_or_default();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(file, page).expect("the page can be written");
        } else {
            assert_eq!(written, page, "regenerate docs/attributes.md: UPDATE_DOCS=1 cargo test the_page_of_attributes");
        }
    }

    /// The example of the page is a line that is taken.
    #[test]
    fn the_example_of_the_page_is_taken() {
        let example = HEAD.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        let record = super::super::parse(example.as_bytes()).expect("nothing is wrong with it");
        let attributes = record.variants[0].given.attributes.as_ref().expect("given");
        assert_eq!(attributes["quantity_to_sell_on_facebook"], 3);
    }

    /// Every field that the built-in mapper makes is refused with the fields of a line that it is made of.
    #[test]
    fn a_field_of_the_mapper_is_refused_with_where_it_comes_from() {
        for spec in mapper_core::FIELDS.iter().filter(|spec| mapper_core::attribute(spec.name).is_none()) {
            assert!(made_from(spec.name).is_some(), "{}", spec.name);
        }
        assert_eq!(unknown("product_tags"), "is an old name of Meta's; write internal_label");
        assert!(ATTRIBUTES.iter().all(|spec| made_from(spec.name).or(renamed(spec.name)).is_none()));
    }
}
