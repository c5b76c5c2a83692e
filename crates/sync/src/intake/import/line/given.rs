//! What a line says for Meta: `link`, `condition`, `currency`, `googleProductCategory` and `attributes`.

use super::object::{Limit, Object, Problems};
use crate::domain::record::Given;

const LINK: Limit = Limit::Chars(2_000);
const CATEGORY: Limit = Limit::Chars(750);
const MAX_ATTRIBUTES_BYTES: usize = 16 * 1024;

/// Reads what a product says.
pub(super) fn of_product(object: &mut Object<'_, '_>, problems: &mut Problems) -> Given {
    Given {
        currency: object.currency("currency", problems),
        google_product_category: object.text("googleProductCategory", CATEGORY, problems),
        ..of_variant(object, problems)
    }
}

/// Reads what a variant says.
pub(super) fn of_variant(object: &mut Object<'_, '_>, problems: &mut Problems) -> Given {
    Given {
        link: object.text("link", LINK, problems),
        condition: object.optional_choice("condition", &["new", "refurbished", "used"], problems),
        attributes: object.extra("attributes", MAX_ATTRIBUTES_BYTES, problems),
        ..Given::default()
    }
}
