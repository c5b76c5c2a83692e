//! `color`, `size`, `material` and `pattern` from the variant's options, and what is left of the options.
//!
//! An option counts by its exact name, in any case: the attribute's own, one of the three synonyms
//! (`colour`, `fabric`, `print`), or one that the shop maps with `option_synonyms`. Nothing is guessed from parts of a
//! name. If a variant has several, the own name wins over the synonym, that over the shop's, and among equals the first;
//! a blank value counts as none. Values are sent as written ("0" is a size).
//!
//! The other options are sent as `additional_variant_attribute` where the settings say so; else a warning names them,
//! since nothing at Meta tells such variants apart. A shop that gives that attribute itself has the last word.

use std::borrow::Cow;

use crate::explain::Candidates;
use crate::item::{MapSettings, OptionValue};
use crate::text;
use crate::trace::branch;
use crate::warnings::{WarningCode, Warnings};

/// The option names that need no synonym of the shop's.
pub const NAMES: [&str; 7] = ["color", "colour", "size", "material", "fabric", "pattern", "print"];

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
        options: &'a [OptionValue],
        shops_own: bool,
        warnings: &mut Warnings,
    ) -> Self {
        let mut used = vec![false; options.len()];
        let mut find = |attribute: &str, names: &[&str]| find(settings, options, attribute, names, &mut used);
        let attributes = Self {
            color: find("color", &["color", "colour"]),
            size: find("size", &["size"]),
            material: find("material", &["material", "fabric"]),
            pattern: find("pattern", &["pattern", "print"]),
            others: None,
        };
        let others: Vec<(Cow<'_, str>, Cow<'_, str>)> = options
            .iter()
            .zip(used)
            .filter(|(option, used)| !used && !is_attribute(&option.name))
            .map(|(option, _)| (text::line(&option.name), text::line(&option.value)))
            .filter(|(name, value)| !name.is_empty() && !value.is_empty() && !is_default(name, value))
            .collect();
        if others.is_empty() || shops_own {
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

/// Whether a name is that of an attribute: a second one of the kind says nothing more.
fn is_attribute(name: &str) -> bool {
    NAMES.iter().any(|known| name.trim().eq_ignore_ascii_case(known))
}

/// Whether an option is the one that Shopify gives a product without options.
fn is_default(name: &str, value: &str) -> bool {
    name.eq_ignore_ascii_case("Title") && value.eq_ignore_ascii_case("Default Title")
}

/// The first value under the first name that has one; notes every option that has one of the names.
fn find<'a>(
    settings: &MapSettings,
    options: &'a [OptionValue],
    attribute: &str,
    names: &[&str],
    used: &mut [bool],
) -> Option<Cow<'a, str>> {
    let mut pick = |is_meant: &dyn Fn(&str) -> bool| {
        let mut meant = options.iter().enumerate().filter(|(at, option)| !used[*at] && is_meant(&option.name));
        let (at, value) = meant
            .find_map(|(at, option)| Some((at, text::line(&option.value))).filter(|(_, value)| !value.is_empty()))?;
        used[at] = true;
        Some(value)
    };
    for name in names {
        if let Some(value) = pick(&|given| given.trim().eq_ignore_ascii_case(name)) {
            branch!(format!("option.{name}"));
            return Some(value);
        }
    }
    let value = pick(&|given| {
        let given = fold(given);
        settings.option_synonyms.iter().any(|(name, meant)| meant == attribute && fold(name) == given)
    });
    if value.is_some() {
        branch!("option.shops_synonym");
    }
    value
}

fn fold(name: &str) -> String {
    name.trim().to_lowercase()
}

/// A name or value within the list, whose separators it must not hold.
fn part(text: &str) -> String {
    text.replace(',', ";").replace(':', "-")
}

/// The options that can give each attribute, first choice first, by name.
pub(crate) fn candidates(settings: &MapSettings, options: &[OptionValue]) -> [(&'static str, Candidates); 4] {
    let of = |attribute: &'static str, names: &[&str]| {
        let value =
            |option: &OptionValue| Some(text::line(&option.value).into_owned()).filter(|value| !value.is_empty());
        let place = |option: &OptionValue| format!("option {}", text::line(&option.name));
        let mut all = Candidates::new();
        for name in names {
            let same = options.iter().filter(|option| option.name.trim().eq_ignore_ascii_case(name));
            all.extend(same.map(|option| (place(option), value(option))));
        }
        let is_synonym = |option: &&OptionValue| {
            let given = fold(&option.name);
            settings.option_synonyms.iter().any(|(name, meant)| meant == attribute && fold(name) == given)
        };
        all.extend(options.iter().filter(is_synonym).map(|option| (place(option), value(option))));
        (attribute, all)
    };
    [
        of("color", &["color", "colour"]),
        of("size", &["size"]),
        of("material", &["material", "fabric"]),
        of("pattern", &["pattern", "print"]),
    ]
}
