//! One item three times: as it would be sent now, as it was sent last, and as Meta shows it.
//!
//! Purpose: what an operator has to see to know whether Meta holds what the shop says.
//! Promises: a difference is reported only where both values are known and cannot mean the same. Meta's read side has other
//! names ([`READ_NAMES`]) and writes some values for people, so values are compared by what they mean: a price by its
//! amount ([`amount`]), a word without case and underscores, a text without the form of its blanks and accents, an address
//! as an address. What cannot be read for certain is [`Agreement::Unclear`], and a field that Meta does not return is
//! [`Agreement::NotTold`].
//! Left out on purpose: attributes and other fields that Meta's read side does not offer under a documented name.

mod amount;

pub use amount::amount;
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization as _;
use url::Url;

/// A JSON object.
pub type Fields = Map<String, Value>;

/// How the values of a field are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Text,
    /// Case and underscores do not count: `IN_STOCK` is `in stock`.
    Word,
    Address,
    Addresses,
    Price,
    /// Meta replaces the value by its own name of the same thing.
    Renamed,
}

/// A field that we send, its name on Meta's read side, and how its values are compared.
const COMPARED: &[(&str, &str, Meaning)] = &[
    ("additional_image_link", "additional_image_urls", Meaning::Addresses),
    ("age_group", "age_group", Meaning::Word),
    ("availability", "availability", Meaning::Word),
    ("brand", "brand", Meaning::Text),
    ("color", "color", Meaning::Text),
    ("condition", "condition", Meaning::Word),
    ("custom_label_0", "custom_label_0", Meaning::Text),
    ("custom_label_1", "custom_label_1", Meaning::Text),
    ("description", "description", Meaning::Text),
    ("gender", "gender", Meaning::Word),
    ("google_product_category", "category", Meaning::Renamed),
    ("gtin", "gtin", Meaning::Text),
    ("id", "retailer_id", Meaning::Text),
    ("image_link", "image_url", Meaning::Address),
    ("item_group_id", "retailer_product_group_id", Meaning::Text),
    ("link", "url", Meaning::Address),
    ("material", "material", Meaning::Text),
    ("mpn", "manufacturer_part_number", Meaning::Text),
    ("pattern", "pattern", Meaning::Text),
    ("price", "price", Meaning::Price),
    ("sale_price", "sale_price", Meaning::Price),
    ("size", "size", Meaning::Text),
    ("title", "name", Meaning::Text),
];

/// The names of the fields to ask Meta for, besides the currency.
pub const READ_NAMES: [&str; COMPARED.len()] = {
    let mut names = [""; COMPARED.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = COMPARED[at].1;
        at += 1;
    }
    names
};

/// The names under which the compared fields are sent.
pub const SENT_NAMES: [&str; COMPARED.len()] = {
    let mut names = [""; COMPARED.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = COMPARED[at].0;
        at += 1;
    }
    names
};

/// What is known of the item. A side that is `None` is unknown; an empty object is an item without any field.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sides<'a> {
    /// What would be sent now.
    pub now: Option<&'a Fields>,
    /// What was sent last, fields that it emptied included.
    pub sent: Option<&'a Fields>,
    /// What Meta shows, by the names of the read side.
    pub meta: Option<&'a Fields>,
}

/// Whether Meta shows what was sent last or, where that is unknown, what would be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Both mean the same.
    Same,
    /// They differ.
    Differs,
    /// Meta has a value that nobody sent from here.
    NotSent,
    /// At least one of the values cannot be read for certain.
    Unclear,
    /// Meta was not asked, or does not tell this field.
    NotTold,
}

impl Agreement {
    /// Its words in the admin API.
    pub const WORDS: [&'static str; 5] = ["same", "differs", "not_sent", "unclear", "not_told"];

    /// Returns its word in the admin API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::NotSent => "not_sent",
            Self::Unclear => "unclear",
            Self::NotTold => "not_told",
        }
    }
}

/// A field of the item on every side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name under which it is sent.
    pub field: String,
    /// The name under which Meta returns it; `None` where it is not compared.
    pub read_as: Option<&'static str>,
    /// What would be sent now; `None` when nothing would.
    pub now: Option<String>,
    /// What was sent last; `None` when nothing was, or it is unknown.
    pub sent: Option<String>,
    /// What Meta shows.
    pub meta: Option<String>,
    /// Whether the next push changes the field. False where the last push is unknown.
    pub changes: bool,
    /// Whether Meta shows what it was sent.
    pub agreement: Agreement,
}

