//! Meta's words: the one place where text from outside enters.
//!
//! Purpose: a control character or a message of a megabyte in an answer must not reach a log, a page or a database. A
//! NUL, for instance, makes PostgreSQL refuse the whole transaction.
//! Promises: every answer and every header that holds JSON is read by [`parse`] and [`bound`], before any type of this
//! crate sees it. So a new field cannot forget it: no text has a control character or an override of the writing
//! direction, and none is longer than [`LONGEST_TEXT`]. Text that is shown is cut to [`LONGEST_MESSAGE`] besides. An
//! identifier of Meta's is never altered: [`id`] refuses one that is empty, too long or was cleaned. Our own ids come
//! back cleaned like any text; [`shown_cleaned`] recognises them.
//! Left out on purpose: secrets in texts ([`super::redact`] removes them, before a text is cut: a cut secret would not
//! be recognised).

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

/// The longest text of a successful answer, in characters. Links and tokens are longer than messages.
const LONGEST_TEXT: usize = 16_384;
/// The longest text that is shown, in characters.
pub const LONGEST_MESSAGE: usize = 2_000;
/// The longest identifier, in characters. Handles are about a hundred long, ids about twenty.
pub(super) const LONGEST_ID: usize = 1_000;
/// The longest handle, in bytes: Meta's have about a hundred. It is a key of the database.
const LONGEST_HANDLE: usize = 255;
/// The most handles of one call. Meta documents one.
const MOST_HANDLES: usize = 8;
/// The most values of an answer. The largest answer has some twenty values for each of 5,000 rows.
const MOST_VALUES: usize = 500_000;
/// The longest token or cursor, in characters.
pub(super) const LONGEST_TOKEN: usize = 4_096;

/// Stands for a character that cannot be shown.
const UNREADABLE: char = char::REPLACEMENT_CHARACTER;

/// Returns at most so many characters of a text, and `…` behind them where more follow.
#[must_use]
pub fn clip(text: &str, most_chars: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most_chars) {
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
        None => Cow::Borrowed(text),
    }
}

/// Parses JSON and cleans every text in it, keys included.
pub(super) fn parse(json: &[u8]) -> Result<Value, serde_json::Error> {
    // Counted before they are built: a value takes up to a hundred times its text.
    if most_values(json) > MOST_VALUES {
        return Err(serde::de::Error::custom("too many values"));
    }
    let mut value = serde_json::from_slice(json)?;
    each_text(&mut value, &clean);
    Ok(value)
}

/// Returns a number that the values in a JSON text do not exceed.
fn most_values(json: &[u8]) -> usize {
    let (mut values, mut in_text, mut escaped) = (1, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
    }
    values
}

/// Bounds the length of every text in a value, keys included.
pub(super) fn bound(value: &mut Value) {
    each_text(value, &|text| shorten(text, LONGEST_TEXT));
}

/// Replaces what cannot be shown: line breaks and tabs by a blank, every other control character and every override of
/// the writing direction by the replacement character.
pub(super) fn clean(text: &mut String) {
    if text.chars().any(|c| replacement(c).is_some()) {
        *text = text.chars().map(|c| replacement(c).unwrap_or(c)).collect();
    }
}

/// Cuts a text that is longer than so many characters.
pub(super) fn shorten(text: &mut String, most_chars: usize) {
    if let Cow::Owned(cut) = clip(text, most_chars) {
        *text = cut;
    }
}

/// Why a text is no identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoId {
    #[error("it is neither a text nor a whole number")]
    WrongType,
    #[error("it is empty")]
    Empty,
    #[error("it is longer than {0} characters")]
    TooLong(usize),
    #[error("it has characters other than ASCII")]
    NotAscii,
    #[error("there are {0} of them, at most {MOST_HANDLES} are taken")]
    TooMany(usize),
    #[error("it has blanks or control characters")]
    Unreadable,
}

/// Returns an opaque identifier exactly as Meta wrote it. A whole number is taken as its digits.
pub(super) fn id(value: &Value) -> Result<String, NoId> {
    match value {
        Value::String(text) => opaque(text, LONGEST_ID).map(|()| text.clone()),
        Value::Number(_) => super::tolerant::as_text(value)
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or(NoId::WrongType),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(NoId::WrongType),
    }
}

/// Returns the handles of an answer, each once and exactly as Meta wrote it.
pub(super) fn handles(values: &[Value]) -> Result<Vec<String>, NoId> {
    if values.len() > MOST_HANDLES {
        return Err(NoId::TooMany(values.len()));
    }
    let mut handles = Vec::new();
    for value in values {
        let handle = id(value)?;
        if !handle.is_ascii() {
            return Err(NoId::NotAscii);
        }
        if handle.len() > LONGEST_HANDLE {
            return Err(NoId::TooLong(LONGEST_HANDLE));
        }
        if !handles.contains(&handle) {
            handles.push(handle);
        }
    }
    Ok(handles)
}

/// Returns which of our own ids an answer of Meta's shows cleaned: the cleaned form of each, and the id itself.
pub fn shown_cleaned<'a>(ids: impl Iterator<Item = &'a str>) -> HashMap<String, &'a str> {
    let altered = ids.filter(|id| id.chars().any(|c| replacement(c).is_some()));
    altered
        .map(|id| {
            let mut shown = id.to_owned();
            clean(&mut shown);
            (shown, id)
        })
        .collect()
}

