//! Clears: fields that Meta may still hold and the new payload no longer has.
//!
//! An UPDATE is partial at Meta: a field left out keeps its old value, so a sale would never end. The payload stays
//! pruned (hash and preview are over it); the drain adds an empty value for each field that is gone.

use std::collections::BTreeSet;

use mapper_core::{FieldKind, field};

/// What to add to a payload, and what Meta will go on showing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clears {
    /// Fields to send empty: `""`, or `[]` where the flag says it is a list.
    pub fields: Vec<(String, bool)>,
    /// Fields that must never be sent empty (`stale_required_field`): Meta keeps the old value.
    pub stale: Vec<String>,
}

/// The clears for a push of `sent` over what Meta may hold.
///
/// Fields we do not know (a mapper module may send them) are cleared as text.
#[must_use]
pub fn clears<S: AsRef<str>>(at_meta: &BTreeSet<String>, sent: &[S]) -> Clears {
    let sent: BTreeSet<&str> = sent.iter().map(AsRef::as_ref).collect();
    let mut answer = Clears::default();
    for name in at_meta.iter().filter(|name| !sent.contains(name.as_str())) {
        match field(name) {
            Some(spec) if !spec.clearable => answer.stale.push(name.clone()),
            Some(spec) => answer.fields.push((name.clone(), spec.kind == FieldKind::List)),
            None => answer.fields.push((name.clone(), false)),
        }
    }
    answer
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
                    ("additional_image_link".into(), true),
                    ("sale_price".into(), false),
                    ("video_tag".into(), false)
                ],
                stale: vec!["brand".into()],
            }
        );
        assert_eq!(clears(&BTreeSet::new(), &["title"]), Clears::default());
    }
}
