//! Fields that Meta documents and the built-in mapper does not send: a module may send them without a warning.
//!
//! Only names, kinds and lengths: Meta itself judges the values. A mistake here costs only a warning; new fields of
//! Meta's need no new version of this program.

/// The kind that Meta documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Documented {
    /// A text of at most so many characters, where a limit is known.
    Text(Option<usize>),
    /// A list.
    List,
    /// A number.
    Number,
    /// More than one kind is taken.
    Any,
}

/// Sorted bytewise.
const DOCUMENTED: &[(&str, Documented)] = &[
    ("additional_variant_attribute", Documented::Any),
    ("age_group", Documented::Text(None)),
    ("checkout_url", Documented::Text(None)),
    ("custom_label_2", Documented::Text(Some(100))),
    ("custom_label_3", Documented::Text(Some(100))),
    ("custom_label_4", Documented::Text(Some(100))),
    ("custom_number_0", Documented::Number),
    ("custom_number_1", Documented::Number),
    ("custom_number_2", Documented::Number),
    ("custom_number_3", Documented::Number),
    ("custom_number_4", Documented::Number),
    ("disabled_capabilities", Documented::List),
    ("expiration_date", Documented::Text(None)),
    ("external_update_time", Documented::Number),
    ("external_variant_id", Documented::Text(None)),
    ("fb_product_category", Documented::Text(None)),
    ("gender", Documented::Text(None)),
    ("image", Documented::List),
    ("internal_label", Documented::List),
    ("mobile_link", Documented::Text(None)),
    ("ordering_index", Documented::Number),
    ("product_type", Documented::Text(Some(750))),
    ("quantity_to_sell_on_facebook", Documented::Number),
    ("rating_count", Documented::Number),
    ("rich_text_description", Documented::Text(Some(9999))),
    ("shipping", Documented::Any),
    ("shipping_weight", Documented::Text(None)),
    ("short_description", Documented::Text(None)),
    ("status", Documented::Text(None)),
    ("user_rating", Documented::Number),
    ("vendor_id", Documented::Text(Some(100))),
    ("video", Documented::List),
    ("visibility", Documented::Text(None)),
];

/// Returns Meta's documentation of a field; `None` when there is none.
pub(super) fn documented(name: &str) -> Option<Documented> {
    DOCUMENTED.binary_search_by(|(known, _)| (*known).cmp(name)).ok().map(|index| DOCUMENTED[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_holds_nothing_that_the_builtin_mapper_sends() {
        assert!(DOCUMENTED.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(DOCUMENTED.iter().find(|(name, _)| mapper_core::field(name).is_some()), None);
        assert_eq!(documented("internal_label"), Some(Documented::List));
        assert_eq!(documented("intern_label"), None);
    }
}
