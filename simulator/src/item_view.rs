//! One item as the read side shows it: names differ from those sent, prices are formatted for display.

use std::cell::OnceCell;

use serde_json::{Map, Value, json};

use crate::clock::Millis;
use crate::errors::{GraphError, Result};
use crate::fields::Field;
use crate::items::{Fields, Item};
use crate::values;
use crate::world::World;

/// Read-side names whose values are those sent under another name.
const RENAMED: &[(&str, &str)] = &[
    ("name", "title"),
    ("url", "link"),
    ("retailer_product_group_id", "item_group_id"),
    ("manufacturer_part_number", "mpn"),
    ("category", "google_product_category"),
];

/// Names that are the same on both sides.
const SAME: &[&str] = &[
    "description",
    "rich_text_description",
    "short_description",
    "brand",
    "availability",
    "condition",
    "product_type",
    "gtin",
    "color",
    "size",
    "material",
    "pattern",
    "gender",
    "age_group",
    "mobile_link",
    "custom_label_0",
    "custom_label_1",
    "custom_label_2",
    "custom_label_3",
    "custom_label_4",
    "expiration_date",
    "ordering_index",
    "inventory",
    "quantity_to_sell_on_facebook",
    "fb_product_category",
    "vendor_id",
    "origin_country",
    "importer_name",
    "importer_address",
    "manufacturer_info",
    "wa_compliance_category",
    "applinks",
    "video",
];

/// Names computed from what was sent; see [`View::value`].
const COMPUTED: &[&str] = &[
    "id",
    "retailer_id",
    "price",
    "sale_price",
    "currency",
    "sale_price_start_date",
    "sale_price_end_date",
    "image_url",
    "images",
    "additional_image_urls",
    "image_fetch_status",
    "visibility",
    "status",
    "review_status",
    "review_rejection_reasons",
    "capability_to_review_status",
    "errors",
    "invalidation_errors",
    "product_catalog",
    "product_group",
    "product_feed",
    "shipping_weight_value",
    "shipping_weight_unit",
    "custom_number_0",
    "custom_number_1",
    "custom_number_2",
    "custom_number_3",
    "custom_number_4",
];

/// One visible item, ready to be read.
pub(crate) struct View<'a> {
    world: &'a World,
    now: Millis,
    catalog_id: &'a str,
    pub(crate) retailer_id: &'a str,
    item: &'a Item,
    /// As sent; parsed only when a field of it is read.
    fields: OnceCell<Fields>,
}

impl<'a> View<'a> {
    pub(crate) fn new(
        world: &'a World,
        now: Millis,
        catalog_id: &'a str,
        retailer_id: &'a str,
        item: &'a Item,
    ) -> Self {
        Self { world, now, catalog_id, retailer_id, item, fields: OnceCell::new() }
    }

    fn fields(&self) -> &Fields {
        self.fields.get_or_init(|| self.item.shown_fields().unwrap_or_default())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.fields().get(name).and_then(Value::as_str)
    }

    /// The value a filter tests.
    pub(crate) fn tested(&self, key: &str) -> Option<Value> {
        let amount = |name| Some(Value::from(i64::try_from(values::price(self.text(name)?)?.0).ok()?));
        match key {
            "price_amount" => amount("price"),
            "sale_price_amount" => amount("sale_price"),
            "product_item_id" => Some(self.item.meta_id.to_string().into()),
            _ => self.value(key).flatten(),
        }
    }

    /// The value of a read-side field: outer `None` means no such field, inner `None` means that the item has no value.
    fn value(&self, name: &str) -> Option<Option<Value>> {
        if let Some((_, sent)) = RENAMED.iter().find(|(read, _)| *read == name) {
            return Some(self.fields().get(*sent).cloned());
        }
        if SAME.contains(&name) {
            return Some(self.fields().get(name).cloned());
        }
        let some = |value: Value| Some(Some(value));
        let as_code = self.world.config.switches.price_as_code;
        let period = |at: usize| self.text("sale_price_effective_date").and_then(|text| text.split('/').nth(at));
        match name {
            "id" => some(self.item.meta_id.to_string().into()),
            "retailer_id" => some(self.retailer_id.into()),
            "price" | "sale_price" => Some(self.text(name).map(|text| display_price(text, as_code).into())),
            "currency" => Some(self.text("price").and_then(|text| Some(values::price(text)?.1.into()))),
            "sale_price_start_date" => Some(period(0).map(Value::from)),
            "sale_price_end_date" => Some(period(1).map(Value::from)),
            "image_url" => Some(self.images().first().cloned()),
            "images" => some(self.images().into()),
            "additional_image_urls" => some(self.images().split_off(1.min(self.images().len())).into()),
            "image_fetch_status" => {
                let planted = self.item.review.as_ref().and_then(|review| review.image_fetch_status.clone());
                some(planted.unwrap_or_else(|| "DIRECT_UPLOAD".to_owned()).into())
            }
            "visibility" => some(if self.hidden() { "staging" } else { "published" }.into()),
            "status" => some(if self.hidden() { "STAGING" } else { "PUBLISHED" }.into()),
            "review_status" => some(self.review_status().into()),
            "review_rejection_reasons" => {
                some(self.item.review.as_ref().map_or_else(|| json!([]), |r| json!(r.review_rejection_reasons)))
            }
            "capability_to_review_status" => {
                let status = self.review_status().to_uppercase();
                some(json!([{"key": "SHOPS", "value": status}, {"key": "ADS", "value": status}]))
            }
            "errors" if self.errors().is_empty() && self.world.config.switches.omit_empty_errors => Some(None),
            "errors" => some(json!(self.errors())),
            "invalidation_errors" => some(json!([])),
            "product_catalog" => {
                let name = self.world.catalogs.get(self.catalog_id).map(|catalog| catalog.name.as_str());
                some(json!({"id": self.catalog_id, "name": name}))
            }
            "product_group" => {
                let group = self.text("item_group_id").unwrap_or(self.retailer_id);
                some(json!({"id": self.item.meta_id.to_string(), "retailer_id": group}))
            }
            "product_feed" => Some(None),
            "shipping_weight_value" => Some(self.weight().map(|(value, _)| value.into())),
            "shipping_weight_unit" => Some(self.weight().map(|(_, unit)| unit.into())),
            _ => {
                // Sent as an integer, read back as text.
                let number = name.strip_prefix("custom_number_").filter(|n| matches!(*n, "0" | "1" | "2" | "3" | "4"));
                number.map(|_| self.fields().get(name).map(|value| value.to_string().into()))
            }
        }
    }

