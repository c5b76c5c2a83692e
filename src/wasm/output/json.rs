//! JSON objects by their parts, each value as the text that it is.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The entries of an object, in the order of the text; the whole text is checked to be JSON. A name may come twice.
pub(super) fn entries(text: &str) -> Result<Vec<(Cow<'_, str>, &str)>, serde_json::Error> {
    serde_json::from_str::<Entries<'_>>(text).map(|entries| entries.0)
}

/// The one value that a text holds, without blanks around it.
pub(super) fn value(text: &str) -> Result<&str, serde_json::Error> {
    serde_json::from_str::<&RawValue>(text).map(RawValue::get)
}

/// The elements of a list, if that is what a (valid) text holds.
pub(super) fn elements(text: &str) -> Option<Vec<&str>> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(elements.into_iter().map(RawValue::get).collect())
}

/// What a (valid) JSON string says, if it is one that can be said.
pub(super) fn text(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(value).ok().map(Cow::Owned)
}

/// Whether a (valid) JSON string can be said: half a surrogate pair cannot.
pub(super) fn is_sayable(value: &str) -> bool {
    !value.contains("\\u") || text(value).is_some()
}

/// A value in canonical form: keys sorted, no blanks, at every depth. None if a name comes twice somewhere, or if it is
/// nested too deep.
pub(super) fn canonical(value: &str) -> Result<String, serde_json::Error> {
    serde_json::from_str::<Unique>(value).map(|unique| unique.0.to_string())
}

/// The length of the object of these entries without blanks, if no name needs an escape.
pub(super) fn object_length<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> usize {
    let (count, length) =
        entries.fold((0, 0), |(count, length), (name, value)| (count + 1, length + name.len() + value.len()));
    // Braces; two quotes, a colon and a comma each, but for the last comma.
    2 + length + 4 * count - usize::from(count > 0)
}

/// Puts a comma if an unfinished object holds something already.
pub(super) fn separate(object: &mut String) {
    if object.len() > 1 {
        object.push(',');
    }
}

/// Appends an entry to an unfinished object.
pub(super) fn push_entry(object: &mut String, name: &str, value: &str) {
    separate(object);
    if name.bytes().all(|b| b != b'"' && b != b'\\' && b >= b' ') {
        object.push('"');
        object.push_str(name);
        object.push('"');
    } else {
        object.push_str(&Value::from(name).to_string());
    }
    object.push(':');
    object.push_str(value);
}

struct Entries<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::with_capacity(24);
                while let Some((Name(name), value)) = access.next_entry::<Name<'de>, &'de RawValue>()? {
                    entries.push((name, value.get()));
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Read)
    }
}

/// A name, borrowed where it has no escape.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(Read)
    }
}

/// A value in which no object names anything twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Unique(value.into()))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Unique(value.into()))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Unique(value.into()))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Unique(value.into()))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Unique(value.into()))
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Unique(Value::Null))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(Unique(value)) = access.next_element()? {
                    list.push(value);
                }
                Ok(Unique(Value::Array(list)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut map = Map::new();
                while let Some((name, Unique(value))) = access.next_entry::<String, _>()? {
                    if map.insert(name, value).is_some() {
                        return Err(A::Error::custom("an object in it names a key twice"));
                    }
                }
                Ok(Unique(Value::Object(map)))
            }
        }

        deserializer.deserialize_any(Read)
    }
}
