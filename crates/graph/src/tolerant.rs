//! Parsing of Meta's JSON where the documentation and the captures disagree on types.
//!
//! Purpose: serde helpers for fields that are a text or a number, a list or `null`, or missing.
//! Promises: never panics; a number is read from an integer, a float or a text; an id is read from a text or a number,
//! and is refused, not altered, when it is unusable ([`words::id`]); a text is at most as long as a message may be.
//! Left out on purpose: guessing values. An unreadable value is an error or `None`, never a plausible default.

use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::words::{self, LONGEST_MESSAGE, LONGEST_TOKEN};

/// A text, or the decimal text of a number, in the length of a message.
pub(super) fn as_text(value: &Value) -> Option<String> {
    let mut text = as_whole_text(value)?;
    words::shorten(&mut text, LONGEST_MESSAGE);
    Some(text)
}

/// A text, or the decimal text of a number, in its whole length. For texts that are shortened later, and for links.
pub(super) fn as_whole_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        // `12.0` is an id that passed through a float.
        Value::Number(number) => {
            let text = number.to_string();
            Some(text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A finite number, from a number or a text of one.
pub(super) fn as_f64(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.filter(|number| number.is_finite())
}

/// An integer, from an integer, a float (its fraction is dropped) or a text of either.
pub(super) fn as_i64(value: &Value) -> Option<i64> {
    let exact = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    // `as` saturates, which is the intended result for an absurdly large float.
    exact.or_else(|| as_f64(value).map(|number| number as i64))
}

/// A non-negative integer; see [`as_i64`].
pub(super) fn as_u64(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| as_i64(value).and_then(|number| u64::try_from(number).ok()))
}

/// Serde: a required id.
pub(super) fn id<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    words::id(&Value::deserialize(input)?).map_err(serde::de::Error::custom)
}

/// Serde: an id; `None` when it is missing, `null` or unusable.
pub(super) fn id_or_none<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    Ok(words::id(&Value::deserialize(input)?).ok())
}

/// Serde: a cursor; `None` when it is missing, `null` or unusable.
pub(super) fn cursor_or_none<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    let cursor = as_whole_text(&Value::deserialize(input)?);
    Ok(cursor.filter(|cursor| words::opaque(cursor, LONGEST_TOKEN).is_ok()))
}

/// Serde: a link in its whole length; `None` when it is missing, `null` or of another type.
pub(super) fn link_or_none<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    Ok(as_whole_text(&Value::deserialize(input)?))
}

/// Serde: a required short text.
pub(super) fn text<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let value = Value::deserialize(input)?;
    as_text(&value).ok_or_else(|| serde::de::Error::custom("expected a text or a number"))
}

/// Serde: a text; `None` when it is missing, `null` or of another type.
pub(super) fn text_or_none<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    Ok(as_text(&Value::deserialize(input)?))
}

/// Serde: a text; `None` when it is missing or `null`, an error when it is of another type.
pub(super) fn text_if_any<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(input)? {
        Value::Null => Ok(None),
        value => as_text(&value).map(Some).ok_or_else(|| serde::de::Error::custom("expected a text or a number")),
    }
}

/// Serde: a count; `None` when it is missing or `null`, an error when it is none.
pub(super) fn u64_if_any<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    match Value::deserialize(input)? {
        Value::Null => Ok(None),
        value => as_u64(&value).map(Some).ok_or_else(|| serde::de::Error::custom("expected a count")),
    }
}

/// Serde: a list of texts in which each counts: numbers are converted to text, `null` is none, another value is an
/// error.
pub(super) fn complete_text_list<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let values = elements(Value::deserialize(input)?);
    let texts = values.iter().filter(|value| !value.is_null()).map(as_text);
    texts.collect::<Option<_>>().ok_or_else(|| serde::de::Error::custom("expected a list of texts"))
}

/// Serde: a count or a duration; `None` when it is missing, `null` or of another type.
pub(super) fn u64_or_none<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    Ok(as_u64(&Value::deserialize(input)?))
}

/// Serde: a list; `null` is an empty one.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(input: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(input)?.unwrap_or_default())
}

/// Serde: a list of texts; numbers are converted to text, other values are skipped.
pub(super) fn text_list<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    Ok(elements(Value::deserialize(input)?).iter().filter_map(as_text).collect())
}

/// Serde: a list of `{"message": …}` or of plain texts; elements without a message are skipped.
pub(super) fn message_list<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let values = elements(Value::deserialize(input)?);
    Ok(values.iter().filter_map(|value| as_text(value.get("message").unwrap_or(value))).collect())
}

/// Serde: a list; unreadable elements are skipped.
pub(super) fn readable_list<'de, D: Deserializer<'de>, T: DeserializeOwned>(input: D) -> Result<Vec<T>, D::Error> {
    let values = elements(Value::deserialize(input)?);
    Ok(values.into_iter().filter_map(|value| T::deserialize(value).ok()).collect())
}

/// Serde: a required secret.
pub(super) fn secret<'de, D: Deserializer<'de>>(input: D) -> Result<SecretString, D::Error> {
    let text = String::deserialize(input)?;
    let usable = text.is_ascii() && words::opaque(&text, LONGEST_TOKEN).is_ok();
    if usable { Ok(text.into()) } else { Err(serde::de::Error::custom("expected a secret")) }
}

/// The elements of a list; no element for `null`, and one for any other value.
pub(super) fn elements(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        Value::Null => Vec::new(),
        lone @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            vec![lone]
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_from_every_spelling() {
        let cases = [
            (json!(7), Some(7)),
            (json!(7.0), Some(7)),
            (json!("7"), Some(7)),
            (json!(" 7.9 "), Some(7)),
            (json!(-1), None),
            (json!("seven"), None),
            (json!(null), None),
            (json!(true), None),
            (json!([7]), None),
            (json!(u64::MAX), Some(u64::MAX)),
        ];
        for (given, expected) in cases {
            assert_eq!(as_u64(&given), expected, "{given}");
        }
        assert_eq!(as_f64(&json!("NaN")), None);
        assert_eq!(as_f64(&json!("inf")), None);
    }

    #[test]
    fn ids_are_read_from_text_and_number() {
        assert_eq!(as_text(&json!("sku-1")), Some("sku-1".to_owned()));
        assert_eq!(as_text(&json!(10_000_000_000_000_000_u64)), Some("10000000000000000".to_owned()));
        assert_eq!(as_text(&json!(12.0)), Some("12".to_owned()));
        assert_eq!(as_text(&json!(1.5)), Some("1.5".to_owned()));
        assert_eq!(as_text(&json!({"id": 1})), None);
    }
}
