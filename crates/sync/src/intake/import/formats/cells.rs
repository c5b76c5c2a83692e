//! What the formats of other systems share: cells, what is wrong with them, and the record that they become.

use jiff::tz::TimeZone;
use mapper_core::check_attribute;
use serde_json::{Map, Value};

use super::decimal::hundredths;
use crate::domain::record::{Given, ProductRecord};
use crate::intake::import::line::Refusal;
use crate::intake::import::parse_in;
use crate::report::clip;

/// The most refusals of one product.
const MAX_REFUSALS: usize = 20;

/// Returns a cell without blanks around it; `None` when it is empty or absent.
pub(super) fn cell(cells: &csv::StringRecord, column: Option<usize>) -> Option<&str> {
    let text = cells.get(column?)?.trim();
    (!text.is_empty()).then_some(text)
}

/// A spreadsheet keeps a code as text behind an apostrophe, which is no part of it.
pub(super) fn without_apostrophe(text: &str) -> &str {
    text.strip_prefix('\'').unwrap_or(text)
}

/// Reads an import line that a format made.
///
/// An attribute that Meta would not take does not keep the product away: it is left to the mapper, which leaves it out and
/// warns of it.
pub(super) fn record(mut line: Value, zone: &TimeZone) -> Result<ProductRecord, Vec<Refusal>> {
    let of_product = set_aside(&mut line);
    let variants = line.get_mut("variants").and_then(Value::as_array_mut);
    let of_variants: Vec<Map<String, Value>> = variants.into_iter().flatten().map(set_aside).collect();
    let mut record = parse_in(line.to_string().as_bytes(), zone)?;
    put_back(&mut record.given, of_product);
    for (variant, attributes) in record.variants.iter_mut().zip(of_variants) {
        put_back(&mut variant.given, attributes);
    }
    Ok(record)
}

/// Takes out the attributes that Meta would not take. Long ones stay, to be refused.
fn set_aside(object: &mut Value) -> Map<String, Value> {
    let Some(Value::Object(attributes)) = object.get_mut("attributes") else { return Map::new() };
    let (aside, rest) = std::mem::take(attributes)
        .into_iter()
        .partition(|(name, value)| check_attribute(name, value).is_err() && value.to_string().len() <= MAX_ASIDE_BYTES);
    *attributes = rest;
    aside
}

fn put_back(given: &mut Given, attributes: Map<String, Value>) {
    if !attributes.is_empty() {
        given.attributes.get_or_insert_default().extend(attributes);
    }
}

/// The longest attribute that is left to the mapper.
const MAX_ASIDE_BYTES: usize = 1_000;

/// Writes a weight as Meta takes it: `.5 lbs`, `0,3kg` and `1. KG` become `0.5 lb`, `0.3 kg` and `1 kg`. `None` for no
/// weight.
pub(super) fn weight(text: &str) -> Option<String> {
    let text = text.trim().replace(',', ".").to_lowercase();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = (text[..unit_at].trim().trim_end_matches('.'), &text[unit_at..]);
    let unit = match unit {
        "lbs" => "lb",
        "kgs" => "kg",
        "gr" | "gram" | "grams" => "g",
        unit => unit,
    };
    let has_weight = number.bytes().any(|b| matches!(b, b'1'..=b'9'));
    let zero = if number.starts_with('.') { "0" } else { "" };
    has_weight.then(|| format!("{zero}{number} {unit}"))
}

/// What is wrong with a product.
#[derive(Debug, Default)]
pub(super) struct Wrong(Vec<Refusal>);

impl Wrong {
    /// Adds what is wrong with a column of the row that begins on this line.
    pub(super) fn add(&mut self, line: u64, column: &str, message: &str) {
        if self.0.len() < MAX_REFUSALS {
            self.0.push(Refusal { path: column.to_owned(), message: format!("{message} (line {line})") });
        }
    }

    /// Reads a price in hundredths. `decimals` is the number of decimals of its currency.
    pub(super) fn price(&mut self, line: u64, column: &str, text: Option<&str>, decimals: u32) -> Option<i64> {
        self.read_price(line, column, text, |text| hundredths(text, decimals))
    }

    /// Reads a price in this way.
    pub(super) fn read_price(
        &mut self,
        line: u64,
        column: &str,
        text: Option<&str>,
        read: impl FnOnce(&str) -> Result<i64, String>,
    ) -> Option<i64> {
        let text = text?;
        match read(text) {
            Ok(price) => Some(price),
            Err(message) => {
                self.add(line, column, &format!("{message}, got {:?}", clip(text, 40)));
                None
            }
        }
    }

    /// Returns the refusals, if there are any.
    pub(super) fn into_result<T>(self, good: impl FnOnce() -> Result<T, Vec<Refusal>>) -> Result<T, Vec<Refusal>> {
        if self.0.is_empty() { good() } else { Err(self.0) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_attribute_that_meta_refuses_is_left_to_the_mapper() {
        let line = json!({
            "id": "p", "title": "P", "status": "active", "visibility": "public", "attributes": { "gender": "male", "age_group": "young" },
            "variants": [{ "id": "v", "attributes": { "shipping_weight": "10 stone" } }],
        });
        let record = record(line, &TimeZone::UTC).expect("taken");
        let attributes = |given: &Given| serde_json::to_value(&given.attributes).expect("serializable");
        assert_eq!(attributes(&record.given), json!({ "gender": "male", "age_group": "young" }));
        assert_eq!(attributes(&record.variants[0].given), json!({ "shipping_weight": "10 stone" }));
        let long = json!({ "id": "p", "title": "P", "status": "active", "visibility": "public", "attributes": { "gender": "x".repeat(2_000) }, "variants": [] });
        let refused = super::record(long, &TimeZone::UTC).expect_err("too long to keep");
        assert_eq!(refused[0].path, "attributes.gender");
        assert!(super::record(Value::Null, &TimeZone::UTC).is_err());
    }

    #[test]
    fn weights_are_written_as_meta_takes_them() {
        for (text, expected) in [
            ("0.5 lbs", Some("0.5 lb")),
            (".5 lb", Some("0.5 lb")),
            ("0,3kg", Some("0.3 kg")),
            ("1. KG", Some("1 kg")),
            ("250 grams", Some("250 g")),
            ("10 stone", Some("10 stone")),
            ("0 kg", None),
            ("12", None),
            ("", None),
        ] {
            assert_eq!(weight(text).as_deref(), expected, "{text}");
        }
    }
}
