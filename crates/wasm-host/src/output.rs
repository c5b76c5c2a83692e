//! Checks a module's answer to one item, and converts it to a [`Word`].
//!
//! An error for the row: an id other than the item's, `data` that is not one JSON object, a field named twice, a known
//! field of the wrong kind, an invalid field name, a rejection without a valid code. Only a warning: an unknown field,
//! a value longer than Meta documents, a time in the past for the next mapping.
//!
//! A payload has no empty values: `null`, `""` and `[]` mean that the field is absent. They are left out, as the
//! built-in mapper does; the drain then clears the field that Meta still has. In a patch they remove the field.
//!
//! JSON that is already canonical (keys sorted bytewise, no blanks) is kept byte for byte. Numbers keep their digits as
//! the module wrote them, at every depth; a number that cannot be read as a finite number is an error for the row.

mod documented;
mod field;
mod json;
mod patch;

use std::borrow::Cow;

use mapper_core::Warning;

use mapper_core::word::FaultKind;

use super::fault::{Cause, short};
use super::wire::{self, Outcome};
use field::Field;
use mapper_core::word::{Payload, Rejection, Word};

/// The largest `data` of an item, in bytes: several times the total of all documented limits.
const LONGEST_DATA: usize = 256 << 10;
/// Longest code of a warning or a rejection.
const LONGEST_CODE: usize = 64;
/// Longest name of a field.
const LONGEST_NAME: usize = 100;
/// Names of all fields of an item together, in bytes: their set is stored with the item.
const LONGEST_NAMES: usize = 2_000;
/// Fields of one item, and changes in a patch.
const MOST_FIELDS: usize = 200;
/// Warnings of one item that a module may add.
const MOST_WARNINGS: usize = 20;
/// The shortest delay, in milliseconds, after which a module may ask to be called again: each call costs a push or a
/// hash.
const SOONEST: i64 = 60_000;

/// Checks an answer. `builtin` is asked for the built-in word only if the answer is a patch of it.
pub(super) fn check(
    outcome: Outcome,
    id: &str,
    now: i64,
    builtin: impl FnOnce() -> Result<Word, Cause>,
) -> Result<Word, Cause> {
    match outcome {
        Outcome::Mapped(item) => mapped(item, id, now).map(Word::Mapped),
        Outcome::Patched(patch) => match builtin()? {
            Word::Mapped(payload) => patch::apply(payload, patch, now).map(Word::Mapped),
            rejected @ Word::Rejected(_) => Ok(rejected),
        },
        Outcome::Rejected(rejection) => rejected(rejection).map(Word::Rejected),
    }
}

fn mapped(item: wire::MappedItem, id: &str, now: i64) -> Result<Payload, Cause> {
    let wire::MappedItem { id: named, data, warnings, reevaluate_at } = item;
    if named != id {
        return Err(wrong(format!("answered item `{}` with an outcome for `{}`", short(id), short(&named))));
    }
    check_length(&data)?;
    let mut warnings = own(warnings);
    let reevaluate_at = later(reevaluate_at, now, &mut warnings);

    let entries =
        json::entries(&data).map_err(|error| wrong(format!("returned `data` that is not one JSON object: {error}")))?;
    check_count(entries.len())?;
    let mut fields = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        fields.push(Field::judge(name, value, &mut warnings)?);
    }
    let is_sorted = fields.is_sorted_by(|a, b| a.name < b.name);
    if !is_sorted {
        fields.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if let Some(twice) = fields.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(wrong(format!("returned `data` that names `{}` twice", twice[0].shown())));
        }
    }
    match fields.iter().find(|field| field.name == "id") {
        Some(field) if field.is_text(id) => {}
        Some(field) => {
            return Err(wrong(format!("returned `data` whose `id` is {}, not that of the item", short(&field.value))));
        }
        None => return Err(wrong("returned `data` without an `id`")),
    }
    let names = field::listed(&fields);
    check_names(&names)?;
    // Rewritten only if it was not canonical.
    let compact = json::object_length(fields.iter().map(|field| (&*field.name, &*field.value)));
    let is_canonical = is_sorted && compact == data.len() && fields.iter().all(Field::stands_as_given);
    let canonical = if is_canonical { None } else { Some(field::write(&fields)) };
    Ok(Payload { fields: names, warnings, reevaluate_at, data: canonical.unwrap_or(data) })
}

fn rejected(rejection: wire::Rejection) -> Result<Rejection, Cause> {
    let wire::Rejection { code, field, message } = rejection;
    if !is_code(&code) {
        return Err(wrong(format!(
            "rejected the item with the code `{}`; a code is snake_case and at most {LONGEST_CODE} characters",
            short(&code)
        )));
    }
    Ok(Rejection { code: Cow::Owned(code), field: field.map(|field| short(&field)), message: short(&message) })
}

fn check_length(data: &str) -> Result<(), Cause> {
    if data.len() <= LONGEST_DATA {
        return Ok(());
    }
    Err(wrong(format!("returned `data` of {} bytes, {LONGEST_DATA} are allowed", data.len())))
}

fn check_count(fields: usize) -> Result<(), Cause> {
    if fields <= MOST_FIELDS {
        return Ok(());
    }
    Err(wrong(format!("returned {fields} fields, {MOST_FIELDS} are allowed")))
}

fn check_names(names: &[Cow<'_, str>]) -> Result<(), Cause> {
    let bytes: usize = names.iter().map(|name| name.len()).sum();
    if bytes <= LONGEST_NAMES {
        return Ok(());
    }
    Err(wrong(format!("returned fields whose names have {bytes} bytes together, {LONGEST_NAMES} are allowed")))
}

/// A fault in this row's answer.
fn wrong(what: impl Into<String>) -> Cause {
    Cause::new(FaultKind::Output, what)
}

fn is_code(code: &str) -> bool {
    code.len() <= LONGEST_CODE
        && code.starts_with(|c: char| c.is_ascii_lowercase())
        && code.bytes().all(|b| b == b'_' || b.is_ascii_lowercase() || b.is_ascii_digit())
}

fn warning(code: &str, field: Option<&str>, message: String) -> Warning {
    Warning { code: code.to_owned(), field: field.map(str::to_owned), message }
}

/// A module's own warnings, shortened for display. They never fail the row.
fn own(mut warnings: Vec<Warning>) -> Vec<Warning> {
    warnings.truncate(MOST_WARNINGS);
    for warning in &mut warnings {
        if !is_code(&warning.code) {
            warning.code = "mapper_warning".into();
        }
        warning.message = short(&warning.message);
        warning.field = warning.field.take().map(|field| short(&field));
    }
    warnings
}

/// The time to map again; `None` when it is not in the future.
fn later(at: Option<i64>, now: i64, warnings: &mut Vec<Warning>) -> Option<i64> {
    let at = at?;
    if at <= now {
        let message = "the module asks to map the item again at a time that has passed; return the next edge, or none";
        warnings.push(warning("reevaluate_in_the_past", None, message.into()));
        return None;
    }
    Some(at.max(now.saturating_add(SOONEST)))
}

#[cfg(feature = "fuzzing")]
pub mod fuzzing;

#[cfg(test)]
mod tests;
