//! The fields of `items_batch` that the built-in mapping does not make: a shop gives them as `attributes`.
//!
//! One table holds name, type and bounds (source: Meta's reference of `items_batch` for products, and for limits that it
//! does not give, the reference of catalog fields). [`check`] accepts a value and returns its canonical form.

use serde_json::{Map, Value};

/// The type of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeKind {
    /// A text of at most so many characters.
    Text(usize),
    /// One of these words.
    Word(&'static [&'static str]),
    /// An absolute http(s) URL.
    Url,
    /// A day as `YYYY-MM-DD`.
    Day,
    /// A country as ISO 3166 alpha-2.
    Country,
    /// A weight such as `10 kg`.
    Weight,
    /// A whole number in this range.
    Whole(i64, i64),
    /// A number from 1 to 5.
    Rating,
    /// A list of at most so many texts of at most so many characters.
    Texts(usize, usize),
    /// A list of objects with these fields.
    Objects(&'static [Part]),
    /// An object with these fields; with none, any texts.
    Object(&'static [Part]),
}

/// A field of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Whether an object without it is refused.
    pub is_required: bool,
    /// Its type.
    pub kind: PartKind,
}

/// The type of a field of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// A text.
    Text,
    /// A number of zero or more, or a text that is one.
    Number,
    /// An absolute http(s) URL.
    Url,
    /// A country as ISO 3166 alpha-2.
    Country,
    /// A currency of ISO 4217.
    Currency,
    /// A list of texts.
    Texts,
}

/// What is known about an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributeSpec {
    /// Its name at Meta.
    pub name: &'static str,
    /// Its type.
    pub kind: AttributeKind,
}

/// The attributes that an option of the variant beats: the built-in mapping makes them of options.
#[cfg(test)]
const FALLBACKS: [&str; 4] = ["color", "material", "pattern", "size"];

const TEXT: usize = 5_000;

const fn part(name: &'static str, is_required: bool, kind: PartKind) -> Part {
    Part { name, is_required, kind }
}

const SHIPPING: &[Part] = &[
    part("shipping_country", true, PartKind::Country),
    part("shipping_region", false, PartKind::Text),
    part("shipping_service", false, PartKind::Text),
    part("shipping_price_value", true, PartKind::Number),
    part("shipping_price_currency", true, PartKind::Currency),
];
const VIDEO: &[Part] = &[part("url", true, PartKind::Url), part("tag", false, PartKind::Texts)];
const ADDRESS: &[Part] = &[
    part("street1", true, PartKind::Text),
    part("street2", false, PartKind::Text),
    part("city", true, PartKind::Text),
    part("region", false, PartKind::Text),
    part("postal_code", false, PartKind::Text),
    part("country", true, PartKind::Country),
];

macro_rules! attributes {
    ($($name:literal: $kind:expr;)*) => {
        /// Every attribute, sorted bytewise by name.
        pub const ATTRIBUTES: &[AttributeSpec] = &[$(AttributeSpec { name: $name, kind: $kind }),*];
    };
}

use AttributeKind::{Country, Day, Object, Objects, Rating, Text, Texts, Url, Weight, Whole, Word};

