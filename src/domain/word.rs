//! A mapper's word on a variant: what the built-in mapper and mapper modules have in common.

use std::borrow::Cow;

use mapper_core::{Outcome, Warning};

/// What a mapper says of one variant at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// The variant belongs into the catalog with this payload.
    Mapped(Payload),
    /// The variant does not belong into the catalog.
    Rejected(Rejection),
}

/// A payload with what an operator should know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The `data` object of an `items_batch` record: canonical JSON (keys sorted bytewise, no blanks).
    pub data: String,
    /// Names of the fields in `data`, sorted bytewise. One that we do not know carries its kind, so that it can be
    /// cleared when it goes: `name[]` is a list, `name{}` neither text nor list.
    pub fields: Vec<Cow<'static, str>>,
    /// Nothing here stops the push.
    pub warnings: Vec<Warning>,
    /// When the answer changes by time alone, in milliseconds.
    pub reevaluate_at: Option<i64>,
}

/// Why a variant does not belong into the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Stable snake_case code.
    pub code: Cow<'static, str>,
    /// The source field that decided it, if one did.
    pub field: Option<String>,
    /// Sentence for a person; may be empty.
    pub message: String,
}

impl Rejection {
    /// Code and sentence, as a state row keeps them.
    #[must_use]
    pub fn text(&self) -> String {
        if self.message.is_empty() {
            self.code.clone().into_owned()
        } else {
            format!("{}: {}", self.code, self.message)
        }
    }
}

impl From<Outcome> for Word {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Mapped(mapped) => Self::Mapped(Payload {
                data: mapped.data,
                fields: mapped.fields.into_iter().map(Cow::Borrowed).collect(),
                warnings: mapped.warnings,
                reevaluate_at: mapped.reevaluate_at,
            }),
            Outcome::Rejected(reason) => {
                Self::Rejected(Rejection { code: Cow::Borrowed(reason.as_str()), field: None, message: String::new() })
            }
        }
    }
}