    /// Planted errors.
    pub(crate) fn errors(&self) -> &[Value] {
        self.item.review.as_ref().map_or(&[], |review| &review.errors)
    }

    fn images(&self) -> Vec<Value> {
        match self.fields().get("image") {
            Some(Value::Array(images)) => images.iter().filter_map(|image| image.get("url").cloned()).collect(),
            _ => {
                let more = self.fields().get("additional_image_link").and_then(Value::as_array);
                self.fields().get("image_link").into_iter().chain(more.into_iter().flatten()).cloned().collect()
            }
        }
    }

    fn hidden(&self) -> bool {
        self.text("status") == Some("archived") || self.text("visibility") == Some("staging")
    }

    /// `approved`, `pending`, or the value that a test planted.
    pub(crate) fn review_status(&self) -> String {
        let planted = self.item.review.as_ref().and_then(|review| review.review_status.clone());
        planted.unwrap_or_else(|| {
            let approved = self.item.shown_at + self.world.config.times.review_after_ms <= self.now;
            if approved { "approved" } else { "pending" }.to_owned()
        })
    }

    fn weight(&self) -> Option<(f64, String)> {
        let (value, unit) = self.text("shipping_weight")?.split_once(' ')?;
        Some((value.parse().ok()?, unit.to_owned()))
    }

    /// The item as an answer.
    pub(crate) fn render(&self, asked: &[Field]) -> Result<Value> {
        let mut shown = Map::new();
        for field in asked {
            let value = self.value(&field.name).ok_or_else(|| GraphError::unknown_field(&field.name, "ProductItem"))?;
            if let Some(value) = value {
                shown.insert(field.name.clone(), pick(value, field));
            }
        }
        // Graph adds the id whenever `fields` is given.
        shown.entry("id").or_insert_with(|| self.item.meta_id.to_string().into());
        Ok(Value::Object(shown))
    }
}

/// Reduces an object field to the names requested in braces.
fn pick(value: Value, field: &Field) -> Value {
    match (value, &field.sub) {
        (Value::Object(map), Some(sub)) => {
            let wanted = |name: &String| name == "id" || sub.iter().any(|field| field.name == *name);
            map.into_iter().filter(|(name, _)| wanted(name)).collect::<Map<_, _>>().into()
        }
        (value, _) => value,
    }
}

/// `299.00 INR` as a reader sees it: `₹299.00`.
fn display_price(text: &str, as_code: bool) -> String {
    let Some((hundredths, currency)) = values::price(text) else {
        return text.to_owned();
    };
    let no_cents = matches!(currency, "JPY" | "KRW" | "VND" | "CLP");
    let whole = group(hundredths / 100);
    let amount = if no_cents { whole } else { format!("{whole}.{:02}", hundredths % 100) };
    let symbol = match currency {
        "INR" => "₹",
        "USD" | "AUD" | "CAD" | "MXN" | "SGD" => "$",
        "GBP" => "£",
        "EUR" => "€",
        "JPY" => "¥",
        "KRW" => "₩",
        "BRL" => "R$",
        "VND" => return format!("{}₫", amount.replace(',', ".")),
        _ => return format!("{amount} {currency}"),
    };
    if as_code { format!("{amount} {currency}") } else { format!("{symbol}{amount}") }
}

fn group(number: i128) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Refuses unknown names even when there is no item to show.
pub(crate) fn check_fields(asked: &[Field]) -> Result<()> {
    let known =
        |name: &str| COMPUTED.contains(&name) || SAME.contains(&name) || RENAMED.iter().any(|(read, _)| *read == name);
    match asked.iter().find(|field| !known(&field.name)) {
        Some(field) => Err(GraphError::unknown_field(&field.name, "ProductItem")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::items::Items;

    #[test]
    fn every_name_that_passes_the_check_can_be_read_and_no_other() {
        let world = World::new(Config::default());
        let mut items = Items::default();
        items.save("a", &Map::new(), || 1);
        items.publish("a", 0);
        let (id, item) = items.shown("a").expect("published");
        let view = View::new(&world, 0, "4000000001", id, item);
        let renamed = RENAMED.iter().map(|(read, _)| read);
        for name in COMPUTED.iter().chain(SAME).chain(renamed) {
            assert!(view.value(name).is_some(), "{name}");
        }
        assert!(view.value("custom_number_5").is_none() && view.value("title").is_none());
    }

    #[test]
    fn prices_are_shown_to_people() {
        for (sent, shown) in [
            ("299.00 INR", "₹299.00"),
            ("71 USD", "$71.00"),
            ("1234567.5 GBP", "£1,234,567.50"),
            ("199000 VND", "199.000₫"),
            ("14.5 SEK", "14.50 SEK"),
        ] {
            assert_eq!(display_price(sent, false), shown);
        }
        assert_eq!(display_price("299.00 INR", true), "299.00 INR");
    }
}
