//! The payload: every field that the built-in mapping knows, and its canonical JSON.
//!
//! One table defines the struct, [`FIELDS`] and the names of what is present, so they cannot drift
//! apart. The fields stand sorted bytewise, so serialising the struct *is* the canonical form (keys
//! sorted, no blanks) that the hash is taken over, without a detour through a map.
//!
//! The limits are those of Meta's reference for `items_batch`. Nothing is cut to them (title and
//! description are cut to the settings): a longer value is sent, with a warning.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::attribute::attribute;

use crate::outcome::Warning;
use crate::trace::branch;
use crate::warnings::{WarningCode, Warnings, warning};

/// What kind of JSON a field holds. A text is cleared by `""`, a list by `[]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A string.
    Text,
    /// An array of strings.
    List,
}

/// What is known about a field of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldSpec {
    /// Name in `data`.
    pub name: &'static str,
    /// What it holds.
    pub kind: FieldKind,
    /// Meta's own limit, where one is documented: characters of a text, entries of a list.
    pub limit: Option<usize>,
    /// Whether a field that vanished may be cleared at Meta. Never for what an item cannot be without.
    pub clearable: bool,
}

/// The spec of a field, if the built-in mapping knows it.
#[must_use]
pub fn field(name: &str) -> Option<&'static FieldSpec> {
    FIELDS.binary_search_by(|spec| spec.name.cmp(name)).ok().map(|index| &FIELDS[index])
}

/// A string that may be absent.
pub(crate) type Text<'a> = Option<Cow<'a, str>>;
/// A list; empty is absent.
pub(crate) type List<'a> = Vec<Cow<'a, str>>;

/// What the table needs to know of a type.
trait Slot {
    const KIND: FieldKind;

    /// Whether the field is left out.
    fn is_absent(&self) -> bool;

    /// The size in the unit of [`FieldSpec::limit`], if above `limit`.
    fn size_above(&self, limit: usize) -> Option<usize>;
}

impl Slot for Text<'_> {
    const KIND: FieldKind = FieldKind::Text;

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn size_above(&self, limit: usize) -> Option<usize> {
        // Characters are counted only where the bytes leave a doubt.
        let text = self.as_ref().filter(|text| text.len() > limit)?;
        Some(text.chars().count()).filter(|size| *size > limit)
    }
}

impl Slot for List<'_> {
    const KIND: FieldKind = FieldKind::List;

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn size_above(&self, limit: usize) -> Option<usize> {
        Some(self.len()).filter(|size| *size > limit)
    }
}

macro_rules! payload {
    ($($name:ident: $kind:ident, $limit:expr, $clearable:literal;)*) => {
        /// Every field of the payload, sorted bytewise by name.
        pub const FIELDS: &[FieldSpec] = &[$(FieldSpec {
            name: stringify!($name),
            kind: <$kind<'static> as Slot>::KIND,
            limit: $limit,
            clearable: $clearable,
        }),*];

        /// The `data` object of one item.
        #[derive(Debug, Default, Serialize)]
        pub(crate) struct Payload<'a> {
            $(
                #[serde(skip_serializing_if = "Slot::is_absent")]
                pub(crate) $name: $kind<'a>,
            )*
        }

        impl Payload<'_> {
            /// The names of the fields that are present and of the attributes, sorted bytewise.
            pub(crate) fn present(&self, attributes: &BTreeMap<&'static str, Value>) -> Vec<Cow<'static, str>> {
                let mut names = Vec::with_capacity(FIELDS.len() + attributes.len());
                $(if !self.$name.is_absent() {
                    names.push(Cow::Borrowed(stringify!($name)));
                })*
                if !attributes.is_empty() {
                    names.extend(attributes.keys().filter_map(|name| Some(Cow::Owned(attribute(name)?.listed()))));
                    names.sort_unstable();
                }
                names
            }

            /// Name and canonical JSON of each field that is present.
            fn entries(&self) -> Vec<(&'static str, String)> {
                let mut entries = Vec::with_capacity(FIELDS.len());
                $(if !self.$name.is_absent() {
                    entries.push((stringify!($name), json(&self.$name)));
                })*
                entries
            }

            /// Warns of every field that is longer than Meta documents.
            pub(crate) fn check_limits(&self, warnings: &mut Warnings) {
                $(if let Some(limit) = $limit
                    && let Some(size) = self.$name.size_above(limit)
                {
                    over_limit(stringify!($name), <$kind<'static> as Slot>::KIND, size, limit, warnings);
                })*
            }
        }
    };
}

