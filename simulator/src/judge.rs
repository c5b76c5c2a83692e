//! Meta's judgement of one item's values.
//!
//! Two moments: [`unknown_fields`] when the call is accepted (warnings in `validation_status`), [`judge`] when the row
//! is processed (errors and warnings in the poll). Pure.

use serde_json::Value;
use url::Url;

use crate::config::Rules;
use crate::items::Fields;
use crate::values::{interval, price};

/// Names `data` may have for `PRODUCT_ITEM`.
const KNOWN: &[&str] = &[
    "additional_image_link",
    "additional_variant_attribute",
    "age_group",
    "applink",
    "availability",
    "brand",
    "checkout_url",
    "color",
    "condition",
    "custom_label_0",
    "custom_label_1",
    "custom_label_2",
    "custom_label_3",
    "custom_label_4",
    "custom_number_0",
    "custom_number_1",
    "custom_number_2",
    "custom_number_3",
    "custom_number_4",
    "description",
    "disabled_capabilities",
    "expiration_date",
    "external_update_time",
    "external_variant_id",
    "fb_product_category",
    "gender",
    "google_product_category",
    "gtin",
    "id",
    "image",
    "image_link",
    "importer_address",
    "importer_name",
    "internal_label",
    "inventory",
    "item_group_id",
    "link",
    "manufacturer_info",
    "material",
    "mobile_link",
    "mpn",
    "ordering_index",
    "origin_country",
    "pattern",
    "plugin_version",
    "price",
    "product_tags",
    "product_type",
    "quantity_to_sell_on_facebook",
    "rating_count",
    "rich_text_description",
    "sale_price",
    "sale_price_effective_date",
    "shipping",
    "shipping_weight",
    "short_description",
    "size",
    "sku",
    "status",
    "title",
    "user_rating",
    "vendor_id",
    "video",
    "visibility",
    "wa_compliance_category",
];

const AVAILABILITY: &[&str] =
    &["in stock", "out of stock", "available for order", "preorder", "discontinued", "mark_as_sold"];
const CONDITION: &[&str] =
    &["new", "refurbished", "used", "used_like_new", "used_good", "used_fair", "cpo", "open_box_new"];

/// Longest values, in characters, of fields whose excess is a row error.
const LIMITS: &[(&str, usize)] = &[
    ("brand", 100),
    ("mpn", 100),
    ("gtin", 70),
    ("item_group_id", 100),
    ("google_product_category", 250),
    ("product_type", 750),
    ("color", 100),
    ("size", 200),
    ("material", 200),
    ("pattern", 100),
    ("custom_label_0", 100),
    ("custom_label_1", 100),
    ("custom_label_2", 100),
    ("custom_label_3", 100),
    ("custom_label_4", 100),
    ("vendor_id", 100),
    ("rich_text_description", 9_999),
];

/// Fields that must hold text.
const TEXTS: &[&str] = &[
    "title",
    "description",
    "availability",
    "condition",
    "price",
    "sale_price",
    "sale_price_effective_date",
    "link",
    "image_link",
    "brand",
    "gtin",
    "mpn",
    "item_group_id",
    "google_product_category",
    "product_type",
    "color",
    "size",
    "material",
    "pattern",
    "custom_label_0",
    "custom_label_1",
    "custom_label_2",
    "custom_label_3",
    "custom_label_4",
];

/// The verdict on one row.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// Missing required fields.
    pub(crate) missing: Vec<String>,
    /// Other reasons why the row is not saved.
    pub(crate) errors: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// Names in `data` that Meta does not know.
pub(crate) fn unknown_fields(data: &Fields) -> impl Iterator<Item = &str> {
    data.keys().map(String::as_str).filter(|name| !KNOWN.contains(name))
}

/// Judges the item as it would be saved.
pub(crate) fn judge(item: &Fields, rules: &Rules) -> Verdict {
    let mut verdict = Verdict::default();
    required(item, rules, &mut verdict.missing);
    for name in TEXTS {
        if item.get(*name).is_some_and(|value| !value.is_string()) {
            verdict.errors.push(format!("Invalid value for {name}: it must be a string"));
        }
    }
    texts(item, rules, &mut verdict);
    prices(item, &mut verdict.errors);
    links(item, &mut verdict.errors);
    verdict
}

fn text<'a>(item: &'a Fields, name: &str) -> Option<&'a str> {
    item.get(name).and_then(Value::as_str)
}

fn required(item: &Fields, rules: &Rules, missing: &mut Vec<String>) {
    let mut need = |there: bool, name: &str| {
        if !there {
            missing.push(format!("A required field is missing: {name}"));
        }
    };
    for name in ["title", "description", "availability", "condition", "price", "link"] {
        need(item.contains_key(name), name);
    }
    need(item.contains_key("image_link") || item.contains_key("image"), "image_link");
    if rules.require_brand {
        need(item.contains_key("brand"), "brand");
    } else {
        need(["brand", "gtin", "mpn"].iter().any(|name| item.contains_key(*name)), "brand, gtin or mpn");
    }
}

