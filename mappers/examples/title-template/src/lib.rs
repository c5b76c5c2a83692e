//! Composes titles of brand, title and options: `Weftwander Indigo Kurta, Indigo, M`.
//!
//! [`TEMPLATE`] is the part to change. What a variant lacks is left out, and so is what the title says already (`Indigo`
//! above, which the shop's title names). Too long a title loses its options from the end, then is cut
//! between two characters as a reader sees them, never inside one. A product without a title is left to the built-in
//! mapper.

use meta_catalog_mapper::{Context, Item, Patch, mapper, patch};
use unicode_segmentation::UnicodeSegmentation;

mapper!(map);

/// A part of a title.
#[derive(Clone, Copy)]
enum Part {
    /// The brand's title.
    Brand,
    /// The product's title.
    Title,
    /// The value of an option by any of its names, in lower case.
    Option(&'static [&'static str]),
}

/// What a title is made of, in order.
const TEMPLATE: [Part; 4] = [Part::Brand, Part::Title, Part::Option(&["colour", "color"]), Part::Option(&["size"])];

fn map(context: &Context, item: &Item<'_>) -> Patch {
    match compose(item, context.settings.title_max_length as usize) {
        Some(title) => patch().text("title", title),
        None => patch(),
    }
}

/// The title of an item, at most `limit` characters long; none for a product without one.
fn compose(item: &Item<'_>, limit: usize) -> Option<String> {
    let title = clean(item.product.title.as_deref());
    if title.is_empty() {
        return None;
    }
    let mut composed = String::new();
    for part in TEMPLATE {
        let (text, separator) = match part {
            Part::Title => (title.clone(), " "),
            Part::Brand => (clean(item.product.brand_title.as_deref()), " "),
            Part::Option(names) => (clean(option(item, names)), ", "),
        };
        let is_said = !matches!(part, Part::Title) && (says(&title, &text) || says(&composed, &text));
        if text.is_empty() || is_said {
            continue;
        }
        let separator = if composed.is_empty() { "" } else { separator };
        let length = [&composed, separator, &text].iter().map(|part| part.chars().count()).sum::<usize>();
        if length > limit && matches!(part, Part::Option(_)) {
            break;
        }
        composed.push_str(separator);
        composed.push_str(&text);
    }
    cut(&mut composed, limit);
    Some(composed).filter(|title| !title.is_empty())
}

/// The value of the first option with one of these names.
fn option<'a>(item: &Item<'a>, names: &[&str]) -> Option<&'a str> {
    let options = &item.variant.options;
    let found = options.iter().find(|option| names.iter().any(|name| option.name.trim().eq_ignore_ascii_case(name)));
    found.map(|option| option.value.as_str())
}

/// Text without control characters, with single blanks.
fn clean(text: Option<&str>) -> String {
    let words = text.unwrap_or_default().split(|c: char| c.is_whitespace() || c.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Whether a text holds these words already, whatever their case.
fn says(text: &str, words: &str) -> bool {
    let text = text.to_lowercase();
    let words = words.to_lowercase();
    text.match_indices(&words).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + words.len()..].chars().next();
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    })
}

/// Cuts a text to at most `limit` characters, between two grapheme clusters.
fn cut(text: &mut String, limit: usize) {
    let mut length = 0;
    let fits = |cluster: &&str| {
        length += cluster.chars().count();
        length <= limit
    };
    let kept: usize = text.graphemes(true).take_while(fits).map(str::len).sum();
    text.truncate(text[..kept].trim_end().len());
}

#[cfg(test)]
mod tests {
    use meta_catalog_mapper::{OptionValue, Product, Variant};

    use super::*;

    fn title(brand: &str, title: &str, options: &[(&str, &str)], limit: usize) -> Option<String> {
        let product = Product { title: Some(title.into()), brand_title: Some(brand.into()), ..Product::default() };
        let options = options.iter().map(|(name, value)| OptionValue { name: (*name).into(), value: (*value).into() });
        let variant = Variant { options: options.collect(), ..Variant::default() };
        compose(&Item::new(&product, &variant), limit)
    }

    #[test]
    fn parts_come_in_the_templates_order() {
        let options = [("Size", "M"), ("COLOUR", "Red")];
        assert_eq!(
            title("Flax & Co", "Linen\u{7} Shirt", &options, 100).as_deref(),
            Some("Flax & Co Linen Shirt, Red, M")
        );
    }

    #[test]
    fn what_the_title_says_is_not_said_twice() {
        let options = [("Colour", "red"), ("Size", "M")];
        assert_eq!(title("flax", "Flax Shirt Red", &options, 100).as_deref(), Some("Flax Shirt Red, M"));
        // “Red” stands in “Redwood”, but as a part of a word.
        assert_eq!(title("", "Redwood Bowl", &options, 100).as_deref(), Some("Redwood Bowl, red, M"));
    }

    #[test]
    fn options_go_before_words_are_cut() {
        assert_eq!(
            title("Flax", "Linen Shirt", &[("Colour", "Red"), ("Size", "M")], 21).as_deref(),
            Some("Flax Linen Shirt, Red")
        );
        assert_eq!(
            title("Flax", "Linen Shirt", &[("Colour", "Red"), ("Size", "M")], 20).as_deref(),
            Some("Flax Linen Shirt")
        );
        assert_eq!(title("Flax", "Linen Shirt", &[], 5).as_deref(), Some("Flax"));
    }

    #[test]
    fn a_cluster_is_kept_whole_or_not_at_all() {
        // A family of three: five characters, one cluster.
        assert_eq!(title("", "ab👨‍👩‍👧", &[], 6).as_deref(), Some("ab"));
        assert_eq!(title("", "ab👨‍👩‍👧", &[], 7).as_deref(), Some("ab👨‍👩‍👧"));
        assert_eq!(title("", "👨‍👩‍👧", &[], 3), None);
    }

    #[test]
    fn without_a_title_the_built_in_mapper_has_its_way() {
        assert_eq!(title("Flax", " \n", &[("Size", "M")], 100), None);
    }
}