payload! {
    additional_image_link: List, Some(50), true;
    availability: Text, None::<usize>, false;
    brand: Text, Some(100), false;
    color: Text, Some(100), true;
    condition: Text, None::<usize>, false;
    custom_label_0: Text, Some(100), true;
    custom_label_1: Text, Some(100), true;
    description: Text, Some(5000), false;
    google_product_category: Text, Some(250), true;
    gtin: Text, Some(70), true;
    id: Text, Some(100), false;
    image_link: Text, None::<usize>, false;
    item_group_id: Text, Some(100), true;
    link: Text, None::<usize>, false;
    material: Text, Some(200), true;
    mpn: Text, Some(100), true;
    pattern: Text, Some(100), true;
    price: Text, None::<usize>, false;
    sale_price: Text, None::<usize>, true;
    sale_price_effective_date: Text, None::<usize>, true;
    size: Text, Some(200), true;
    title: Text, Some(100), false;
}

impl Payload<'_> {
    /// Canonical JSON, with the attributes among the fields.
    pub(crate) fn to_json(&self, attributes: &BTreeMap<&'static str, Value>) -> String {
        if attributes.is_empty() {
            return json(self);
        }
        let mut entries = self.entries();
        entries.extend(attributes.iter().map(|(name, value)| (*name, json(&Sorted(value)))));
        entries.sort_unstable_by_key(|(name, _)| *name);
        let entries: Vec<String> = entries.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", entries.join(","))
    }
}

/// A value with the keys of every object sorted, however the map itself orders them.
struct Sorted<'v>(&'v Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(list) => serializer.collect_seq(list.iter().map(Sorted)),
            Value::Object(fields) => {
                let sorted: BTreeMap<_, _> = fields.iter().collect();
                serializer.collect_map(sorted.into_iter().map(|(key, value)| (key, Sorted(value))))
            }
            value => value.serialize(serializer),
        }
    }
}

/// Compact JSON of one of this crate's own answers: strings and lists of strings, written into memory,
/// which has no way to fail.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("strings serialise")
}

fn over_limit(field: &'static str, kind: FieldKind, size: usize, limit: usize, warnings: &mut Warnings) {
    branch!(format!("limit.{field}"));
    warnings.add(WarningCode::OverMetaLimit, Some(field), over_limit_message(field, kind, size, limit));
}

fn over_limit_message(field: &str, kind: FieldKind, size: usize, limit: usize) -> String {
    let unit = match kind {
        FieldKind::Text => "characters",
        FieldKind::List => "entries",
    };
    let mend = match field {
        "title" => "lower `title_max_length` or shorten it",
        "description" => "lower `description_max_length` or shorten it",
        _ => "shorten it",
    };
    format!("{field} has {size} {unit}, Meta documents {limit} and may refuse the item; {mend}")
}

/// The warning about a value of `size` (characters of a text, entries of a list) that somebody else than [`crate::map`]
/// put into a field, if it is longer than Meta documents.
#[must_use]
pub fn limit_warning(spec: &FieldSpec, size: usize) -> Option<Warning> {
    let limit = spec.limit.filter(|limit| size > *limit)?;
    let message = over_limit_message(spec.name, spec.kind, size, limit);
    Some(warning(WarningCode::OverMetaLimit, Some(spec.name), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_its_json_is_canonical() {
        assert!(FIELDS.is_sorted_by(|a, b| a.name < b.name));
        for spec in FIELDS {
            assert_eq!(field(spec.name), Some(spec));
        }
        assert_eq!(field("internal_label"), None);
    }

    #[test]
    fn a_limit_is_warned_of_from_one_above_it() {
        let spec = field("brand").expect("known");
        assert_eq!(limit_warning(spec, 100), None);
        assert_eq!(limit_warning(spec, 101).expect("above").code, "over_meta_limit");
        assert_eq!(limit_warning(field("price").expect("known"), usize::MAX), None);
    }

    #[test]
    fn what_an_item_cannot_be_without_is_never_cleared() {
        let kept: Vec<_> = FIELDS.iter().filter(|spec| !spec.clearable).map(|spec| spec.name).collect();
        let required =
            ["availability", "brand", "condition", "description", "id", "image_link", "link", "price", "title"];
        assert_eq!(kept, required);
    }
}
