//! One field of a payload: its kind, its canonical value, and its possible problems at Meta.

use std::borrow::Cow;

use mapper_core::{FieldKind, FieldSpec, Warning, limit_warning};

use super::super::fault::{Cause, short};
use super::documented::{Documented, documented};
use super::{LONGEST_NAME, json, warning, wrong};

/// The JSON kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    List,
    /// A number, a boolean or an object.
    Other,
    /// `null`, `""` or `[]`.
    Absent,
}

/// A field that has been checked.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) name: Cow<'a, str>,
    spec: Option<&'static FieldSpec>,
    kind: Kind,
    /// Canonical; borrowed if it was so already.
    pub(super) value: Cow<'a, str>,
}

impl<'a> Field<'a> {
    /// Checks a field whose value is valid JSON.
    pub(super) fn judge(name: Cow<'a, str>, raw: &'a str, warnings: &mut Vec<Warning>) -> Result<Self, Cause> {
        let spec = mapper_core::field(&name);
        if spec.is_none() {
            check_name(&name)?;
        }
        let mut value = Cow::Borrowed(raw);
        let mut size = 0;
        let kind = match raw.as_bytes().first() {
            Some(b'n') => Kind::Absent,
            Some(b'"') => {
                if !json::is_sayable(raw) {
                    return Err(wrong(format!("set `{}` to half a surrogate pair, which is not text", short(&name))));
                }
                if let Some(spec) = spec {
                    size = characters(raw, spec.limit);
                }
                if raw == "\"\"" { Kind::Absent } else { Kind::Text }
            }
            Some(b'[') => {
                let elements = json::elements(raw).unwrap_or_default();
                size = elements.len();
                let is_texts = elements.iter().all(|element| element.starts_with('"') && json::is_sayable(element));
                if spec.is_some() && !is_texts {
                    return Err(wrong(format!(
                        "set `{}` to a list that contains other values than texts",
                        short(&name)
                    )));
                }
                // Brackets, and a comma between two elements.
                let compact = 2 + elements.iter().map(|element| element.len()).sum::<usize>() + size.saturating_sub(1);
                if !is_texts || compact != raw.len() {
                    value = Cow::Owned(canonical(&name, raw)?);
                }
                if size == 0 { Kind::Absent } else { Kind::List }
            }
            Some(b'{') => {
                value = Cow::Owned(canonical(&name, raw)?);
                Kind::Other
            }
            // A boolean is canonical, and a number is kept as the module writes it.
            Some(b't' | b'f') => Kind::Other,
            _ => {
                json::check_number(raw).map_err(|error| untakable(&name, &error))?;
                Kind::Other
            }
        };
        match spec {
            Some(spec) => {
                check_kind(spec, kind, raw)?;
                // The built-in mapper, run as a module, has reported this warning already.
                let over = limit_warning(spec, size).filter(|over| !warnings.contains(over));
                warnings.extend(over);
            }
            None if kind != Kind::Absent => warnings.extend(doubt(&name, kind, raw)),
            None => {}
        }
        Ok(Self { name, spec, kind, value })
    }

    /// Whether the value is this text.
    pub(super) fn is_text(&self, text: &str) -> bool {
        json::text(&self.value).is_some_and(|value| value == text)
    }

    /// Whether it is empty.
    pub(super) fn is_absent(&self) -> bool {
        self.kind == Kind::Absent
    }

    /// Whether it is present and its value was canonical as received.
    pub(super) fn stands_as_given(&self) -> bool {
        !self.is_absent() && matches!(self.value, Cow::Borrowed(_))
    }

    /// The name, for a message.
    pub(super) fn shown(&self) -> String {
        short(&self.name)
    }

    /// The name as a [`mapper_core::word::Payload`] lists it: with its kind when the field is unknown.
    pub(super) fn listed(&self) -> Cow<'static, str> {
        match (self.spec, self.kind) {
            (Some(spec), _) => Cow::Borrowed(spec.name),
            (None, Kind::List) => Cow::Owned(format!("{}[]", self.name)),
            (None, Kind::Other) => Cow::Owned(format!("{}{{}}", self.name)),
            (None, _) => Cow::Owned(self.name.clone().into_owned()),
        }
    }
}

