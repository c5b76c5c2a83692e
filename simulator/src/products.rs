//! The read side of items: `/products` and the product item node, with its own names and display prices.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::clock::Millis;
use crate::errors::{GraphError, Result};
use crate::fields::{self, Field};
use crate::filter::Filter;
use crate::items::{Fields, Item};
use crate::judge;
use crate::nodes::Cx;
use crate::paging::{Link, Page, Window};
use crate::params::Params;
use crate::world::{Catalog, World};

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

/// One visible item, ready to be read.
pub(crate) struct View<'a> {
    world: &'a World,
    now: Millis,
    catalog_id: &'a str,
    retailer_id: &'a str,
    item: &'a Item,
    fields: Fields,
}

impl<'a> View<'a> {
    pub(crate) fn new(
        world: &'a World,
        now: Millis,
        catalog_id: &'a str,
        retailer_id: &'a str,
        item: &'a Item,
    ) -> Self {
        let fields = item.shown_fields().unwrap_or_default();
        Self { world, now, catalog_id, retailer_id, item, fields }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str)
    }

    /// The value a filter tests.
    fn tested(&self, key: &str) -> Option<Value> {
        let amount = |name| Some(Value::from(i64::try_from(judge::price(self.text(name)?)?.0).ok()?));
        match key {
            "price_amount" => amount("price"),
            "sale_price_amount" => amount("sale_price"),
            "product_item_id" => Some(self.item.meta_id.to_string().into()),
            _ => self.value(key).flatten(),
        }
    }

    /// The value of a read-side field: outer `None` = no such field, inner `None` = the item has none.
    fn value(&self, name: &str) -> Option<Option<Value>> {
        if let Some((_, sent)) = RENAMED.iter().find(|(read, _)| *read == name) {
            return Some(self.fields.get(*sent).cloned());
        }
        if SAME.contains(&name) {
            return Some(self.fields.get(name).cloned());
        }
        let some = |value: Value| Some(Some(value));
        let as_code = self.world.config.switches.price_as_code;
        let period = |at: usize| self.text("sale_price_effective_date").and_then(|text| text.split('/').nth(at));
        match name {
            "id" => some(self.item.meta_id.to_string().into()),
            "retailer_id" => some(self.retailer_id.into()),
            "price" | "sale_price" => Some(self.text(name).map(|text| display_price(text, as_code).into())),
            "currency" => Some(self.text("price").and_then(|text| Some(judge::price(text)?.1.into()))),
            "sale_price_start_date" => Some(period(0).map(Value::from)),
            "sale_price_end_date" => Some(period(1).map(Value::from)),
            "image_url" => Some(self.images().first().cloned()),
            "images" => some(self.images().into()),
            "additional_image_urls" => some(self.images().split_off(1.min(self.images().len())).into()),
            "image_fetch_status" => some("DIRECT_UPLOAD".into()),
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
            "errors" => match self.item.review.as_ref().map(|review| &review.errors) {
                Some(errors) if !errors.is_empty() => some(json!(errors)),
                _ if self.world.config.switches.omit_empty_errors => Some(None),
                _ => some(json!([])),
            },
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
                number.map(|_| self.fields.get(name).map(|value| value.to_string().into()))
            }
        }
    }

    fn images(&self) -> Vec<Value> {
        match self.fields.get("image") {
            Some(Value::Array(images)) => images.iter().filter_map(|image| image.get("url").cloned()).collect(),
            _ => {
                let more = self.fields.get("additional_image_link").and_then(Value::as_array);
                self.fields.get("image_link").into_iter().chain(more.into_iter().flatten()).cloned().collect()
            }
        }
    }

    fn hidden(&self) -> bool {
        self.text("status") == Some("archived") || self.text("visibility") == Some("staging")
    }

    fn review_status(&self) -> String {
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

/// Narrows an object field to the names asked for in braces.
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
    let Some((hundredths, currency)) = judge::price(text) else {
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

/// `GET /{catalog}/products`.
pub(crate) fn list(cx: &Cx<'_>, catalog_id: &str, params: &mut Params, link: &Link, empty_page: bool) -> Result<Value> {
    let world = cx.world;
    let Some(catalog) = world.catalogs.get(catalog_id) else {
        return Err(GraphError::unsupported("GET", catalog_id));
    };
    let asked = match params.fields() {
        Some(text) => fields::parse(&text)?,
        None => ["id", "name", "retailer_id"].map(Field::plain).to_vec(),
    };
    let filter = params.take_json("filter")?.map(|value| Filter::read(&value)).transpose()?;
    let rules = world.config.rules;
    let window = Window::from_params(params, rules.default_page, rules.max_page)?;
    check_fields(&asked)?;
    if empty_page {
        return Ok(Page::empty_with_next(window.limit, link, window.after.as_deref()));
    }
    let page = page(cx, catalog_id, catalog, filter.as_ref(), &window, &asked)?;
    let mut body = page.body(window.limit, link, world.config.switches.omit_paging);
    if params.flag("summary", false).unwrap_or(false)
        || params.list("summary").is_some_and(|s| s.iter().any(|n| n == "total_count"))
    {
        let total = match &filter {
            None => catalog.items.shown_count(),
            Some(_) => matching(cx, catalog_id, catalog, filter.as_ref(), None).count(),
        };
        body["summary"] = json!({ "total_count": total });
    }
    Ok(body)
}

/// A page of a catalog's items, for the edge and for the nested edge.
pub(crate) fn page(
    cx: &Cx<'_>,
    catalog_id: &str,
    catalog: &Catalog,
    filter: Option<&Filter>,
    window: &Window,
    asked: &[Field],
) -> Result<Page> {
    let limit = window.limit;
    let (shown, more, earlier) = match &window.before {
        None => {
            let after = window.after.as_deref();
            let mut found: Vec<_> = matching(cx, catalog_id, catalog, filter, after).take(limit + 1).collect();
            let more = found.len() > limit;
            found.truncate(limit);
            (found, more, after.is_some())
        }
        Some(before) => {
            let all = matching(cx, catalog_id, catalog, filter, None);
            let mut found: Vec<_> = all.take_while(|view| view.retailer_id < before.as_str()).collect();
            let earlier = found.len() > limit;
            let found = found.split_off(found.len().saturating_sub(limit));
            (found, true, earlier)
        }
    };
    let edges = shown.first().zip(shown.last());
    Ok(Page {
        edges: edges.map(|(first, last)| (first.retailer_id.to_owned(), last.retailer_id.to_owned())),
        data: shown.iter().map(|view| view.render(asked)).collect::<Result<_>>()?,
        more,
        earlier,
    })
}

fn matching<'a>(
    cx: &Cx<'a>,
    catalog_id: &'a str,
    catalog: &'a Catalog,
    filter: Option<&'a Filter>,
    after: Option<&'a str>,
) -> Box<dyn Iterator<Item = View<'a>> + 'a> {
    let (world, now) = (cx.world, cx.now);
    let view = move |(id, item)| View::new(world, now, catalog_id, id, item);
    let passes = move |view: &View<'_>| filter.is_none_or(|filter| filter.passes(&|key| view.tested(key)));
    match filter.and_then(Filter::retailer_ids) {
        Some(ids) => {
            let ids: BTreeSet<String> =
                ids.into_iter().filter(|id| after.is_none_or(|after| id.as_str() > after)).collect();
            Box::new(ids.into_iter().filter_map(|id| catalog.items.shown(&id)).map(view).filter(passes))
        }
        None => Box::new(catalog.items.shown_after(after).map(view).filter(passes)),
    }
}

/// Refuses unknown names even when no item is there to show it.
pub(crate) fn check_fields(asked: &[Field]) -> Result<()> {
    let special = [
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
    let known =
        |name: &str| special.contains(&name) || SAME.contains(&name) || RENAMED.iter().any(|(read, _)| *read == name);
    match asked.iter().find(|field| !known(&field.name)) {
        Some(field) => Err(GraphError::unknown_field(&field.name, "ProductItem")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
