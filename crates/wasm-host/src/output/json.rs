//! JSON objects by their parts; each value is kept as text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The most levels of lists and objects in a value. Each level is read once more than the one around it.
const DEEPEST: usize = 16;

/// The entries of an object, in the order of the text; the whole text is checked to be JSON. A name may be repeated.
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

/// Returns the text of a (valid) JSON string; `None` when it cannot be represented.
pub(super) fn text(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(value).ok().map(Cow::Owned)
}

/// Whether a (valid) JSON string can be represented: half a surrogate pair cannot.
pub(super) fn is_sayable(value: &str) -> bool {
    !value.contains("\\u") || text(value).is_some()
}

/// A (valid) value in canonical form: keys sorted, no blanks, at every depth; numbers stay as they are written, since a
/// float would not keep their digits.
///
/// # Errors
/// If an object in it names a key twice, a text cannot be said, a number is out of range, or it is nested too deep.
pub(super) fn canonical(value: &str) -> Result<String, serde_json::Error> {
    let mut to = String::with_capacity(value.len());
    push_canonical(value, DEEPEST, &mut to)?;
    Ok(to)
}

/// Refuses a (valid) number that JSON readers cannot represent, such as 1e999.
pub(super) fn check_number(number: &str) -> Result<(), serde_json::Error> {
    if number.parse().is_ok_and(f64::is_finite) { Ok(()) } else { Err(Error::custom("a number in it is out of range")) }
}

fn push_canonical(value: &str, levels: usize, to: &mut String) -> Result<(), serde_json::Error> {
    let inner = || levels.checked_sub(1).ok_or_else(|| Error::custom(format!("it has more than {DEEPEST} levels")));
    match value.as_bytes().first() {
        Some(b'{') => {
            let levels = inner()?;
            let mut entries = entries(value)?;
            entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            if entries.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                return Err(Error::custom("an object in it names a key twice"));
            }
            to.push('{');
            for (position, (name, value)) in entries.into_iter().enumerate() {
                if position > 0 {
                    to.push(',');
                }
                push_name(to, &name);
                push_canonical(value, levels, to)?;
            }
            to.push('}');
        }
        Some(b'[') => {
            let levels = inner()?;
            let elements: Vec<&RawValue> = serde_json::from_str(value)?;
            to.push('[');
            for (position, value) in elements.into_iter().enumerate() {
                if position > 0 {
                    to.push(',');
                }
                push_canonical(value.get(), levels, to)?;
            }
            to.push(']');
        }
        Some(b'"') => to.push_str(&serde_json::from_str::<Value>(value)?.to_string()),
        Some(b't' | b'f' | b'n') => to.push_str(value),
        _ => {
            check_number(value)?;
            to.push_str(value);
        }
    }
    Ok(())
}

/// The length of the object of these entries without blanks, if no name needs an escape.
pub(super) fn object_length<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> usize {
    let (count, length) =
        entries.fold((0, 0), |(count, length), (name, value)| (count + 1, length + name.len() + value.len()));
    // Braces; two quotes, a colon and a comma each, but for the last comma.
    2 + length + 4 * count - usize::from(count > 0)
}

/// Adds a comma if an unfinished object has an entry already.
pub(super) fn separate(object: &mut String) {
    if object.len() > 1 {
        object.push(',');
    }
}

/// Appends an entry to an unfinished object.
pub(super) fn push_entry(object: &mut String, name: &str, value: &str) {
    separate(object);
    push_name(object, name);
    object.push_str(value);
}

/// Appends a name and its colon.
fn push_name(object: &mut String, name: &str) {
    if name.bytes().all(|b| b != b'"' && b != b'\\' && b >= b' ') {
        object.push('"');
        object.push_str(name);
        object.push('"');
    } else {
        object.push_str(&Value::from(name).to_string());
    }
    object.push(':');
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
