//! A mapper's word on a variant, or its fault: what the built-in mapper and mapper modules have in common.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Outcome, Warning};

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
                fields: mapped.fields,
                warnings: mapped.warnings,
                reevaluate_at: mapped.reevaluate_at,
            }),
            Outcome::Rejected(reason) => {
                Self::Rejected(Rejection { code: Cow::Borrowed(reason.as_str()), field: None, message: String::new() })
            }
        }
    }
}

/// The kind of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FaultKind {
    /// The run did not end in its time.
    Time,
    /// The module asked for more memory, or a larger table, than it may have.
    Memory,
    /// Endless or very deep recursion.
    Stack,
    /// The module stopped itself (a panic, an exception) or did what WebAssembly forbids.
    Trap,
    /// The module handed over more than it may.
    TooMuchOutput,
    /// The module's answer breaks the calling convention, such as text that is no UTF-8 or a wrong number of outcomes.
    Answer,
    /// The answer to this item was read and is wrong.
    Output,
    /// The built-in mapper panicked on the item, under a module that reads or patches its word.
    Builtin,
    /// The module had used up its time on other rows of the request; nothing is known of this one.
    NotTried,
    /// No place to run in came free in time; nothing is known of this row.
    Busy,
    /// The host's own fault.
    Host,
}

impl FaultKind {
    /// Whether the row itself provoked it. If not, trying it again is likely to help.
    #[must_use]
    pub fn blames_the_row(self) -> bool {
        !matches!(self, Self::NotTried | Self::Busy | Self::Host)
    }
}

/// Why there is no word on a row. Its text names the module and says what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapperFault {
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// One sentence, complete in itself.
    pub message: String,
}

impl fmt::Display for MapperFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for MapperFault {}