attributes! {
    "additional_variant_attribute": Text(TEXT);
    "age_group": Word(&["newborn", "infant", "toddler", "kids", "teen", "adult", "all ages"]);
    "applink": Object(&[]);
    "color": Text(100);
    "custom_label_2": Text(100);
    "custom_label_3": Text(100);
    "custom_label_4": Text(100);
    "custom_number_0": Whole(0, 4_294_967_295);
    "custom_number_1": Whole(0, 4_294_967_295);
    "custom_number_2": Whole(0, 4_294_967_295);
    "custom_number_3": Whole(0, 4_294_967_295);
    "custom_number_4": Whole(0, 4_294_967_295);
    "disabled_capabilities": Texts(100, 100);
    "expiration_date": Day;
    "fb_product_category": Text(250);
    "gender": Word(&["female", "male", "unisex"]);
    "importer_address": Object(ADDRESS);
    "importer_name": Text(TEXT);
    "internal_label": Texts(5_000, 110);
    "manufacturer_info": Text(TEXT);
    "material": Text(200);
    "mobile_link": Url;
    "ordering_index": Whole(0, 4_294_967_295);
    "origin_country": Country;
    "pattern": Text(100);
    "product_type": Text(750);
    "quantity_to_sell_on_facebook": Whole(1, 4_294_967_295);
    "rating_count": Whole(1, 4_294_967_295);
    "rich_text_description": Text(9_999);
    "shipping": Objects(SHIPPING);
    "shipping_weight": Weight;
    "short_description": Text(TEXT);
    "size": Text(200);
    "status": Word(&["active", "archived"]);
    "user_rating": Rating;
    "vendor_id": Text(100);
    "video": Objects(VIDEO);
    "wa_compliance_category": Word(&["COUNTRY_ORIGIN_EXEMPT", "DEFAULT"]);
}

/// The spec of an attribute, if there is one of this name.
#[must_use]
pub fn attribute(name: &str) -> Option<&'static AttributeSpec> {
    ATTRIBUTES.binary_search_by(|spec| spec.name.cmp(name)).ok().map(|index| &ATTRIBUTES[index])
}

impl AttributeSpec {
    /// The name as a payload lists it, with its kind: `name` is a text, `name[]` a list and `name{}` something else.
    #[must_use]
    pub fn listed(&self) -> String {
        match self.kind {
            Texts(..) | Objects(_) => format!("{}[]", self.name),
            Object(_) | Whole(..) | Rating => format!("{}{{}}", self.name),
            _ => self.name.to_owned(),
        }
    }

    /// The word that means the same as none, for a field whose old value an empty text would not take back: an archived
    /// item has to be active again.
    #[must_use]
    pub fn neutral(&self) -> Option<&'static str> {
        match self.name {
            "status" => Some("active"),
            "wa_compliance_category" => Some("DEFAULT"),
            _ => None,
        }
    }

    /// Whether it is a number, which is cleared like a text.
    #[must_use]
    pub fn is_number(&self) -> bool {
        matches!(self.kind, Whole(..) | Rating)
    }
}

/// Whether a value says nothing.
pub(crate) fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Checks an attribute and returns its spec and its canonical value.
///
/// # Errors
/// What is wrong with it and what it takes, to stand behind its name: `takes a whole number from 1 to 4294967295`.
pub fn check(name: &str, value: &Value) -> Result<(&'static AttributeSpec, Value), String> {
    let Some(spec) = attribute(name) else {
        return Err("is no field that a shop can give".into());
    };
    let value = match spec.kind {
        Text(most) => text(value, most),
        Word(words) => {
            let given = value.as_str().map(str::trim);
            let word = given.and_then(|given| words.iter().find(|word| word.eq_ignore_ascii_case(given)));
            word.map(|word| Value::from(*word)).ok_or_else(|| format!("takes {}", words.join(", ")))
        }
        Url => web_address(value),
        Day => {
            let day =
                value.as_str().map(str::trim).filter(|day| day.len() == 10 && day.parse::<jiff::civil::Date>().is_ok());
            day.map(Value::from).ok_or_else(|| "takes a day such as 2026-11-30".into())
        }
        Country => country(value),
        Weight => weight(value).ok_or_else(|| "takes a weight such as 10 kg (lb, oz, g, kg)".into()),
        Whole(low, high) => {
            let number = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
            let number = number.filter(|number| (low..=high).contains(number));
            number.map(Value::from).ok_or_else(|| format!("takes a whole number from {low} to {high}"))
        }
        Rating => {
            let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
            let number = number.filter(|number| (1.0..=5.0).contains(number));
            // `5` and `5.0` are one rating.
            let canonical = number.map(|number| match number {
                whole if whole.fract() == 0.0 => Value::from(whole as i64),
                other => Value::from(other),
            });
            canonical.ok_or_else(|| "takes a number from 1 to 5".into())
        }
        Texts(most, longest) => texts(value, most, longest),
        Objects(parts) => match value {
            Value::Array(list) if list.len() <= 100 => {
                list.iter().map(|element| object(element, parts)).collect::<Result<Vec<_>, _>>().map(Value::from)
            }
            Value::Array(_) => Err("takes at most 100 objects".into()),
            _ => Err(format!("takes a list of objects with {}", names(parts))),
        },
        Object(parts) => object(value, parts),
    };
    value.map(|value| (spec, value))
}

