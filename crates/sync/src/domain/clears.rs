//! Clears: fields that Meta may still hold and that the new payload no longer has.
//!
//! An UPDATE is partial at Meta: an omitted field keeps its old value, so a sale would never end. The payload stays
//! pruned (hash and preview are computed over it); the drain adds an empty value for each removed field.

use std::collections::BTreeSet;

use mapper_core::{AttributeSpec, FieldKind, attribute, field};

/// The fields to add to a payload, and the fields that Meta will keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clears {
    /// Fields to send empty, each with its empty form.
    pub fields: Vec<(String, Empty)>,
    /// Fields that must never be sent empty (`stale_required_field`). Meta keeps their old value.
    pub stale: Vec<String>,
}

/// The empty form of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// `""`
    Text,
    /// `[]`
    List,
    /// A word that means the same as none.
    Word(&'static str),
}

/// Returns the clears for a push of `sent` over the fields that Meta may hold.
///
/// A field of a mapper module that the built-in mapper does not know has its kind in its name: `name` is a text,
/// `name[]` a list, and `name{}` a value without an empty form, so Meta keeps it. A field whose kind changed is sent,
/// so it is not cleared.
#[must_use]
pub fn clears<S: AsRef<str>>(at_meta: &BTreeSet<String>, sent: &[S]) -> Clears {
    let sent: BTreeSet<&str> = sent.iter().map(|name| split(name.as_ref()).0).collect();
    let mut answer = Clears::default();
    for (name, kind) in at_meta.iter().map(|name| split(name)).filter(|(name, _)| !sent.contains(name)) {
        // After an unknown outcome Meta may hold either of two kinds. One clear suffices, for whichever kind comes
        // first.
        if answer.fields.iter().any(|(known, _)| known == name) {
            continue;
        }
        match (field(name), kind) {
            (Some(spec), _) if !spec.clearable => answer.stale.push(name.to_owned()),
            (Some(spec), _) => answer.fields.push((name.to_owned(), by_kind(spec.kind == FieldKind::List))),
            (None, _) if neutral(name).is_some() => {
                answer.fields.extend(neutral(name).map(|word| (name.to_owned(), Empty::Word(word))));
            }
            // Meta takes an empty text for a number as well; an object has no empty form.
            (None, Kind::Other) if attribute(name).is_some_and(AttributeSpec::is_number) => {
                answer.fields.push((name.to_owned(), Empty::Text));
            }
            (None, Kind::Other) => answer.stale.push(name.to_owned()),
            (None, kind) => answer.fields.push((name.to_owned(), by_kind(kind == Kind::List))),
        }
    }
    answer
}

fn by_kind(is_list: bool) -> Empty {
    if is_list { Empty::List } else { Empty::Text }
}

/// Returns the word that stands for no value of an attribute.
fn neutral(name: &str) -> Option<&'static str> {
    attribute(name).and_then(AttributeSpec::neutral)
}

/// The kind of a field that the built-in mapper does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    List,
    Other,
}

/// Returns the bare name and the kind of a field.
fn split(name: &str) -> (&str, Kind) {
    if let Some(bare) = name.strip_suffix("[]") {
        (bare, Kind::List)
    } else if let Some(bare) = name.strip_suffix("{}") {
        (bare, Kind::Other)
    } else {
        (name, Kind::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gone_fields_are_cleared_but_never_required_ones() {
        let at_meta: BTreeSet<String> =
            ["additional_image_link", "brand", "sale_price", "title", "video_tag"].map(Into::into).into();
        assert_eq!(
            clears(&at_meta, &["title"]),
            Clears {
                fields: vec![
                    ("additional_image_link".into(), Empty::List),
                    ("sale_price".into(), Empty::Text),
                    ("video_tag".into(), Empty::Text)
                ],
                stale: vec!["brand".into()],
            }
        );
        assert_eq!(clears(&BTreeSet::new(), &["title"]), Clears::default());
    }

    #[test]
    fn a_field_of_a_modules_own_is_cleared_by_its_kind() {
        let at_meta: BTreeSet<String> =
            ["applink{}", "custom_label_2", "custom_number_0{}", "internal_label[]"].map(Into::into).into();
        assert_eq!(
            clears(&at_meta, &["id"]),
            Clears {
                fields: vec![
                    ("custom_label_2".into(), Empty::Text),
                    ("custom_number_0".into(), Empty::Text),
                    ("internal_label".into(), Empty::List)
                ],
                stale: vec!["applink".into()],
            }
        );
        assert_eq!(
            clears(&at_meta, &["applink", "custom_label_2", "custom_number_0", "internal_label"]),
            Clears::default()
        );
    }

    /// An empty text would leave an archived item archived.
    #[test]
    fn a_field_with_a_neutral_word_is_cleared_by_it() {
        let at_meta: BTreeSet<String> = ["status", "wa_compliance_category"].map(Into::into).into();
        let cleared = clears(&at_meta, &["id"]);
        assert_eq!(
            cleared.fields,
            [
                ("status".to_owned(), Empty::Word("active")),
                ("wa_compliance_category".to_owned(), Empty::Word("DEFAULT"))
            ]
        );
        assert_eq!(cleared.stale, [""; 0]);
    }

    /// Whatever a shop can give goes at Meta when it goes in the shop, but for objects, which have no empty form.
    #[test]
    fn every_attribute_is_cleared_but_an_object() {
        let at_meta: BTreeSet<String> = mapper_core::ATTRIBUTES.iter().map(AttributeSpec::listed).collect();
        assert_eq!(clears(&at_meta, &["id"]).stale, ["applink", "importer_address"]);
    }

    #[test]
    fn a_field_that_changed_its_kind_is_not_gone() {
        let at_meta: BTreeSet<String> = ["shipping[]"].map(Into::into).into();
        assert_eq!(clears(&at_meta, &["shipping"]), Clears::default());
        let both: BTreeSet<String> = ["shipping", "shipping[]"].map(Into::into).into();
        assert_eq!(clears(&both, &["id"]).fields, [("shipping".to_owned(), Empty::Text)]);
    }
}
