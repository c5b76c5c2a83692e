//! Product feeds for Google Merchant Center (XML): RSS 2.0 or Atom, with the fields of Google's product data.
//!
//! Items with one `item_group_id` are the variants of one product, wherever they stand; so the file is read twice, as for
//! WooCommerce. Prices carry their currency.

use std::io::{self, BufRead, Seek};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use mapper_core::minor_units;
use serde_json::{Map, Value, json};

use super::cells::{self, Wrong};
use super::decimal::hundredths;
use super::markup::{Counting, Field, Fields, fields_at, items};
use super::parts::Parts;
use super::table::invalid;
use super::{Item, Source};
use crate::domain::record::ProductRecord;
use crate::intake::import::line::{MAX_LINE_BYTES, Refusal};
use crate::report::clip;

/// Fields that are attributes at Meta under the same name, as texts.
const TEXTS: [&str; 8] = [
    "gender",
    "age_group",
    "product_type",
    "custom_label_2",
    "custom_label_3",
    "custom_label_4",
    "mobile_link",
    "short_description",
];

/// Fields by which variants differ.
const OPTIONS: [&str; 4] = ["color", "size", "material", "pattern"];

/// A feed for Google Merchant Center.
#[derive(Debug)]
pub struct GoogleMerchant<R> {
    input: Counting<R>,
    zone: TimeZone,
    parts: Parts,
    bytes_read: u64,
}

/// The items of a product.
struct Group {
    /// The line of the first one.
    line: u64,
    /// Each with its line.
    items: Vec<(u64, Fields)>,
    /// Whether they have too many bytes together; then some are left out.
    is_too_long: bool,
}

impl<R: BufRead + Seek> GoogleMerchant<R> {
    /// Reads the file once, to learn which items belong together. Times without an offset are of `zone`.
    ///
    /// # Errors
    /// When reading fails or the file is not well-formed XML with items.
    pub fn open(mut input: R, zone: TimeZone) -> io::Result<Self> {
        let start = input.fill_buf()?;
        if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
            return Err(invalid("the file is UTF-16; save it as UTF-8"));
        }
        let mut input = Counting::new(input);
        let (mut parts, mut count) = (Parts::default(), 0_u64);
        items(&mut input, |fields, at, line| {
            count += 1;
            // An item without a group is one by its id, and so the parent of a group that is named by that id.
            let group = match text(&fields, "item_group_id").or(text(&fields, "id")) {
                Some(group) => parts.group(&format!("group:{group}")),
                None => parts.group(&format!("item:{count}")),
            };
            parts.add(group, at, line);
        })?;
        if count == 0 {
            return Err(invalid(
                "the file has no <item> or <entry>; it must be a product feed for Google Merchant Center",
            ));
        }
        parts.noted();
        Ok(Self { input, zone, parts, bytes_read: 0 })
    }

    fn read(&mut self) -> io::Result<Option<Group>> {
        let Some(places) = self.parts.next_product() else { return Ok(None) };
        let (mut items, mut bytes) = (Vec::new(), 0_u64);
        let (line, mut is_too_long) = (places.first().map_or(0, |place| place.line), false);
        for place in places {
            self.input.go_to(place.at, place.line)?;
            let fields = fields_at(&mut self.input)?;
            bytes = bytes.saturating_add(fields.bytes);
            is_too_long |= fields.is_too_long || bytes > MAX_LINE_BYTES as u64;
            if !is_too_long {
                items.push((place.line, fields));
            }
        }
        self.bytes_read = self.bytes_read.saturating_add(bytes);
        Ok(Some(Group { line, items, is_too_long }))
    }

    fn record(&self, read: &[(u64, Fields)]) -> Result<ProductRecord, Vec<Refusal>> {
        let mut wrong = Wrong::default();
        let value = product(read, &self.zone, &mut wrong);
        wrong.into_result(|| cells::record(value, &self.zone))
    }
}

impl<R: BufRead + Seek> Source for GoogleMerchant<R> {
    fn next_item(&mut self) -> io::Result<Option<Item>> {
        let Some(Group { line, items, is_too_long }) = self.read()? else { return Ok(None) };
        let record = if is_too_long {
            let message = format!("the items of this product have more than {MAX_LINE_BYTES} bytes");
            Err(vec![Refusal::of_line(message)])
        } else {
            self.record(&items)
        };
        Ok(Some(Item { line, record }))
    }

    fn bytes_read(&self) -> u64 {
        self.bytes_read
    }
}

/// The first field of this name that is not blank: one of Google's, else one without a prefix, else any.
fn text<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    let given = all(fields, name).map(|field| (field.origin, field.text.trim())).filter(|(_, text)| !text.is_empty());
    given.min_by_key(|(origin, _)| *origin).map(|(_, text)| text)
}

fn all<'f>(fields: &'f Fields, name: &str) -> impl Iterator<Item = &'f Field> {
    fields.fields.iter().filter(move |field| field.name == name)
}

