//! Title and description.
//!
//! Title: the product's, as a line, cut at `title_max_length`. All variants share it; telling them apart
//! is the job of `item_group_id` and the attributes. A product without a title is still mapped, the field
//! left out with a warning: no other text is a title, and the operator sees what to mend.
//!
//! Description: the first of description, subtitle and title that holds text once its markup is gone and
//! it is cut at `description_max_length`.

use std::borrow::Cow;

use crate::item::{MapSettings, Product};
use crate::text;
use crate::trace::branch;
use crate::warnings::{WarningCode, Warnings};

/// Below this many letters, capitals are a name or a size, not shouting.
const SHOUTING_FROM: usize = 8;

/// The title and the description of a product.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wording<'a> {
    pub(crate) title: Option<Cow<'a, str>>,
    pub(crate) description: Option<Cow<'a, str>>,
}

impl<'a> Wording<'a> {
    /// Picks, cleans and cuts both.
    pub(crate) fn of(settings: &MapSettings, product: &'a Product, warnings: &mut Warnings) -> Self {
        let title = title(settings, product, warnings);
        let description = description(settings, product, warnings);
        if title.is_some() && title == description {
            let message = "the description says no more than the title; write one";
            warnings.add(WarningCode::DescriptionEqualsTitle, Some("description"), message);
        }
        Self { title, description }
    }
}

fn title<'a>(settings: &MapSettings, product: &'a Product, warnings: &mut Warnings) -> Option<Cow<'a, str>> {
    let whole = text::line(product.title.as_deref().unwrap_or_default());
    let (title, is_cut) = text::cut_cow(whole, characters(settings.title_max_length));
    if title.is_empty() {
        let message = "the product has no title, which Meta requires; give it one";
        warnings.add(WarningCode::MissingTitle, Some("title"), message);
        return None;
    }
    if is_cut {
        let message =
            format!("the title was cut at {} characters (`title_max_length`); shorten it", settings.title_max_length);
        warnings.add(WarningCode::TitleCut, Some("title"), message);
    }
    if text::looks_like_markup(&title) || text::has_entity(&title) {
        let message = "the title is sent as written, and it holds HTML; write it as plain text";
        warnings.add(WarningCode::MarkupInTitle, Some("title"), message);
    }
    if is_shouting(&title) {
        let message = "the title is written in capitals, which Meta rates low; write it in normal case";
        warnings.add(WarningCode::TitleAllCaps, Some("title"), message);
    }
    Some(title)
}

fn description<'a>(settings: &MapSettings, product: &'a Product, warnings: &mut Warnings) -> Option<Cow<'a, str>> {
    let limit = characters(settings.description_max_length);
    let sources = [
        ("description.from_description", &product.description),
        ("description.from_subtitle", &product.subtitle),
        ("description.from_title", &product.title),
    ];
    for (branch, source) in sources {
        let (description, is_cut) = text::cut_cow(text::markup(source.as_deref().unwrap_or_default()), limit);
        if description.is_empty() {
            continue;
        }
        branch!(branch);
        if is_cut {
            let message =
                format!("the description was cut at {limit} characters (`description_max_length`); shorten it");
            warnings.add(WarningCode::DescriptionCut, Some("description"), message);
        }
        if text::looks_like_markup(&description) {
            let message =
                "the description shows an HTML tag as text, probably escaped twice; write it as HTML or as plain text";
            warnings.add(WarningCode::MarkupInDescription, Some("description"), message);
        }
        return Some(description);
    }
    let message = "neither description, subtitle nor title holds text, but Meta requires a description; write one";
    warnings.add(WarningCode::MissingDescription, Some("description"), message);
    None
}

/// A setting as a count of characters.
fn characters(setting: u32) -> usize {
    usize::try_from(setting).unwrap_or(usize::MAX)
}

/// Whether a text has enough letters to judge and none of them is small. Scripts without case never shout.
fn is_shouting(text: &str) -> bool {
    let mut capitals = 0;
    for c in text.chars() {
        if c.is_lowercase() {
            return false;
        }
        capitals += usize::from(c.is_uppercase());
    }
    capitals >= SHOUTING_FROM
}