fn text(value: &Value, most: usize) -> Result<Value, String> {
    let text = value.as_str().map(crate::text::line).filter(|text| text.chars().count() <= most);
    text.map(|text| Value::from(text.into_owned())).ok_or_else(|| format!("takes a text of at most {most} characters"))
}

fn texts(value: &Value, most: usize, longest: usize) -> Result<Value, String> {
    let refuse = || format!("takes a list of at most {most} texts of at most {longest} characters");
    let list = value.as_array().filter(|list| list.len() <= most).ok_or_else(refuse)?;
    let texts: Result<Vec<_>, _> = list.iter().map(|element| text(element, longest).map_err(|_| refuse())).collect();
    Ok(texts?.into_iter().filter(|text| !is_absent(text)).collect())
}

fn web_address(value: &Value) -> Result<Value, String> {
    let url = value.as_str().map(str::trim).filter(|url| crate::url::is_absolute(url));
    url.map(|url| Value::from(crate::url::clean(url).into_owned())).ok_or_else(|| "takes an http(s) URL".into())
}

fn country(value: &Value) -> Result<Value, String> {
    let code = value.as_str().map(str::trim);
    let code = code.filter(|code| code.len() == 2 && code.bytes().all(|b| b.is_ascii_alphabetic()));
    code.map(|code| Value::from(code.to_ascii_uppercase())).ok_or_else(|| "takes a country code such as IN".into())
}

fn names(parts: &[Part]) -> String {
    parts.iter().map(|part| part.name).collect::<Vec<_>>().join(", ")
}

fn object(value: &Value, parts: &[Part]) -> Result<Value, String> {
    let Value::Object(fields) = value else {
        return Err(match parts {
            [] => "takes an object of texts".into(),
            _ => format!("takes an object with {}", names(parts)),
        });
    };
    let mut canonical = Map::new();
    for (name, value) in fields {
        let kind = match parts.iter().find(|part| part.name == name) {
            Some(part) => part.kind,
            None if parts.is_empty() => PartKind::Text,
            None => return Err(format!("has no {}; it takes {}", crate::text::cut(name, 50), names(parts))),
        };
        if is_absent(value) {
            continue;
        }
        let checked = match kind {
            PartKind::Text => text(value, TEXT),
            PartKind::Texts => texts(value, 100, 200),
            PartKind::Url => web_address(value),
            PartKind::Country => country(value),
            PartKind::Currency => {
                let code = value.as_str().map(|code| code.trim().to_ascii_uppercase());
                let code = code.filter(|code| crate::minor_units(code).is_some());
                code.map(Value::from).ok_or_else(|| "takes a currency code of ISO 4217 such as INR".into())
            }
            PartKind::Number => match value {
                Value::String(text) if is_decimal(text.trim()) => Ok(Value::from(text.trim())),
                Value::Number(number) if number.as_f64().is_some_and(|number| (0.0..1e12).contains(&number)) => {
                    Ok(value.clone())
                }
                _ => Err("takes a number of zero or more".into()),
            },
        };
        let checked: Value = checked.map_err(|problem: String| format!("{name}: {problem}"))?;
        if is_absent(&checked) {
            continue;
        }
        canonical.insert(name.clone(), checked);
    }
    match parts.iter().find(|part| part.is_required && !canonical.contains_key(part.name)) {
        Some(missing) => Err(format!("needs {}", missing.name)),
        None => Ok(Value::Object(canonical)),
    }
}

