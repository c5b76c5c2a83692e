//! JSON in pieces: one field out of an object without building the rest, and texts as JSON.

use std::fmt;

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

/// The field `name` of the JSON object `object`, read no further than its end; none if it is missing or null.
///
/// # Errors
/// When the text up to the field is no JSON object, or the field has another type.
pub(crate) fn field<T: DeserializeOwned>(object: &str, name: &str) -> Result<Option<T>, serde_json::Error> {
    let mut found = None;
    let seen = Field { name, found: &mut found }.deserialize(&mut serde_json::Deserializer::from_str(object));
    match (found, seen) {
        // Having stopped at the field, the reader complains of the rest.
        (Some(value), _) => Ok(value),
        (None, seen) => seen.map(|()| None),
    }
}

/// A text as JSON.
pub(crate) fn text(value: &str) -> String {
    serde_json::to_string(value).expect("a text is always JSON")
}

/// Texts as a JSON array.
pub(crate) fn list<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> String {
    let mut out = String::from("[");
    for value in values {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&text(value.as_ref()));
    }
    out.push(']');
    out
}

/// Anything as canonical JSON: keys sorted bytewise, no blanks.
///
/// # Errors
/// When the value has no JSON.
pub(crate) fn canonical(value: &(impl Serialize + ?Sized)) -> Result<String, serde_json::Error> {
    // A `Value` keeps its keys sorted, as long as nobody asks `serde_json` for `preserve_order`.
    serde_json::to_value(value).map(|value| value.to_string())
}

/// Takes one field of an object.
struct Field<'a, T> {
    name: &'a str,
    found: &'a mut Option<Option<T>>,
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for Field<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: DeserializeOwned> Visitor<'de> for Field<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(is_it) = entries.next_key_seed(Is(self.name))? {
            if is_it {
                *self.found = Some(entries.next_value()?);
                return Ok(());
            }
            entries.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Whether a key is this one.
struct Is<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_wherever_it_stands() {
        let object = r#"{"a":{"cost":1},"b":["}",null],"co\u0073t":12,"z":null}"#;
        assert_eq!(field::<i64>(object, "cost").expect("JSON"), Some(12));
        assert_eq!(field::<Vec<Option<String>>>(object, "b").expect("JSON"), Some(vec![Some("}".into()), None]));
        assert_eq!(field::<i64>(object, "z").expect("JSON"), None);
        assert_eq!(field::<i64>(object, "weight").expect("JSON"), None);
    }

    #[test]
    fn what_follows_the_field_is_not_read() {
        assert_eq!(field::<i64>(r#"{"cost":12,"broken"#, "cost").expect("JSON up to the field"), Some(12));
        assert!(field::<i64>(r#"{"broken"#, "cost").is_err());
    }

    #[test]
    fn another_type_is_an_error() {
        assert!(field::<i64>(r#"{"cost":"12"}"#, "cost").is_err());
        assert!(field::<i64>(r#"{"cost":12.5}"#, "cost").is_err());
        assert!(field::<i64>("[]", "cost").is_err());
        assert!(field::<i64>("", "cost").is_err());
    }

    #[test]
    fn keys_are_sorted_all_the_way_down() {
        let value: serde_json::Value = serde_json::from_str(r#"{"b":[{"d":1,"c":"ü\n"}], "a":{}}"#).expect("JSON");
        assert_eq!(canonical(&value).expect("JSON"), r#"{"a":{},"b":[{"c":"ü\n","d":1}]}"#);
        assert_eq!(list::<&str>([]), "[]");
        assert_eq!(list(["a\"b", "c"]), r#"["a\"b","c"]"#);
    }
}
