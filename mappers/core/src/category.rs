//! `google_product_category` from the shop's own category trail.
//!
//! A path or number that the product gives for Google wins. Else the shop's trail comes root first; blank titles are
//! dropped, then the deepest `category_levels` (three; 0 = all) are joined by ` > `. A part of a path of Google's is none of
//! Google's, so a trail that begins at one of its roots and is cut has a warning.
//! Meta takes a path of Google's taxonomy or its number. What a path of the shop's own words does is not
//! documented, so it is sent, with a warning. The check is shallow on purpose: one of the 21 top-level
//! names as first part, or a number. The whole taxonomy (5,600 rows, renewed by Google) has no place in
//! a pure mapping.

use std::borrow::Cow;

use crate::item::MapSettings;
use crate::text;
use crate::trace::branch;
use crate::warnings::{WarningCode, Warnings};

const SEPARATOR: &str = " > ";

/// The top level of Google's product taxonomy.
const GOOGLE_ROOTS: [&str; 21] = [
    "Animals & Pet Supplies",
    "Apparel & Accessories",
    "Arts & Entertainment",
    "Baby & Toddler",
    "Business & Industrial",
    "Cameras & Optics",
    "Electronics",
    "Food, Beverages & Tobacco",
    "Furniture",
    "Hardware",
    "Health & Beauty",
    "Home & Garden",
    "Luggage & Bags",
    "Mature",
    "Media",
    "Office Supplies",
    "Religious & Ceremonial",
    "Software",
    "Sporting Goods",
    "Toys & Games",
    "Vehicles & Parts",
];

/// The path of a product.
pub(crate) fn path<'a>(
    settings: &MapSettings,
    google: Option<&'a str>,
    trail: &'a [String],
    warnings: &mut Warnings,
) -> Option<Cow<'a, str>> {
    if let Some(google) = google.map(text::line).filter(|google| !google.is_empty()) {
        branch!("category.given");
        judge(&google, warnings);
        return Some(google);
    }
    let mut titles: Vec<Cow<'a, str>> =
        trail.iter().map(|title| text::line(title)).filter(|title| !title.is_empty()).collect();
    let levels = match settings.category_levels {
        0 => usize::MAX,
        levels => usize::try_from(levels).unwrap_or(usize::MAX),
    };
    let mut is_cut_path = false;
    if titles.len() > levels {
        branch!("category.deepest");
        is_cut_path = is_root(&titles[0]);
        titles.drain(..titles.len() - levels);
    }
    let path = match titles.len() {
        0 => {
            branch!("category.none");
            return None;
        }
        1 => titles.swap_remove(0),
        _ => Cow::Owned(titles.join(SEPARATOR)),
    };
    if is_cut_path {
        let message = format!(
            "the path of Google's taxonomy is cut to its last {levels} categories, which is no path of it; set `category_levels` to 0"
        );
        warnings.add(WarningCode::CategoryCut, Some("google_product_category"), message);
    } else {
        judge(&path, warnings);
    }
    Some(path)
}

/// Warns of a path that is none of Google's.
fn judge(path: &str, warnings: &mut Warnings) {
    if is_google(path) {
        branch!("category.google");
        return;
    }
    let message = format!(
        "“{}” is no path of Google's product taxonomy; name the categories as Google does",
        text::cut(path, 100)
    );
    warnings.add(WarningCode::NotGoogleCategory, Some("google_product_category"), message);
}

/// Whether a path may be Google's: it starts at one of its roots, or is one of its numbers.
fn is_google(path: &str) -> bool {
    if path.bytes().all(|b| b.is_ascii_digit()) {
        branch!("category.google_number");
        return true;
    }
    let root = path.split('>').next().unwrap_or(path).trim();
    is_root(root)
}

fn is_root(title: &str) -> bool {
    GOOGLE_ROOTS.iter().any(|known| known.eq_ignore_ascii_case(title))
}