/// Compares the sides field by field, in the order of the names.
#[must_use]
pub fn compare(sides: Sides<'_>) -> Vec<Row> {
    let own = [sides.now, sides.sent].into_iter().flatten().flat_map(Fields::keys).map(String::as_str);
    let read = COMPARED.iter().filter(|(_, read, _)| present(sides.meta, read).is_some()).map(|(field, ..)| *field);
    let mut fields: Vec<&str> = own.chain(read).collect();
    fields.sort_unstable();
    fields.dedup();
    fields.into_iter().map(|field| row(field, sides)).collect()
}

fn row(field: &str, sides: Sides<'_>) -> Row {
    let (now, sent) = (present(sides.now, field), present(sides.sent, field));
    let compared = COMPARED.iter().find(|(name, ..)| *name == field);
    let meta = compared.and_then(|(_, read, _)| present(sides.meta, read));
    let reference = if sides.sent.is_some() { sent } else { now };
    let agreement = match (compared, meta, reference) {
        (Some((.., meaning)), Some(meta), Some(ours)) => {
            agree(*meaning, ours, meta, present(sides.meta, "currency").and_then(Value::as_str))
        }
        (Some(_), Some(_), None) if sides.sent.is_some() || sides.now.is_some() => Agreement::NotSent,
        _ => Agreement::NotTold,
    };
    Row {
        field: field.to_owned(),
        read_as: compared.map(|(_, read, _)| *read),
        now: now.map(shown),
        sent: sent.map(shown),
        meta: meta.map(shown),
        changes: sides.now.is_some() && sides.sent.is_some() && now != sent,
        agreement,
    }
}

/// The value of a field. An empty text or list is how a field is emptied, so it is none.
fn present<'a>(side: Option<&'a Fields>, field: &str) -> Option<&'a Value> {
    side?.get(field).filter(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    })
}

/// Writes a value for people: a list line by line.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(shown).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    }
}

fn agree(meaning: Meaning, ours: &Value, meta: &Value, currency: Option<&str>) -> Agreement {
    let (ours, meta) = (shown(ours), shown(meta));
    let is_same = match meaning {
        Meaning::Text => text(&ours) == text(&meta),
        Meaning::Word => word(&ours) == word(&meta),
        Meaning::Address => address(&ours) == address(&meta),
        Meaning::Addresses => ours.lines().map(address).eq(meta.lines().map(address)),
        Meaning::Price => {
            let (own_amount, own_currency) = match ours.rsplit_once(' ') {
                Some((number, code)) => (amount(number, code), code),
                None => return Agreement::Unclear,
            };
            let currency = currency.unwrap_or(own_currency);
            match (own_amount, amount(&meta, currency)) {
                (Some(_), Some(_)) if currency != own_currency => false,
                (Some(ours), Some(meta)) => ours == meta,
                _ => return Agreement::Unclear,
            }
        }
        Meaning::Renamed if text(&ours) == text(&meta) => true,
        Meaning::Renamed => return Agreement::Unclear,
    };
    if is_same { Agreement::Same } else { Agreement::Differs }
}

/// A text in one form: composed characters, single blanks.
fn text(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").nfc().collect()
}

fn word(word: &str) -> String {
    text(&word.replace('_', " ")).to_lowercase()
}

