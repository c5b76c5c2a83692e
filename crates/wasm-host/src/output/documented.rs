//! Fields that Meta documents and the built-in mapper does not send: a module may send them without a warning.
//!
//! Only names, kinds and lengths: Meta itself judges the values. A mistake here costs only a warning; new fields of
//! Meta's need no new version of this program.

use mapper_core::AttributeKind;

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

/// Fields that only programs send: a shop cannot give them as attributes. Sorted bytewise.
const OTHERS: &[(&str, Documented)] = &[
    ("checkout_url", Documented::Text(None)),
    ("external_update_time", Documented::Number),
    ("external_variant_id", Documented::Text(None)),
    ("image", Documented::List),
    ("visibility", Documented::Text(None)),
];

/// Returns Meta's documentation of a field; `None` when there is none.
pub(super) fn documented(name: &str) -> Option<Documented> {
    if let Some(spec) = mapper_core::attribute(name) {
        return Some(match spec.kind {
            // Meta takes a list or a text of these two as well.
            _ if ["additional_variant_attribute", "shipping"].contains(&name) => Documented::Any,
            AttributeKind::Text(limit) => Documented::Text(Some(limit)),
            AttributeKind::Word(_)
            | AttributeKind::Url
            | AttributeKind::Day
            | AttributeKind::Country
            | AttributeKind::Weight => Documented::Text(None),
            AttributeKind::Whole(..) | AttributeKind::Rating => Documented::Number,
            AttributeKind::Texts(..) | AttributeKind::Objects(_) => Documented::List,
            AttributeKind::Object(_) => Documented::Any,
        });
    }
    OTHERS.binary_search_by(|(known, _)| (*known).cmp(name)).ok().map(|index| OTHERS[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_holds_nothing_that_the_builtin_mapper_sends() {
        assert!(OTHERS.is_sorted_by(|a, b| a.0 < b.0));
        let known = |name: &str| mapper_core::field(name).is_some() || mapper_core::attribute(name).is_some();
        assert_eq!(OTHERS.iter().find(|(name, _)| known(name)), None);
        assert_eq!(documented("internal_label"), Some(Documented::List));
        assert_eq!(documented("intern_label"), None);
    }
}
