//! `color`, `size`, `material` and `pattern` from the variant's options, and what is left of the options.
//!
//! An option counts by its exact name, in any case: the attribute's own, one of the three synonyms
//! (`colour`, `fabric`, `print`), or one that the shop maps with `option_synonyms`. Nothing is guessed from parts of a
//! name. If a variant has several, the own name wins over the synonym, that over the shop's, and among equals the first;
//! a blank value counts as none. Values are sent as written ("0" is a size).
//!
//! The other options are sent as `additional_variant_attribute` where the settings say so; else a warning names them,
//! since nothing at Meta tells such variants apart.

use std::borrow::Cow;

use crate::given::Given;
use crate::item::{MapSettings, OptionValue};
use crate::text;
use crate::trace::branch;
use crate::warnings::{WarningCode, Warnings};

/// The four attributes, each with the names of an option that mean it without a setting.
const NAMES: [(&str, &[&str]); 4] = [
    ("color", &["color", "colour"]),
    ("size", &["size"]),
    ("material", &["material", "fabric"]),
    ("pattern", &["pattern", "print"]),
];

/// The attribute that an option's name means without a setting, in any case.
#[must_use]
pub fn option_attribute(name: &str) -> Option<&'static str> {
    let means = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name.trim()));
    NAMES.iter().find(|(_, names)| means(names)).map(|(attribute, _)| *attribute)
}

/// The four attributes, and the text of the other options.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes<'a> {
    pub(crate) color: Option<Cow<'a, str>>,
    pub(crate) size: Option<Cow<'a, str>>,
    pub(crate) material: Option<Cow<'a, str>>,
    pub(crate) pattern: Option<Cow<'a, str>>,
    pub(crate) others: Option<String>,
}

impl<'a> Attributes<'a> {
    /// Finds the attributes among the options.
    pub(crate) fn of(
        settings: &MapSettings,
        given: &Given,
        options: &'a [OptionValue],
        warnings: &mut Warnings,
    ) -> Self {
        let mut used = vec![false; options.len()];
        let [color, size, material, pattern] =
            NAMES.map(|(attribute, names)| find(settings, options, attribute, names, &mut used));
        let attributes = Self { color, size, material, pattern, others: None };
        let others: Vec<(Cow<'_, str>, Cow<'_, str>)> = options
            .iter()
            .zip(used)
            .filter(|(_, used)| !used)
            .map(|(option, _)| (text::line(&option.name), text::line(&option.value)))
            .filter(|(name, value)| !name.is_empty() && !value.is_empty())
            .collect();
        // The shop's own words for them are taken in their place.
        if others.is_empty() || given.has("additional_variant_attribute") {
            return attributes;
        }
        if settings.additional_variant_attributes {
            branch!("option.additional");
            let said: Vec<String> =
                others.iter().map(|(name, value)| format!("{}:{}", part(name), part(value))).collect();
            return Self { others: Some(said.join(",")), ..attributes };
        }
        let names: Vec<&str> = others.iter().map(|(name, _)| text::cut(name, 50)).take(5).collect();
        let message = format!(
            "Meta does not get the option {}; map it with the setting `option_synonyms`, or switch on `additional_variant_attributes`",
            names.join(", ")
        );
        warnings.add(WarningCode::OptionNotSent, None, message);
        attributes
    }
}

/// The first value under the first name that has one; notes every option that has one of the names and that value.
fn find<'a>(
    settings: &MapSettings,
    options: &'a [OptionValue],
    attribute: &str,
    names: &[&str],
    used: &mut [bool],
) -> Option<Cow<'a, str>> {
    let is_named = |option: &OptionValue, name: &str| option.name.trim().eq_ignore_ascii_case(name);
    let is_mapped = |option: &OptionValue| {
        settings.option_synonyms.iter().any(|(name, meant)| meant == attribute && is_same(name, &option.name))
    };
    let pick = |is_meant: &dyn Fn(&OptionValue) -> bool| {
        let mut values = options.iter().filter(|option| is_meant(option)).map(|option| text::line(&option.value));
        values.find(|value| !value.is_empty())
    };
    let named = names.iter().find_map(|name| {
        let value = pick(&|option| is_named(option, name));
        if value.is_some() {
            branch!(format!("option.{name}"));
        }
        value
    });
    let value = named.or_else(|| {
        let value = pick(&is_mapped);
        if value.is_some() {
            branch!("option.shops_synonym");
        }
        value
    })?;
    for (option, used) in options.iter().zip(used) {
        // A second name with the same value says nothing more.
        let means = names.iter().any(|name| is_named(option, name)) || is_mapped(option);
        *used |= means && text::line(&option.value) == value;
    }
    Some(value)
}

/// Whether two names are the same without their case and the blanks around them.
fn is_same(one: &str, other: &str) -> bool {
    let one = one.trim().chars().flat_map(char::to_lowercase);
    one.eq(other.trim().chars().flat_map(char::to_lowercase))
}

/// A name or value within the list, whose separators it must not hold.
fn part(text: &str) -> String {
    text.replace(',', ";").replace(':', "-")
}
