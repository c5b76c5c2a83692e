//! The fields in which two payloads differ.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

/// A field in which two payloads differ; values are JSON texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// Name of the field.
    pub field: String,
    /// The value in the first payload; `None` when the field is absent.
    pub before: Option<&'a str>,
    /// The value in the second payload; `None` when the field is absent.
    pub after: Option<&'a str>,
}

/// Returns the fields in which two payloads differ, sorted by name.
#[must_use]
pub fn changes<'a>(before: &'a str, after: &'a str) -> Vec<Change<'a>> {
    let (mut before, mut after) = (fields(before), fields(after));
    let names: BTreeSet<String> = before.keys().chain(after.keys()).cloned().collect();
    names
        .into_iter()
        .map(|field| Change { before: before.remove(&field), after: after.remove(&field), field })
        .filter(|change| change.before != change.after)
        .collect()
}

/// Returns the top-level fields of a payload as JSON texts. Payloads are canonical, so equal values are equal texts.
fn fields(data: &str) -> BTreeMap<String, &str> {
    let parsed: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_str(data);
    // A payload is a JSON object, whichever mapper made it: the host has checked that.
    parsed.map(|fields| fields.into_iter().map(|(name, value)| (name, value.get())).collect()).unwrap_or_default()
}

/// Returns at most the first `most` characters of a text; an ellipsis marks a truncated one.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_by_name() {
        let of = |before, after| -> Vec<(String, Option<&str>, Option<&str>)> {
            changes(before, after).into_iter().map(|Change { field, before, after }| (field, before, after)).collect()
        };
        assert_eq!(
            of(r#"{"a":1,"b":"x","c":null}"#, r#"{"b":"y","c":null,"d":[]}"#),
            [
                ("a".into(), Some("1"), None),
                ("b".into(), Some(r#""x""#), Some(r#""y""#)),
                ("d".into(), None, Some("[]"))
            ]
        );
        assert_eq!(of("{}", "{}"), []);
    }
}