fn product(read: &[(u64, Fields)], zone: &TimeZone, wrong: &mut Wrong) -> Value {
    let Some((line, first)) = read.first() else { return Value::Null };
    let get = |name| text(first, name);
    let mut currency = None;
    let variants: Vec<Value> =
        read.iter().map(|(line, fields)| variant(*line, fields, zone, &mut currency, wrong)).collect();
    if get("id").is_none() {
        wrong.add(*line, "id", "is required");
    }
    let is_hidden = |fields| matches!(text(fields, "visibility"), Some("hidden" | "staging"));
    let is_shown = !read.iter().all(|(_, fields)| is_hidden(fields));
    json!({
        "id": get("item_group_id").or(get("id")),
        "title": common_title(read.iter().filter_map(|(_, fields)| text(fields, "title"))),
        "description": get("description").or(get("summary")).or(get("content")),
        "status": "active",
        "visibility": if is_shown { "public" } else { "private" },
        "brand": get("brand").map(|title| json!({ "title": title })),
        "googleProductCategory": get("google_product_category"),
        "currency": currency,
        "variants": variants,
    })
}

fn variant(line: u64, fields: &Fields, zone: &TimeZone, currency: &mut Option<String>, wrong: &mut Wrong) -> Value {
    let get = |name| text(fields, name);
    if get("id").is_none() {
        wrong.add(line, "id", "is required");
    }
    let price = price(line, "price", get("price"), currency, wrong);
    let sale = self::price(line, "sale_price", get("sale_price"), currency, wrong);
    let (mut starts, mut ends) = (None, None);
    if let Some(window) = get("sale_price_effective_date") {
        match window.split_once('/') {
            Some((from, to)) => (starts, ends) = (time(line, from, zone, wrong), time(line, to, zone, wrong)),
            None => wrong.add(line, "sale_price_effective_date", "must be two times with / between them"),
        }
    }
    let inventory = match get("availability").unwrap_or("in_stock").to_lowercase().replace([' ', '-'], "_").as_str() {
        "in_stock" | "available" => json!({ "trackInventory": false }),
        "out_of_stock" | "discontinued" => json!({ "trackInventory": true, "quantityOnHand": 0 }),
        "preorder" | "backorder" | "available_for_order" => {
            json!({ "trackInventory": true, "quantityOnHand": 0, "allowBackorder": true })
        }
        other => {
            let message = format!("must be in_stock, out_of_stock, preorder or backorder, got {:?}", clip(other, 40));
            wrong.add(line, "availability", &message);
            Value::Null
        }
    };
    let images: Vec<&str> = all(fields, "additional_image_link").flat_map(|field| addresses(&field.text)).collect();
    // Meta's own feeds switch an item off so.
    let is_off =
        ["visibility", "status"].iter().any(|name| matches!(get(name), Some("hidden" | "staging" | "archived")));
    let options = OPTIONS.iter().filter_map(|name| Some(json!({ "name": name, "value": get(name)? })));
    json!({
        "id": get("id"),
        "sku": get("mpn"),
        "barcode": get("gtin"),
        "price": price,
        "specialPrice": sale,
        "specialPriceStart": sale.and(starts),
        "specialPriceEnd": sale.and(ends),
        "thumbnail": get("image_link"),
        "images": images,
        "link": get("link"),
        "condition": get("condition").map(str::to_lowercase),
        "options": options.collect::<Vec<_>>(),
        "inventory": inventory,
        "attributes": attributes(fields),
        "deletedAt": is_off.then_some(0),
    })
}

/// Splits addresses at the commas between them. Addresses of image services have commas within.
fn addresses(text: &str) -> Vec<&str> {
    let begins = |at: usize| {
        let rest = text[at..].trim_start();
        ["http://", "https://", "//"].iter().any(|start| rest.starts_with(start))
    };
    let ends: Vec<usize> = text.match_indices(',').map(|(at, _)| at).filter(|at| begins(at + 1)).collect();
    let starts = std::iter::once(0).chain(ends.iter().map(|at| at + 1));
    let ends = ends.iter().copied().chain([text.len()]);
    starts.zip(ends).map(|(start, end)| text[start..end].trim()).filter(|address| !address.is_empty()).collect()
}

/// What the titles of a product's variants begin with, without what tells them apart: `Shirt` of `Shirt - Blue / M` and
/// `Shirt - Red / L`. The first title when they have too little in common.
fn common_title<'t>(titles: impl Iterator<Item = &'t str>) -> Option<&'t str> {
    let titles: Vec<&str> = titles.collect();
    let first = *titles.first()?;
    let mut common = first;
    for title in &titles[1..] {
        let same = common.char_indices().zip(title.chars()).find(|((_, one), other)| one != other);
        let end = same.map_or(common.len().min(title.len()), |((at, _), _)| at);
        common = &common[..end];
    }
    // A word that only begins alike is not common.
    let is_word_end = |title: &&str| title[common.len()..].chars().next().is_none_or(|c| !c.is_alphanumeric());
    if !titles.iter().all(is_word_end) {
        common = common.rsplit_once(|c: char| !c.is_alphanumeric()).map_or("", |(words, _)| words);
    }
    if common == first {
        return Some(first);
    }
    let common = common.trim_end_matches(|c: char| c.is_whitespace() || "-–—/|,(:·".contains(c));
    Some(if common.len() * 3 >= first.len() { common } else { first })
}