/// Refuses what is no opaque identifier of at most so many characters.
pub(super) fn opaque(text: &str, most_chars: usize) -> Result<(), NoId> {
    if text.is_empty() {
        Err(NoId::Empty)
    } else if text.chars().nth(most_chars).is_some() {
        Err(NoId::TooLong(most_chars))
    } else if text.chars().any(|c| c.is_whitespace() || c == UNREADABLE || replacement(c).is_some()) {
        Err(NoId::Unreadable)
    } else {
        Ok(())
    }
}

fn each_text(value: &mut Value, change: &impl Fn(&mut String)) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => change(text),
        Value::Array(values) => values.iter_mut().for_each(|value| each_text(value, change)),
        Value::Object(fields) => {
            let changed = |name: &str| {
                let mut name = name.to_owned();
                change(&mut name);
                name
            };
            if fields.keys().any(|name| changed(name) != *name) {
                let given: Map<String, Value> = std::mem::take(fields);
                *fields = given.into_iter().map(|(name, value)| (changed(&name), value)).collect();
            }
            fields.values_mut().for_each(|value| each_text(value, change));
        }
    }
}

fn replacement(c: char) -> Option<char> {
    match c {
        '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Some(UNREADABLE),
        _ if c.is_control() => Some(UNREADABLE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_text_of_an_answer_is_cleaned_wherever_it_is() {
        let given = r#"{"a\u0000":[{"b":"x\u0000y\u001b[31m\u007f\u0085z"},"l1\nl2\tl3\u2028l4\u2029l5"],
                        "user":"\u202eevil\u2066","name":"naïve 日本 \u200f\ud83d\ude00"}"#;
        assert_eq!(
            parse(given.as_bytes()).expect("JSON"),
            json!({
                "a\u{fffd}": [{"b": "x\u{fffd}y\u{fffd}[31m\u{fffd} z"}, "l1 l2 l3 l4 l5"],
                "user": "\u{fffd}evil\u{fffd}", "name": "naïve 日本 \u{200f}😀",
            })
        );
    }

    #[test]
    fn every_text_of_an_answer_is_bounded() {
        let long = "ä".repeat(1_000_000);
        let mut value = json!({ &long: [&long, "short"] });
        bound(&mut value);
        let (name, list) = value.as_object().expect("an object").iter().next().expect("a field");
        assert_eq!(name.chars().count(), LONGEST_TEXT + 1);
        assert_eq!(list[0].as_str().map(|text| text.chars().count()), Some(LONGEST_TEXT + 1));
        assert_eq!(list[1], "short");
    }

    #[test]
    fn an_identifier_is_as_meta_wrote_it_or_none() {
        let long = "x".repeat(LONGEST_ID);
        for (given, expected) in [
            (json!("AcyF3k-_="), Ok("AcyF3k-_=".to_owned())),
            (json!(100_064), Ok("100064".to_owned())),
            (json!(12.0), Ok("12".to_owned())),
            (json!(long), Ok(long.clone())),
            (json!(format!("{long}x")), Err(NoId::TooLong(LONGEST_ID))),
            (json!(""), Err(NoId::Empty)),
            (json!("a b"), Err(NoId::Unreadable)),
            (json!("a\u{fffd}b"), Err(NoId::Unreadable)),
            (json!("a\0b"), Err(NoId::Unreadable)),
            (json!(1.5), Err(NoId::WrongType)),
            (json!(-1), Err(NoId::WrongType)),
            (json!(1e300), Err(NoId::WrongType)),
            (json!(null), Err(NoId::WrongType)),
            (json!(["a"]), Err(NoId::WrongType)),
            (json!({"id": "a"}), Err(NoId::WrongType)),
        ] {
            assert_eq!(id(&given), expected, "{given}");
        }
    }

    #[test]
    fn handles_are_few_short_and_plain() {
        let longest = "x".repeat(LONGEST_HANDLE);
        assert_eq!(handles(&[json!("a"), json!(longest), json!("a")]), Ok(vec!["a".to_owned(), longest.clone()]));
        assert_eq!(handles(&[json!(format!("{longest}x"))]), Err(NoId::TooLong(LONGEST_HANDLE)));
        assert_eq!(handles(&[json!("ä")]), Err(NoId::NotAscii));
        assert_eq!(handles(&vec![json!("a"); MOST_HANDLES + 1]), Err(NoId::TooMany(MOST_HANDLES + 1)));
    }

    #[test]
    fn an_answer_of_too_many_values_is_not_built() {
        let many = format!("[{}0]", "0,".repeat(MOST_VALUES));
        assert!(parse(many.as_bytes()).is_err());
        let text = json!({"message": ",[{\"\\,".repeat(MOST_VALUES)}).to_string();
        assert!(parse(text.as_bytes()).is_ok(), "what is in a text does not count");
        assert_eq!(most_values(br#"{"a":[1,2,{"b":"\",["}]}"#), 6);
    }

    #[test]
    fn our_own_ids_are_recognised_as_an_answer_shows_them() {
        let ids = ["a", "a\tb", "x\u{202e}y"];
        let known = shown_cleaned(ids.into_iter());
        assert_eq!(known, HashMap::from([("a b".to_owned(), "a\tb"), ("x\u{fffd}y".to_owned(), "x\u{202e}y")]));
    }

    #[test]
    fn long_text_ends_with_an_ellipsis() {
        assert_eq!(clip("", 0), "");
        assert_eq!(clip("naïve", 5), "naïve");
        assert_eq!(clip("naïve", 3), "naï…");
    }
}
