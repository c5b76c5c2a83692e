//! The built-in mapper's payload, to be read.

use serde::de::DeserializeOwned;

use crate::{MappedItem, Outcome, Rejection, Warning, json};

/// The built-in mapper's payload for an item.
///
/// Reading one field is cheap: it ends at the field. Fields come sorted by name, so `availability` is nearest and
/// `title` farthest.
#[derive(Clone, Debug)]
pub struct Builtin {
    mapped: MappedItem,
}

impl Builtin {
    /// Tells a payload from a rejection.
    pub(crate) fn of(outcome: Outcome) -> Result<Self, Rejection> {
        match outcome {
            Outcome::Mapped(mapped) => Ok(Self { mapped }),
            Outcome::Rejected(rejection) => Err(rejection),
            Outcome::Patched(_) => panic!("the built-in mapper answers `mapped` or `rejected`, never `patched`"),
        }
    }

    /// A text field such as `title`; none if the payload lacks it.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name)
    }

    /// A list field such as `additional_image_link`; empty if the payload lacks it.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        self.get(name).unwrap_or_default()
    }

    /// A field of any type; none if the payload lacks it or holds another type.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        json::field(&self.mapped.data, name).ok().flatten()
    }

    /// The whole `data` object as canonical JSON.
    #[must_use]
    pub fn data(&self) -> &str {
        &self.mapped.data
    }

    /// What the built-in mapper warns of.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.mapped.warnings
    }

    /// When time alone changes the built-in answer: the next edge of a sale, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn reevaluate_at(&self) -> Option<i64> {
        self.mapped.reevaluate_at
    }
}