/// What Meta takes under the same name or in the same sense.
fn attributes(fields: &Fields) -> Value {
    let mut attributes: Map<String, Value> =
        TEXTS.iter().filter_map(|name| Some(((*name).to_owned(), json!(text(fields, name)?)))).collect();
    for name in ["gender", "age_group"] {
        if let Some(Value::String(word)) = attributes.get_mut(name) {
            *word = word.to_lowercase();
        }
    }
    // Meta takes the day.
    if let Some(day) = text(fields, "expiration_date").and_then(|time| time.get(..10)) {
        attributes.insert("expiration_date".into(), json!(day));
    }
    if let Some(weight) = text(fields, "shipping_weight").and_then(cells::weight) {
        attributes.insert("shipping_weight".into(), json!(weight));
    }
    // Meta takes no zero; the availability says so.
    let quantity = text(fields, "quantity_to_sell_on_facebook").and_then(|text| text.parse::<u64>().ok());
    if let Some(quantity) = quantity.filter(|quantity| *quantity > 0) {
        attributes.insert("quantity_to_sell_on_facebook".into(), json!(quantity));
    }
    let shipping: Vec<Value> = all(fields, "shipping").filter_map(shipping).collect();
    if !shipping.is_empty() {
        attributes.insert("shipping".into(), json!(shipping));
    }
    attributes.into()
}

/// Google's shipping as Meta's. One without a country or a price says nothing to Meta.
fn shipping(field: &Field) -> Option<Value> {
    let part = |name: &str| {
        let part = field.parts.iter().find(|(part, _)| part == name)?;
        Some(part.1.trim()).filter(|text| !text.is_empty())
    };
    let (amount, currency) = amount(part("price")?)?;
    let mut shipping = json!({
        "shipping_country": part("country")?,
        "shipping_price_value": hundredths(amount, 2).map_or_else(|_| amount.to_owned(), decimal),
        "shipping_price_currency": currency,
    });
    for (name, part) in [("shipping_region", part("region")), ("shipping_service", part("service"))] {
        if let Some(part) = part {
            shipping[name] = json!(part);
        }
    }
    Some(shipping)
}

/// `12.50` of 1250.
fn decimal(hundredths: i64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Splits `12.50 EUR` or `EUR 12.50`.
fn amount(text: &str) -> Option<(&str, String)> {
    let (one, other) = text.trim().split_once(char::is_whitespace)?;
    let (one, other) = (one.trim(), other.trim());
    let is_currency = |text: &str| text.len() == 3 && text.bytes().all(|b| b.is_ascii_alphabetic());
    match (is_currency(one), is_currency(other)) {
        (false, true) => Some((one, other.to_ascii_uppercase())),
        (true, false) => Some((other, one.to_ascii_uppercase())),
        _ => None,
    }
}

/// Reads a price in hundredths. All prices of a product are in one currency.
fn price(line: u64, name: &str, text: Option<&str>, currency: &mut Option<String>, wrong: &mut Wrong) -> Option<i64> {
    let text = text?;
    let Some((value, unit)) = amount(text) else {
        let message = format!("must be an amount with its currency, such as 12.50 EUR, got {:?}", clip(text, 40));
        wrong.add(line, name, &message);
        return None;
    };
    let Some(decimals) = minor_units(&unit) else {
        wrong.add(line, name, &format!("{unit} is no currency of ISO 4217"));
        return None;
    };
    match currency {
        Some(known) if *known != unit => {
            wrong.add(
                line,
                name,
                &format!("is in {unit}, and the product has a price in {known}; one currency a product"),
            );
            return None;
        }
        _ => *currency = Some(unit),
    }
    wrong.price(line, name, Some(value), decimals)
}

/// A date is left to the line, which takes it for the whole day. A time without an offset is one of the shop's clocks.
fn time(line: u64, text: &str, zone: &TimeZone, wrong: &mut Wrong) -> Option<Value> {
    let text = text.trim();
    if text.len() == "2026-11-30".len() {
        return Some(json!(text));
    }
    let local = |text: &str| zone.to_timestamp(text.parse::<DateTime>().ok()?).ok();
    let instant = text.parse::<Timestamp>().ok().or_else(|| local(text));
    if instant.is_none() {
        let message = format!("must be times such as 2026-11-01T00:00+0100, got {:?}", clip(text, 40));
        wrong.add(line, "sale_price_effective_date", &message);
    }
    Some(json!(instant?.as_millisecond()))
}

#[cfg(test)]
mod tests;
