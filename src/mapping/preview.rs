//! What another mapper would change: two mappers' words on the same variants, added up.
//!
//! Purpose: the report of a preview, of however many variants, in bounded memory: counts, and a few samples of each
//! kind.
//! Promises: pure; the same variants in the same order give the same report.
//! Left out on purpose: walking the catalog and asking the mappers ([`crate::admin::preview`]).

use std::collections::{BTreeMap, BTreeSet};

use mapper_core::sha256_hex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Running;
use crate::domain::decision::{Decision, Now, decide};
use crate::domain::intent::Intent;
use crate::domain::state::Held;
use crate::domain::word::{Payload, Word};
use crate::wasm::Fault;

/// Samples of each kind.
const SAMPLES: usize = 5;
/// Longest value in a sample, in characters.
const LONGEST: usize = 300;
/// Fields and codes that are told apart; a module that makes names up must not fill the memory.
const MOST_NAMES: usize = 200;
/// Longest name of a field or code, in characters.
const LONGEST_NAME: usize = 100;

/// What activating a module would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewReport {
    /// The mapper that the module is compared with: the active one, or the built-in one where that does not run.
    pub active: Compared,
    /// Variants that both mappers were asked about.
    pub variants: u64,
    /// Variants on which both say the same.
    pub unchanged: u64,
    /// Variants that both give a payload, but not the same one.
    pub changed: u64,
    /// Where those payloads differ, field by field; most changed first.
    pub fields: Vec<FieldDifference>,
    /// How often other fields differ, which are not listed since there are too many.
    pub fields_left_out: u64,
    /// Variants that get a payload now and would be rejected.
    pub newly_rejected: Group,
    /// Variants that are rejected now and would get a payload.
    pub newly_eligible: Group,
    /// Variants that are rejected by both, for another reason.
    pub rejected_otherwise: Group,
    /// Variants that the module would fail on and the active mapper does not.
    pub newly_failing: Group,
    /// Variants that the active mapper fails on and the module would not.
    pub no_longer_failing: Group,
    /// Variants that both fail on, or whose source row cannot be read.
    pub failing_anyway: Group,
    /// Warnings by code; most changed first.
    pub warnings: Vec<WarningDifference>,
    /// What would go to Meta if every variant were asked for again (`remap`).
    pub effect: Effect,
}

/// A mapper that is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// What it calls itself.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// SHA-256 of its file in hex, or `builtin-` and the version of this service.
    pub digest: String,
}

impl Compared {
    /// Names a mapper.
    #[must_use]
    pub fn of(mapper: &Running) -> Self {
        Self { name: mapper.name().into(), version: mapper.version().into(), digest: (**mapper.digest()).into() }
    }
}

/// A field in which payloads differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldDifference {
    /// Its name.
    pub field: String,
    /// Variants in which its value changes.
    pub changed: u64,
    /// Variants that do not have it now.
    pub added: u64,
    /// Variants that would not have it any more.
    pub removed: u64,
    /// A few of them, first by id.
    pub samples: Vec<FieldSample>,
}

/// A field of one variant, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldSample {
    /// The variant.
    pub variant_id: String,
    /// JSON text of the value by the active mapper, cut when long; null when there is none.
    pub before: Option<String>,
    /// The same by the module.
    pub after: Option<String>,
}

/// Variants of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// How many.
    pub count: u64,
    /// A few of them, first by id.
    pub samples: Vec<GroupSample>,
}

/// One variant of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupSample {
    /// The variant.
    pub variant_id: String,
    /// Why: the reason of the rejection, or the fault. Before and after when both have one.
    pub reason: String,
}

/// A warning that is given for more or fewer variants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WarningDifference {
    /// Its code.
    pub code: String,
    /// How often the active mapper gives it.
    pub before: u64,
    /// How often the module would.
    pub after: u64,
}

/// What would go to Meta: by the module, and because of it. What goes anyway would go with the active mapper as well,
/// for the shop has changed or Meta has refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// Payloads sent because of the module.
    pub pushes: u64,
    /// Payloads sent anyway.
    pub pushes_anyway: u64,
    /// Items deleted because of the module.
    pub deletes: u64,
    /// Items deleted anyway.
    pub deletes_anyway: u64,
    /// Variants marked as not eligible because of the module; Meta does not hold them.
    pub skips: u64,
    /// Variants marked so anyway.
    pub skips_anyway: u64,
    /// Variants that Meta holds as the module would have them.
    pub in_place: u64,
    /// Variants that wait for Meta's verdict, and are decided then.
    pub waiting: u64,
    /// Variants without an answer.
    pub undecided: u64,
}