/// The names of fields that are sorted by name, as a payload lists them.
pub(super) fn listed(fields: &[Field<'_>]) -> Vec<Cow<'static, str>> {
    let mut names = Vec::with_capacity(fields.len());
    names.extend(fields.iter().filter(|field| !field.is_absent()).map(Field::listed));
    if !names.is_sorted() {
        names.sort_unstable();
    }
    names
}

/// The canonical object of fields that are sorted by name.
pub(super) fn write(fields: &[Field<'_>]) -> String {
    let present = || fields.iter().filter(|field| !field.is_absent());
    let mut object = String::with_capacity(json::object_length(present().map(|field| (&*field.name, &*field.value))));
    object.push('{');
    for field in present() {
        json::push_entry(&mut object, &field.name, &field.value);
    }
    object.push('}');
    object
}

/// The size of a text, counted only where its bytes leave a doubt that it is above the limit.
fn characters(raw: &str, limit: Option<usize>) -> usize {
    match limit {
        Some(limit) if raw.len() - 2 > limit => json::text(raw).map_or(0, |text| text.chars().count()),
        _ => 0,
    }
}

fn check_name(name: &str) -> Result<(), Cause> {
    let problem = if name.is_empty() {
        "a field without a name"
    } else if name.chars().count() > LONGEST_NAME {
        "a field with an overlong name"
    } else if name.chars().any(char::is_control) {
        "a field whose name has control characters"
    } else if name.contains(',') {
        "a field whose name has a comma, which separates names here"
    } else if name.ends_with("[]") || name.ends_with("{}") {
        "a field whose name ends in `[]` or `{}`, which marks its kind here"
    } else {
        return Ok(());
    };
    Err(wrong(format!("returned {problem}: `{}`", short(name))))
}

fn check_kind(spec: &FieldSpec, kind: Kind, raw: &str) -> Result<(), Cause> {
    let wanted = match (spec.kind, kind) {
        (_, Kind::Absent) if raw == "null" => return Ok(()),
        (FieldKind::Text, _) if raw.starts_with('"') => return Ok(()),
        (FieldKind::List, _) if raw.starts_with('[') => return Ok(()),
        (FieldKind::Text, _) => "a text",
        (FieldKind::List, _) => "a list of texts",
    };
    Err(wrong(format!("set `{}` to the value {}; it takes {wanted}", spec.name, short(raw))))
}

/// The problems of a field that the built-in mapper does not know.
fn doubt(name: &str, kind: Kind, raw: &str) -> Option<Warning> {
    let (code, message) = match (documented(name), kind) {
        (None, _) => {
            ("unknown_field", "Meta documents no such field and may refuse the item; check the spelling".into())
        }
        (Some(Documented::Text(Some(limit))), Kind::Text) if characters(raw, Some(limit)) > limit => {
            ("over_meta_limit", format!("{name} is longer than the {limit} characters that Meta documents; shorten it"))
        }
        (Some(Documented::Any | Documented::Text(_)), Kind::Text)
        | (Some(Documented::Any | Documented::List), Kind::List)
        | (Some(Documented::Any | Documented::Number), Kind::Other) => return None,
        (Some(documented), _) => {
            let wanted = match documented {
                Documented::Text(_) => "a text",
                Documented::List => "a list",
                Documented::Number | Documented::Any => "a number",
            };
            ("unexpected_kind", format!("Meta documents {wanted} for {name} and may refuse the item"))
        }
    };
    Some(warning(code, Some(name), message))
}

fn canonical(name: &str, raw: &str) -> Result<String, Cause> {
    json::canonical(raw).map_err(|error| untakable(name, &error))
}

fn untakable(name: &str, error: &serde_json::Error) -> Cause {
    wrong(format!("set `{}` to a value that cannot be taken: {error}", short(name)))
}
