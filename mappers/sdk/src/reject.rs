//! Rejections.

use crate::{Outcome, Rejection};

/// Word that an item does not belong into the catalog; see [`reject()`].
#[derive(Clone, Debug)]
#[must_use = "a rejection does something only as the answer of the mapper"]
pub struct Reject {
    rejection: Rejection,
}

/// Keeps an item out of the catalog: it is deleted at Meta, or skipped if it was never there. `code` is stable
/// snake_case and counted by operators, `message` a sentence for a person.
///
/// ```
/// use meta_catalog_mapper::{Outcome, reject};
///
/// let outcome: Outcome = reject("too_cheap", "items below 1.00 are not advertised").field("variant.price").into();
/// # assert!(matches!(outcome, Outcome::Rejected(_)));
/// ```
pub fn reject(code: impl Into<String>, message: impl Into<String>) -> Reject {
    Reject { rejection: Rejection { code: code.into(), field: None, message: message.into() } }
}

impl Reject {
    /// Names the source field that decided it.
    pub fn field(mut self, name: impl Into<String>) -> Self {
        self.rejection.field = Some(name.into());
        self
    }
}

impl From<Reject> for Outcome {
    fn from(reject: Reject) -> Self {
        Self::Rejected(reject.rejection)
    }
}

impl From<Rejection> for Outcome {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}
