//! Reading values out of a JSON object, with the path of whatever is wrong.
//!
//! A key that is missing and a key that is null are the same. Every reader answers `None` for both.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{InputError, time};
use crate::text::cut;
use crate::trace::branch;

/// An object inside the line, or the lack of one.
pub(super) struct Section<'a> {
    path: Cow<'a, str>,
    fields: Option<&'a Map<String, Value>>,
}

impl<'a> Section<'a> {
    /// The line itself.
    pub(super) fn whole(line: &'a Value) -> Result<Self, InputError> {
        let fields = line.as_object().ok_or_else(|| wrong_type("line", "object", line))?;
        Ok(Self { path: Cow::Borrowed(""), fields: Some(fields) })
    }

    /// An object at a path.
    pub(super) fn of(path: impl Into<Cow<'a, str>>, value: Option<&'a Value>) -> Result<Self, InputError> {
        let path = path.into();
        let fields = match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(fields)) => Some(fields),
            Some(other) => return Err(wrong_type(&path, "object", other)),
        };
        Ok(Self { path, fields })
    }

    /// An object inside this one.
    pub(super) fn section(&self, key: &'a str) -> Result<Self, InputError> {
        let section = Self::of(key, self.get(key))?;
        if section.is_missing() {
            branch!("input.section_missing");
        }
        Ok(section)
    }

    /// Whether there is no object at all.
    pub(super) fn is_missing(&self) -> bool {
        self.fields.is_none()
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>, InputError> {
        self.read(key, as_text)
    }

    /// A text or an integer, as text.
    pub(super) fn id(&self, key: &str) -> Result<Option<String>, InputError> {
        self.read(key, |path, value| match value {
            Value::String(id) => Ok(id.clone()),
            Value::Number(id) if !id.is_f64() => {
                branch!("input.id_integer");
                Ok(id.to_string())
            }
            other => Err(wrong_type(path, "text or integer", other)),
        })
    }

    pub(super) fn integer(&self, key: &str) -> Result<Option<i64>, InputError> {
        self.read(key, |path, value| whole_number(value).ok_or_else(|| wrong_type(path, "integer", value)))
    }

    /// An integer of zero or more.
    pub(super) fn count(&self, key: &str) -> Result<Option<u32>, InputError> {
        self.read(key, |path, value| {
            let count = whole_number(value).filter(|count| *count >= 0);
            let count = count.ok_or_else(|| wrong_type(path, "integer of zero or more", value))?;
            Ok(u32::try_from(count).unwrap_or(u32::MAX))
        })
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, InputError> {
        self.read(key, |path, value| match value {
            Value::Bool(flag) => Ok(*flag),
            other => match whole_number(other) {
                Some(number @ (0 | 1)) => {
                    branch!("input.flag_integer");
                    Ok(number == 1)
                }
                _ => Err(wrong_type(path, "true or false", other)),
            },
        })
    }

    /// Milliseconds since the Unix epoch.
    pub(super) fn time(&self, key: &str) -> Result<Option<i64>, InputError> {
        self.read(key, |path, value| match value {
            Value::Number(_) => {
                branch!("input.time_milliseconds");
                whole_number(value).ok_or_else(|| wrong_type(path, "ISO 8601 or integer milliseconds", value))
            }
            Value::String(text) => time::parse(text).ok_or_else(|| {
                branch!("input.time_unreadable");
                let message = format!("“{}” is no ISO 8601 time; write it like 2026-11-01T00:00:00Z", cut(text, 100));
                InputError { path: path.to_owned(), message }
            }),
            other => Err(wrong_type(path, "ISO 8601 or integer milliseconds", other)),
        })
    }

    /// An object whose values are texts.
    pub(super) fn texts_by_name(&self, key: &str) -> Result<Option<BTreeMap<String, String>>, InputError> {
        let Some(object) = self.object(key)? else { return Ok(None) };
        let path = self.at(key);
        let texts = object.iter().map(|(name, value)| Ok((name.clone(), as_text(&format!("{path}.{name}"), value)?)));
        texts.collect::<Result<_, _>>().map(Some)
    }

    /// An object.
    pub(super) fn object(&self, key: &str) -> Result<Option<&'a Map<String, Value>>, InputError> {
        self.read(key, |path, value| match value {
            Value::Object(object) => {
                branch!("input.object");
                Ok(object)
            }
            other => Err(wrong_type(path, "object", other)),
        })
    }

    pub(super) fn picture(&self, key: &str) -> Result<Option<String>, InputError> {
        // With its whole path, since the fault may lie one step further in.
        self.get(key).map_or(Ok(None), |value| as_picture(&self.at(key), value))
    }

    pub(super) fn pictures(&self, key: &str) -> Result<Vec<String>, InputError> {
        let path = self.at(key);
        let pictures = elements(&path, self.list(key)?).map(|(path, value)| as_picture(&path, value));
        // What has neither URL nor key is no picture.
        pictures.filter_map(Result::transpose).collect()
    }

    /// The elements of a list; none if it is missing.
    pub(super) fn list(&self, key: &str) -> Result<&'a [Value], InputError> {
        match self.get(key) {
            None => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(other) => Err(wrong_type(&self.at(key), "list", other)),
        }
    }

    fn read<T>(
        &self,
        key: &str,
        read: impl FnOnce(&str, &'a Value) -> Result<T, InputError>,
    ) -> Result<Option<T>, InputError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        // The path is wanted only for an error, which is rare and may cost a second look.
        read(key, value).map(Some).map_err(|error| InputError { path: self.at(key), ..error })
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.fields?.get(key).filter(|value| !value.is_null())
    }

    fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// The elements of a list that are not null, with their paths.
pub(super) fn elements<'a>(path: &str, list: &'a [Value]) -> impl Iterator<Item = (String, &'a Value)> {
    let present = list.iter().enumerate().filter(|(_, value)| !value.is_null());
    present.map(move |(index, value)| (format!("{path}[{index}]"), value))
}

/// A text.
pub(super) fn as_text(path: &str, value: &Value) -> Result<String, InputError> {
    value.as_str().map(str::to_owned).ok_or_else(|| wrong_type(path, "text", value))
}

/// A picture: a text, or an object with `url` or `key`; `None` if the object has neither.
fn as_picture(path: &str, value: &Value) -> Result<Option<String>, InputError> {
    match value {
        Value::String(picture) => Ok(Some(picture.clone())),
        Value::Object(_) => {
            branch!("input.picture_object");
            let picture = Section::of(path, Some(value))?;
            Ok(picture.text("url")?.or(picture.text("key")?))
        }
        other => Err(wrong_type(path, "text or object with url or key", other)),
    }
}

/// An integer, also one that was written with an empty fraction (`5.0`).
fn whole_number(value: &Value) -> Option<i64> {
    /// 2^63, the first double beyond `i64`.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
        // In this range and without a fraction, the conversion is exact.
        (-BEYOND..BEYOND).contains(&number).then_some(number as i64)
    })
}

fn wrong_type(path: &str, expected: &str, got: &Value) -> InputError {
    branch!("input.wrong_type");
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "fraction",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    InputError { path: path.to_owned(), message: format!("expected {expected}, got {got}") }
}
