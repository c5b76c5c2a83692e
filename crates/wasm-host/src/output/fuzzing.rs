//! The check of a module's answer, for fuzzing: what passes is canonical.

use super::super::wire::{FieldChange, MappedItem, Outcome, Patch};
use super::{Payload, Word, check};

/// The item that is answered.
const ID: &str = "v1";
/// The time of the answer, in milliseconds.
const NOW: i64 = 1_000_000;

/// Returns the data of an answer that is a whole item; `None` when it is refused.
#[must_use]
pub fn whole(data: &str) -> Option<String> {
    let item = MappedItem { id: ID.into(), data: data.into(), warnings: Vec::new(), reevaluate_at: None };
    let built = || Ok(Word::Mapped(payload("{}")));
    data_of(check(Outcome::Mapped(item), ID, NOW, built).ok()?)
}

/// Returns the data of an answer that changes one field of the built-in mapper's; `None` when it is refused.
#[must_use]
pub fn patched(builtin: &str, name: &str, value: Option<&str>) -> Option<String> {
    let changes = vec![FieldChange { name: name.into(), value: value.map(Into::into) }];
    let patch = Patch { changes, warnings: Vec::new(), reevaluate_at: None };
    data_of(check(Outcome::Patched(patch), ID, NOW, || Ok(Word::Mapped(payload(builtin)))).ok()?)
}

fn payload(data: &str) -> Payload {
    let names: serde_json::Map<String, serde_json::Value> = serde_json::from_str(data).unwrap_or_default();
    let fields = names.keys().map(|name| name.clone().into()).collect();
    Payload { data: data.into(), fields, warnings: Vec::new(), reevaluate_at: None }
}

fn data_of(word: Word) -> Option<String> {
    match word {
        Word::Mapped(payload) => Some(payload.data.to_string()),
        Word::Rejected(_) => None,
    }
}
