//! Changes to the built-in mapper's payload.

use serde::Serialize;

use crate::bindings::catalog::mapper::types::Patch as Wire;
use crate::{FieldChange, Outcome, Warning, json};

/// The built-in mapper's payload with changes; see [`patch()`].
#[derive(Clone, Debug)]
#[must_use = "a patch does something only as the answer of the mapper"]
pub struct Patch {
    wire: Wire,
}

/// Starts from the built-in mapper's payload. Without any change, the payload stays as it is; where the built-in mapper
/// rejects the item, so does the patch.
///
/// ```
/// use meta_catalog_mapper::{Outcome, patch};
///
/// let outcome: Outcome = patch()
///     .text("custom_label_2", "clearance")
///     .list("additional_image_link", ["https://cdn.example/1.jpg"])
///     .remove("sale_price")
///     .warn("label_guessed", "custom_label_2", "the shop gives no cost; set extra.cost")
///     .into();
/// # let Outcome::Patched(patch) = outcome else { unreachable!() };
/// # assert_eq!(patch.changes[0].value.as_deref(), Some("\"clearance\""));
/// # assert_eq!(patch.changes[1].value.as_deref(), Some(r#"["https://cdn.example/1.jpg"]"#));
/// # assert_eq!(patch.changes[2].value, None);
/// ```
pub fn patch() -> Patch {
    Patch { wire: Wire { changes: Vec::new(), warnings: Vec::new(), reevaluate_at: None } }
}

impl Patch {
    /// Sets a text field.
    ///
    /// # Panics
    /// When the field is `id`, as with every change: an item's id is its key.
    pub fn text(self, name: impl Into<String>, value: impl AsRef<str>) -> Self {
        self.change(name.into(), Some(json::text(value.as_ref())))
    }

    /// Sets a list of texts.
    pub fn list<T: AsRef<str>>(self, name: impl Into<String>, values: impl IntoIterator<Item = T>) -> Self {
        self.change(name.into(), Some(json::list(values)))
    }

    /// Sets a field to anything that is JSON, for fields that are neither texts nor lists of them.
    ///
    /// # Panics
    /// When the value has no JSON, such as a map whose keys are no texts.
    pub fn value(self, name: impl Into<String>, value: &(impl Serialize + ?Sized)) -> Self {
        self.change(name.into(), Some(json::canonical(value).expect("the value of a field has JSON")))
    }

    /// Leaves a field out.
    pub fn remove(self, name: impl Into<String>) -> Self {
        self.change(name.into(), None)
    }

    /// Warns the operator about a field (`""` for the item as a whole); nothing stops the push. `code` is stable
    /// snake_case, `message` says how to mend it.
    pub fn warn(mut self, code: impl Into<String>, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.wire.warnings.push(warning(code.into(), field.into(), message.into()));
        self
    }

    /// Says when time alone changes this answer, in milliseconds since the Unix epoch: the service maps the item again
    /// then. Of several, and the built-in mapper's own, the earliest counts. Needed wherever [`Context::now`] decided
    /// anything.
    ///
    /// [`Context::now`]: crate::Context::now
    pub fn reevaluate_at(mut self, at: i64) -> Self {
        self.wire.reevaluate_at = Some(self.wire.reevaluate_at.map_or(at, |earlier| earlier.min(at)));
        self
    }

    /// A field changes at most once: the last word counts.
    fn change(mut self, name: String, value: Option<String>) -> Self {
        assert!(name != "id", "`id` is the item's key and cannot be changed");
        match self.wire.changes.iter_mut().find(|change| change.name == name) {
            Some(change) => change.value = value,
            None => self.wire.changes.push(FieldChange { name, value }),
        }
        self
    }
}

impl From<Patch> for Outcome {
    fn from(patch: Patch) -> Self {
        Self::Patched(patch.wire)
    }
}

/// A warning; an empty field is none.
pub(crate) fn warning(code: String, field: String, message: String) -> Warning {
    Warning { code, field: Some(field).filter(|field| !field.is_empty()), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_changes_once_and_the_last_word_counts() {
        let Outcome::Patched(wire) =
            patch().text("title", "a").remove("size").text("title", "b").value("size", &5).into()
        else {
            panic!("a patch")
        };
        let changes: Vec<_> = wire.changes.iter().map(|change| (&*change.name, change.value.as_deref())).collect();
        assert_eq!(changes, [("title", Some("\"b\"")), ("size", Some("5"))]);
    }

    #[test]
    fn the_earliest_instant_counts() {
        let Outcome::Patched(wire) = patch().reevaluate_at(5).reevaluate_at(3).reevaluate_at(4).into() else {
            panic!("a patch")
        };
        assert_eq!(wire.reevaluate_at, Some(3));
    }

    #[test]
    fn a_warning_about_the_item_has_no_field() {
        let Outcome::Patched(wire) = patch().warn("odd", "", "mend it").into() else { panic!("a patch") };
        assert_eq!(wire.warnings[0].field, None);
    }

    #[test]
    #[should_panic(expected = "`id` is the item's key")]
    fn the_id_stays() {
        let _ = patch().text("id", "v-2");
    }
}
