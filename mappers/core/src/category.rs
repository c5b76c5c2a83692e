//! `google_product_category` from the shop's own category trail.
//!
//! The trail comes root first; blank titles are dropped, then the deepest three are joined by ` > `.
//! Meta takes a path of Google's taxonomy or its number. What a path of the shop's own words does is not
//! documented, so it is sent, with a warning. The check is shallow on purpose: one of the 21 top-level
//! names as first part, or a number. The whole taxonomy (5,600 rows, renewed by Google) has no place in
//! a pure mapping.

use std::borrow::Cow;

use crate::text;
use crate::trace::branch;
use crate::warnings::{WarningCode, Warnings};

const DEEPEST: usize = 3;
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

/// The path of a trail of titles, root first.
pub(crate) fn path<'a>(trail: &'a [String], warnings: &mut Warnings) -> Option<Cow<'a, str>> {
    let mut titles: Vec<Cow<'a, str>> =
        trail.iter().map(|title| text::line(title)).filter(|title| !title.is_empty()).collect();
    if titles.len() > DEEPEST {
        branch!("category.deepest_three");
        titles.drain(..titles.len() - DEEPEST);
    }
    let path = match titles.len() {
        0 => {
            branch!("category.none");
            return None;
        }
        1 => titles.swap_remove(0),
        _ => Cow::Owned(titles.join(SEPARATOR)),
    };
    if is_google(&path) {
        branch!("category.google");
    } else {
        let message = format!(
            "“{}” is no path of Google's product taxonomy; name the categories as Google does",
            text::cut(&path, 100)
        );
        warnings.add(WarningCode::NotGoogleCategory, Some("google_product_category"), message);
    }
    Some(path)
}

/// Whether a path may be Google's: it starts at one of its roots, or is one of its numbers.
fn is_google(path: &str) -> bool {
    if path.bytes().all(|b| b.is_ascii_digit()) {
        branch!("category.google_number");
        return true;
    }
    let root = path.split('>').next().unwrap_or(path).trim();
    GOOGLE_ROOTS.iter().any(|known| known.eq_ignore_ascii_case(root))
}