/// Both mappers' words on a variant.
pub struct Pair<'a> {
    /// The variant.
    pub variant_id: &'a str,
    /// The active mapper's word.
    pub before: &'a Result<Word, Fault>,
    /// The module's.
    pub after: &'a Result<Word, Fault>,
    /// What is held of it.
    pub held: Option<&'a Held>,
}

/// Adds pairs up.
#[derive(Debug, Default)]
pub struct Tally {
    report: PreviewReport,
    fields: BTreeMap<String, FieldDifference>,
    warnings: BTreeMap<String, WarningDifference>,
}

/// What becomes of a variant.
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
    /// Adds a variant whose row cannot be read: no mapper can be asked.
    pub fn unreadable(&mut self, variant_id: &str, reason: &str) {
        self.report.variants += 1;
        self.report.effect.undecided += 1;
        self.report.failing_anyway.add(variant_id, || reason.to_owned());
    }

    /// Adds a variant. `catalog` is the selected one.
    pub fn add(&mut self, pair: &Pair<'_>, catalog: &str) {
        self.report.variants += 1;
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
                    before: before.map(|value| cut(value, LONGEST)),
                    after: after.map(|value| cut(value, LONGEST)),
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
        let anyway = step(pair.before, pair.held, catalog);
        let effect = &mut self.report.effect;
        let count = match step(pair.after, pair.held, catalog) {
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

    /// The report of what was added.
    #[must_use]
    pub fn into_report(self, active: Compared) -> PreviewReport {
        let Self { mut report, fields, warnings } = self;
        report.active = active;
        report.fields = fields.into_values().collect();
        // Stable: those that change equally often stay in the order of their names.
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
            let reason = cut(&reason(), LONGEST);
            self.samples.push(GroupSample { variant_id: variant_id.to_owned(), reason });
        }
    }
}

/// What the drain would do with an upsert that asks for this variant.
fn step(word: &Result<Word, Fault>, held: Option<&Held>, catalog: &str) -> Step {
    let hash;
    let now = match word {
        Err(_) => return Step::Nothing,
        Ok(Word::Mapped(payload)) => {
            hash = sha256_hex(&payload.data);
            Now::Eligible(&hash)
        }
        Ok(Word::Rejected(why)) => Now::NotEligible(&why.code),
    };
    match decide(Intent::Upsert, now, held, catalog) {
        Decision::Upsert => Step::Push,
        Decision::Delete => Step::Delete,
        Decision::Skip(_) => Step::Skip,
        Decision::Noop => Step::InPlace,
        Decision::Wait => Step::Wait,
        Decision::Drop => Step::Nothing,
    }
}

/// A field in which two payloads differ; values are JSON texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// Its name.
    pub field: String,
    /// The value in the first payload; none when it does not have the field.
    pub before: Option<&'a str>,
    /// The value in the second payload.
    pub after: Option<&'a str>,
}

/// The fields in which two payloads differ, by name.
#[must_use]
pub fn changes<'a>(before: &'a str, after: &'a str) -> Vec<Change<'a>> {
    let (mut before, mut after) = (fields(before), fields(after));
    let names: BTreeSet<String> = before.keys().chain(after.keys()).cloned().collect();
    names
        .into_iter()
        .map(|field| Change { before: before.remove(&field), after: after.remove(&field), field })
        .filter(|change| change.before != change.after)
        .collect()
}

/// Top-level fields of a payload, as JSON texts. Payloads are canonical, so equal values are equal texts.
fn fields(data: &str) -> BTreeMap<String, &str> {
    let parsed: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_str(data);
    // A payload is a JSON object, whichever mapper made it: the host has checked.
    parsed.map(|fields| fields.into_iter().map(|(name, value)| (name, value.get())).collect()).unwrap_or_default()
}

/// The entry of this name, unless there are too many to make another.
fn entry<'m, T>(map: &'m mut BTreeMap<String, T>, name: &str, made: impl FnOnce(String) -> T) -> Option<&'m mut T> {
    let name = cut(name, LONGEST_NAME);
    if map.len() >= MOST_NAMES && !map.contains_key(&name) {
        return None;
    }
    Some(map.entry(name.clone()).or_insert_with(|| made(name)))
}

/// The first characters of a text.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
