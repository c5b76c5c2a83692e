//! The changes that another mapper would cause: the words of two mappers on the same variants, summed up.
//!
//! Purpose: the report of a preview of any number of variants in bounded memory: counts, and a few samples of each
//! kind.
//! Promises: pure; the same variants in the same order give the same report.
//! Left out on purpose: iterating over the catalog and running the mappers ([`crate::admin::preview`]).

mod report;

use std::collections::BTreeMap;

use super::changes::{Change, changes};
use crate::domain::intent::Intent;
use crate::domain::plan::{Action, Answer, Ask, Guard, plan};
use crate::domain::state::SyncState;
use crate::report::clip;
use mapper_core::word::{MapperFault, Payload, Word};
pub use report::{
    Compared, Effect, FieldDifference, FieldSample, Group, GroupSample, PreviewReport, WarningDifference,
};

/// Number of samples of each kind.
const SAMPLES: usize = 5;
/// Longest value in a sample, in characters.
const LONGEST: usize = 300;
/// Number of fields and codes that are counted separately; a module that invents names must not fill the memory.
const MOST_NAMES: usize = 200;
/// Longest name of a field or code, in characters.
const LONGEST_NAME: usize = 100;

/// The words of both mappers on a variant.
pub struct Pair<'a> {
    /// The variant.
    pub variant_id: &'a str,
    /// The active mapper's word.
    pub before: &'a Result<Word, MapperFault>,
    /// The module's word.
    pub after: &'a Result<Word, MapperFault>,
    /// The stored state of the variant.
    pub state: Option<&'a SyncState>,
}

/// Sums up pairs.
#[derive(Debug, Default)]
pub struct Tally {
    report: PreviewReport,
    fields: BTreeMap<String, FieldDifference>,
    warnings: BTreeMap<String, WarningDifference>,
}

/// The step that follows for a variant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Push,
    Delete,
    Skip,
    InPlace,
    Wait,
    Nothing,
}

impl Tally {
    /// Adds a variant whose source row cannot be read, so no mapper can map it.
    pub fn unreadable(&mut self, variant_id: &str, reason: &str) {
        self.report.variants += 1;
        self.report.effect.undecided += 1;
        self.report.failing_anyway.add(variant_id, || reason.to_owned());
    }

    /// Adds a variant. `catalog` is the selected catalog.
    pub fn add(&mut self, pair: &Pair<'_>, catalog: &str) {
        self.report.variants += 1;
        if [pair.before, pair.after].into_iter().any(was_not_tried) {
            self.report.not_tried += 1;
            self.report.effect.undecided += 1;
            return;
        }
        self.compare(pair);
        self.effect(pair, catalog);
    }

    fn compare(&mut self, pair: &Pair<'_>) {
        let Pair { variant_id, before, after, .. } = *pair;
        let report = &mut self.report;
        match (before, after) {
            (Ok(Word::Mapped(before)), Ok(Word::Mapped(after))) => {
                if before.data == after.data {
                    report.unchanged += 1;
                } else {
                    report.changed += 1;
                    self.compare_fields(variant_id, &before.data, &after.data);
                }
                self.count_warnings(before, true);
                self.count_warnings(after, false);
            }
            (Ok(Word::Mapped(before)), Ok(Word::Rejected(why))) => {
                report.newly_rejected.add(variant_id, || why.text());
                self.count_warnings(before, true);
            }
            (Ok(Word::Rejected(why)), Ok(Word::Mapped(after))) => {
                report.newly_eligible.add(variant_id, || why.text());
                self.count_warnings(after, false);
            }
            (Ok(Word::Rejected(before)), Ok(Word::Rejected(after))) => {
                if before.text() == after.text() {
                    report.unchanged += 1;
                } else {
                    let both = || format!("{} → {}", before.text(), after.text());
                    report.rejected_otherwise.add(variant_id, both);
                }
            }
            (Err(fault), Ok(after)) => {
                report.no_longer_failing.add(variant_id, || fault.to_string());
                if let Word::Mapped(after) = after {
                    self.count_warnings(after, false);
                }
            }
            (Ok(before), Err(fault)) => {
                report.newly_failing.add(variant_id, || fault.to_string());
                if let Word::Mapped(before) = before {
                    self.count_warnings(before, true);
                }
            }
            (Err(_), Err(fault)) => report.failing_anyway.add(variant_id, || fault.to_string()),
        }
    }

