//! `color`, `size`, `material` and `pattern` from the variant's options.
//!
//! An option counts by its exact name, in any case: the attribute's own or one of the three synonyms
//! (`colour`, `fabric`, `print`). Nothing is guessed from parts of a name. If a variant has both, the own
//! name wins over the synonym, and among equals the first; a blank value counts as none. Values are sent
//! as written ("0" is a size).

use std::borrow::Cow;

use crate::item::OptionValue;
use crate::text;
use crate::trace::branch;

/// The four attributes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes<'a> {
    pub(crate) color: Option<Cow<'a, str>>,
    pub(crate) size: Option<Cow<'a, str>>,
    pub(crate) material: Option<Cow<'a, str>>,
    pub(crate) pattern: Option<Cow<'a, str>>,
}

impl<'a> Attributes<'a> {
    /// Finds the attributes among the options.
    pub(crate) fn of(options: &'a [OptionValue]) -> Self {
        Self {
            color: find(options, &["color", "colour"]),
            size: find(options, &["size"]),
            material: find(options, &["material", "fabric"]),
            pattern: find(options, &["pattern", "print"]),
        }
    }
}

/// The first value under the first name that has one.
fn find<'a>(options: &'a [OptionValue], names: &[&'static str]) -> Option<Cow<'a, str>> {
    names.iter().find_map(|name| {
        let same = options.iter().filter(|option| option.name.trim().eq_ignore_ascii_case(name));
        let value = same.map(|option| text::line(&option.value)).find(|value| !value.is_empty());
        if value.is_some() {
            branch!(format!("option.{name}"));
        }
        value
    })
}