fn texts(item: &Fields, rules: &Rules, verdict: &mut Verdict) {
    let own = [("title", rules.title_limit), ("description", rules.description_limit)];
    for (name, limit) in LIMITS.iter().copied().chain(own) {
        let length = text(item, name).map_or(0, |value| value.chars().count());
        if length > limit {
            verdict.errors.push(format!("Invalid value for {name}: {length} characters, at most {limit} are allowed"));
        }
    }
    for (name, advised) in [("title", 100), ("description", 5_000)] {
        if text(item, name).is_some_and(|value| value.chars().count() > advised) {
            verdict.warnings.push(format!("The {name} is longer than the {advised} characters advised"));
        }
    }
    for (name, allowed) in [("availability", AVAILABILITY), ("condition", CONDITION)] {
        if let Some(value) = text(item, name).filter(|value| !allowed.contains(value)) {
            verdict.errors.push(format!("Invalid value for {name}: '{value}' is none of {}", allowed.join(", ")));
        }
    }
    if text(item, "gtin").is_some_and(|gtin| !gtin.bytes().all(|b| b.is_ascii_digit())) {
        verdict.errors.push("Invalid value for gtin: digits only, without blanks and dashes".into());
    }
}

fn prices(item: &Fields, errors: &mut Vec<String>) {
    let mut read = |name: &str| {
        let value = text(item, name)?;
        match price(value) {
            Some((amount, _)) if amount <= 0 => {
                errors.push(format!("Invalid value for {name}: '{value}' is not positive"));
                None
            }
            None => {
                errors.push(format!("Invalid value for {name}: '{value}' is not of the form '9.99 USD'"));
                None
            }
            read => read,
        }
    };
    if let (Some(price), Some(sale)) = (read("price"), read("sale_price")) {
        if price.1 != sale.1 {
            errors.push("Invalid value for sale_price: its currency differs from that of price".into());
        } else if sale.0 >= price.0 {
            errors.push("Invalid value for sale_price: it is not lower than price".into());
        }
    }
    if let Some(value) = text(item, "sale_price_effective_date").filter(|value| !interval(value)) {
        errors.push(format!(
            "Invalid value for sale_price_effective_date: '{value}' is not of the form \
             '2014-11-01T12:00-0300/2014-12-01T00:00-0300'"
        ));
    }
}

fn links(item: &Fields, errors: &mut Vec<String>) {
    let is_web =
        |text: &str| Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    for name in ["link", "image_link", "mobile_link"] {
        if let Some(value) = text(item, name).filter(|value| !is_web(value)) {
            errors.push(format!("Invalid value for {name}: '{value}' is no http(s) URL"));
        }
    }
    match item.get("additional_image_link") {
        None => {}
        Some(Value::Array(list)) => {
            if list.len() > 50 {
                errors.push(format!("Invalid value for additional_image_link: {} URLs, at most 50", list.len()));
            }
            if let Some(bad) = list.iter().find(|link| !link.as_str().is_some_and(is_web)) {
                errors.push(format!("Invalid value for additional_image_link: {bad} is no http(s) URL"));
            }
        }
        Some(_) => errors.push("Invalid value for additional_image_link: it must be an array of URLs".into()),
    }
    match item.get("image") {
        None => {}
        Some(Value::Array(list)) => {
            let good = |image: &Value| image.get("url").and_then(Value::as_str).is_some_and(is_web);
            if list.len() > 21 || !list.iter().all(good) {
                errors.push("Invalid value for image: up to 21 objects with an http(s) `url`".into());
            }
        }
        Some(_) => errors.push("Invalid value for image: it must be an array of objects".into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn belt(changes: Value) -> Fields {
        let mut item = json!({
            "id": "a", "title": "Belt", "description": "Leather", "availability": "in stock", "condition": "new",
            "price": "71 USD", "link": "https://shop.example/a", "image_link": "https://cdn.example/a.jpg", "brand": "Acme",
        });
        for (name, value) in changes.as_object().expect("an object") {
            item[name] = value.clone();
        }
        item.as_object().expect("an object").clone()
    }

    #[test]
    fn a_good_item_passes_and_each_bad_value_is_named() {
        let rules = Rules::default();
        assert_eq!(judge(&belt(json!({})), &rules), Verdict::default());
        for (name, value) in [
            ("price", json!("71USD")),
            ("price", json!("0.00 USD")),
            ("price", json!("1,00 USD")),
            ("price", json!(71)),
            ("sale_price", json!("71.00 USD")),
            ("sale_price", json!("7.00 EUR")),
            ("sale_price_effective_date", json!("2026-01-01T00:00+0000")),
            ("sale_price_effective_date", json!("2026-01-01/2026-02-01")),
            ("availability", json!("in_stock")),
            ("condition", json!("as new")),
            ("link", json!("/p/a")),
            ("image_link", json!("ftp://cdn.example/a.jpg")),
            ("additional_image_link", json!("https://a.example/1,https://a.example/2")),
            ("additional_image_link", json!(["a.jpg"])),
            ("gtin", json!("0-123")),
            ("title", json!("x".repeat(201))),
            ("color", json!("x".repeat(101))),
        ] {
            let verdict = judge(&belt(json!({name: value})), &rules);
            assert_eq!(verdict.errors.len(), 1, "{name} {value}: {verdict:?}");
            assert!(verdict.errors[0].contains(name), "{verdict:?}");
        }
    }
}