    fn compare_fields(&mut self, variant_id: &str, before: &str, after: &str) {
        for Change { field, before, after } in changes(before, after) {
            let made = |field| FieldDifference { field, ..FieldDifference::default() };
            let Some(difference) = entry(&mut self.fields, &field, made) else {
                self.report.fields_left_out += 1;
                continue;
            };
            *(match (before, after) {
                (Some(_), None) => &mut difference.removed,
                (None, _) => &mut difference.added,
                (Some(_), Some(_)) => &mut difference.changed,
            }) += 1;
            if difference.samples.len() < SAMPLES {
                difference.samples.push(FieldSample {
                    variant_id: variant_id.to_owned(),
                    before: before.map(|value| clip(value, LONGEST).into_owned()),
                    after: after.map(|value| clip(value, LONGEST).into_owned()),
                });
            }
        }
    }

    fn count_warnings(&mut self, payload: &Payload, is_before: bool) {
        for warning in &payload.warnings {
            let made = |code| WarningDifference { code, ..WarningDifference::default() };
            if let Some(count) = entry(&mut self.warnings, &warning.code, made) {
                *(if is_before { &mut count.before } else { &mut count.after }) += 1;
            }
        }
    }

    fn effect(&mut self, pair: &Pair<'_>, catalog: &str) {
        let anyway = step(pair.before, pair.state, catalog);
        let effect = &mut self.report.effect;
        let count = match step(pair.after, pair.state, catalog) {
            Step::Push if anyway == Step::Push => &mut effect.pushes_anyway,
            Step::Push => &mut effect.pushes,
            Step::Delete if anyway == Step::Delete => &mut effect.deletes_anyway,
            Step::Delete => &mut effect.deletes,
            Step::Skip if anyway == Step::Skip => &mut effect.skips_anyway,
            Step::Skip => &mut effect.skips,
            Step::InPlace => &mut effect.in_place,
            Step::Wait => &mut effect.waiting,
            Step::Nothing => &mut effect.undecided,
        };
        *count += 1;
    }

    /// Returns the report on all added variants.
    #[must_use]
    pub fn into_report(self, active: Compared) -> PreviewReport {
        let Self { mut report, fields, warnings } = self;
        report.active = active;
        report.fields = fields.into_values().collect();
        // The sort is stable: fields that change equally often stay in the order of their names.
        report.fields.sort_by_key(|field| std::cmp::Reverse(field.changed + field.added + field.removed));
        report.warnings = warnings.into_values().filter(|warning| warning.before != warning.after).collect();
        report.warnings.sort_by_key(|warning| std::cmp::Reverse(warning.before.abs_diff(warning.after)));
        report
    }
}

impl Group {
    fn add(&mut self, variant_id: &str, reason: impl FnOnce() -> String) {
        self.count += 1;
        if self.samples.len() < SAMPLES {
            let reason = clip(&reason(), LONGEST).into_owned();
            self.samples.push(GroupSample { variant_id: variant_id.to_owned(), reason });
        }
    }
}

/// Returns whether the word is missing for a reason that is unrelated to the variant.
fn was_not_tried(word: &Result<Word, MapperFault>) -> bool {
    word.as_ref().is_err_and(|fault| !fault.kind.blames_the_row())
}

/// Returns the step that the drain would take for an upsert of this variant, without the mass-delete guard.
fn step(word: &Result<Word, MapperFault>, state: Option<&SyncState>, catalog: &str) -> Step {
    let ask = Ask { intent: Intent::Upsert, released: false };
    match plan(ask, Answer::from(word), state, Guard::Open, catalog).action {
        Action::Upsert { .. } => Step::Push,
        Action::Delete { .. } | Action::Hold => Step::Delete,
        Action::Skip { .. } => Step::Skip,
        Action::Noop { .. } => Step::InPlace,
        Action::Wait => Step::Wait,
        Action::Drop | Action::Fault { .. } => Step::Nothing,
    }
}

/// Returns the entry of this name; `None` when the limit prevents a new entry.
fn entry<'m, T>(map: &'m mut BTreeMap<String, T>, name: &str, made: impl FnOnce(String) -> T) -> Option<&'m mut T> {
    let name = clip(name, LONGEST_NAME).into_owned();
    if map.len() >= MOST_NAMES && !map.contains_key(&name) {
        return None;
    }
    Some(map.entry(name.clone()).or_insert_with(|| made(name)))
}

#[cfg(test)]
mod tests;