fn is_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit());
    digits(whole) && digits(fraction)
}

/// `10 kg`, however it is spaced and cased.
fn weight(value: &Value) -> Option<Value> {
    let text = value.as_str()?.trim();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = (text[..unit_at].trim(), text[unit_at..].to_ascii_lowercase());
    (is_decimal(number) && ["lb", "oz", "g", "kg"].contains(&&*unit)).then(|| Value::from(format!("{number} {unit}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_is_sorted_and_holds_nothing_else_that_the_built_in_mapping_makes() {
        assert!(ATTRIBUTES.is_sorted_by(|a, b| a.name < b.name));
        let made: Vec<_> =
            ATTRIBUTES.iter().map(|spec| spec.name).filter(|name| crate::field(name).is_some()).collect();
        assert_eq!(made, FALLBACKS);
    }

    #[test]
    fn values_are_made_canonical_or_refused_with_what_is_taken() {
        let taken = [
            ("gender", json!(" Female "), json!("female")),
            ("custom_number_0", json!(7), json!(7)),
            ("custom_number_0", json!("7"), json!(7)),
            ("shipping_weight", json!("1.5KG"), json!("1.5 kg")),
            ("origin_country", json!("in"), json!("IN")),
            ("expiration_date", json!("2026-11-30"), json!("2026-11-30")),
            ("internal_label", json!(["a", " b "]), json!(["a", "b"])),
            ("user_rating", json!(4.5), json!(4.5)),
            ("user_rating", json!("5.0"), json!(5)),
            ("internal_label", json!(["a", " "]), json!(["a"])),
            ("mobile_link", json!("HTTPS://M.example/a b"), json!("https://m.example/a%20b")),
            (
                "video",
                json!([{"url": "https://v.example/1.mp4", "tag": []}]),
                json!([{"url": "https://v.example/1.mp4"}]),
            ),
            ("applink", json!({"ios_url": "shop://1"}), json!({"ios_url": "shop://1"})),
            (
                "shipping",
                json!([{"shipping_price_value": "9.99", "shipping_country": "US", "shipping_price_currency": "USD"}]),
                json!([{"shipping_country": "US", "shipping_price_currency": "USD", "shipping_price_value": "9.99"}]),
            ),
        ];
        for (name, given, expected) in taken {
            assert_eq!(check(name, &given).map(|(_, value)| value), Ok(expected), "{name} {given}");
        }
        let refused = [
            ("gendre", json!("x"), "no field"),
            ("gender", json!("woman"), "female, male, unisex"),
            ("custom_number_0", json!(-1), "from 0"),
            ("custom_number_0", json!(1.5), "whole number"),
            ("quantity_to_sell_on_facebook", json!(0), "from 1"),
            ("expiration_date", json!("30.11.2026"), "2026-11-30"),
            ("shipping_weight", json!("10 stone"), "10 kg"),
            ("shipping", json!([{"shipping_country": "US"}]), "needs shipping_price_value"),
            ("shipping", json!("US:::9 USD"), "list of objects"),
            ("video", json!([{"src": "x"}]), "it takes url, tag"),
            ("video", json!([{"url": "not a url"}]), "http(s) URL"),
            (
                "shipping",
                json!([{"shipping_country": "US", "shipping_price_value": -5, "shipping_price_currency": "USD"}]),
                "shipping_price_value: takes a number of zero or more",
            ),
            (
                "shipping",
                json!([{"shipping_country": "US", "shipping_price_value": 5, "shipping_price_currency": "ZZZ"}]),
                "shipping_price_currency: takes a currency",
            ),
            ("user_rating", json!(5.5), "1 to 5"),
            ("custom_label_2", json!("x".repeat(101)), "100 characters"),
        ];
        for (name, given, told) in refused {
            let problem = check(name, &given).expect_err("refused");
            assert!(problem.contains(told), "{name} {given}: {problem}");
        }
    }
}