/// An address in one form, its query kept.
fn address(address: &str) -> String {
    Url::parse(address.trim()).map_or_else(|_| address.trim().to_owned(), String::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        match value {
            Value::Object(fields) => fields,
            other => panic!("{other} is no object"),
        }
    }

    /// The row of the only field of what was sent and of what Meta shows.
    fn agreement(sent: Value, meta: Value) -> Agreement {
        let (sent, meta) = (fields(sent), fields(meta));
        let rows = compare(Sides { now: None, sent: Some(&sent), meta: Some(&meta) });
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows[0].agreement
    }

    #[test]
    fn values_are_compared_by_what_they_mean() {
        use Agreement::{Differs, NotSent, NotTold, Same, Unclear};
        for (sent, meta, expected) in [
            (json!({"title": "Blue  shirt"}), json!({"name": "Blue shirt "}), Same),
            (json!({"title": "Caf\u{e9}"}), json!({"name": "Cafe\u{301}"}), Same),
            (json!({"title": "Blue shirt"}), json!({"name": "blue shirt"}), Differs),
            (json!({"title": "Blue shirt"}), json!({}), NotTold),
            (json!({"title": "Blue shirt"}), json!({"name": null}), NotTold),
            (json!({"title": "Blue shirt"}), json!({"name": ""}), NotTold),
            (json!({"color": ""}), json!({"color": "red"}), NotSent),
            (json!({}), json!({"color": "red"}), NotSent),
            (json!({"availability": "in stock"}), json!({"availability": "IN_STOCK"}), Same),
            (json!({"availability": "in stock"}), json!({"availability": "out of stock"}), Differs),
            (json!({"link": "https://Shop.example/a?b=1"}), json!({"url": "https://shop.example:443/a?b=1"}), Same),
            (json!({"link": "https://shop.example/a?b=1"}), json!({"url": "https://shop.example/a"}), Differs),
            (json!({"link": "no address"}), json!({"url": "no address"}), Same),
            (
                json!({"additional_image_link": ["https://s.example/1", "https://s.example/2"]}),
                json!({"additional_image_urls": ["https://s.example/1", "https://s.example/2"]}),
                Same,
            ),
            (
                json!({"additional_image_link": ["https://s.example/1"]}),
                json!({"additional_image_urls": ["https://s.example/1", "https://s.example/2"]}),
                Differs,
            ),
            (json!({"google_product_category": "Apparel"}), json!({"category": "Apparel"}), Same),
            (json!({"google_product_category": "1604"}), json!({"category": "Apparel & Accessories"}), Unclear),
            (json!({"price": "299.00 INR"}), json!({"price": "₹299.00", "currency": "INR"}), Same),
            (json!({"price": "299.00 INR"}), json!({"price": "₹299.00"}), Same),
            (json!({"price": "299.00 INR"}), json!({"price": "₹199.00", "currency": "INR"}), Differs),
            (json!({"price": "299.00 INR"}), json!({"price": "$299.00", "currency": "USD"}), Differs),
            (json!({"price": "299.00 INR"}), json!({"price": "ask us", "currency": "INR"}), Unclear),
            (json!({"price": "299.00"}), json!({"price": "₹299.00", "currency": "INR"}), Unclear),
            (json!({"gtin": 5}), json!({"gtin": "5"}), Same),
            // Not asked for under any name.
            (json!({"internal_label": ["a"]}), json!({"internal_label": ["b"]}), NotTold),
        ] {
            assert_eq!(agreement(sent.clone(), meta.clone()), expected, "{sent} {meta}");
        }
    }

    #[test]
    fn rows_show_every_side_and_what_the_next_push_changes() {
        let now = fields(json!({"title": "New", "price": "1.00 EUR", "size": "M"}));
        let sent = fields(json!({"title": "Old", "price": "1.00 EUR", "color": "", "brand": "Acme"}));
        let meta = fields(json!({"name": "Old", "currency": "EUR"}));
        let rows = compare(Sides { now: Some(&now), sent: Some(&sent), meta: Some(&meta) });
        let told: Vec<_> = rows.iter().map(|row| (&*row.field, row.changes, row.agreement.as_str())).collect();
        assert_eq!(
            told,
            [
                ("brand", true, "not_told"),
                // It is emptied already.
                ("color", false, "not_told"),
                ("price", false, "not_told"),
                ("size", true, "not_told"),
                ("title", true, "same"),
            ]
        );
        assert_eq!((rows[4].read_as, rows[4].meta.as_deref()), (Some("name"), Some("Old")));
        assert_eq!(rows[1].sent, None, "an emptied field has no value");
    }

    #[test]
    fn an_unknown_side_is_no_difference() {
        let now = fields(json!({"title": "New"}));
        let meta = fields(json!({"name": "Old"}));
        let only_now = compare(Sides { now: Some(&now), ..Sides::default() });
        assert_eq!((only_now[0].changes, only_now[0].agreement), (false, Agreement::NotTold));
        // Without the last push, Meta is compared with the next one.
        let rows = compare(Sides { now: Some(&now), sent: None, meta: Some(&meta) });
        assert_eq!((rows[0].changes, rows[0].agreement), (false, Agreement::Differs));
        assert_eq!(compare(Sides { meta: Some(&meta), ..Sides::default() })[0].agreement, Agreement::NotTold);
        assert!(compare(Sides::default()).is_empty());
    }

    #[test]
    fn the_table_is_sorted_and_names_each_field_once() {
        assert!(COMPARED.is_sorted_by(|a, b| a.0 < b.0));
        let mut read = READ_NAMES.to_vec();
        read.sort_unstable();
        read.dedup();
        assert_eq!(read.len(), COMPARED.len());
    }
}
