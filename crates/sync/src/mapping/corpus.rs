//! The samples that every mapper must answer before it becomes active, and that `meta-catalog mapper check` shows.
//!
//! They are the fixtures of the built-in mapper (`mappers/core/fixtures`), embedded in the binary: each covers a branch
//! of the field mapping that real shop data reaches. Fixtures about unreadable input lines are not items and are left
//! out.

use std::sync::{Arc, OnceLock};

use include_dir::{Dir, include_dir};
use mapper_core::word::{FaultKind, MapperFault, Word};
use mapper_core::{Item, Outcome, input};
use serde::Deserialize;

use super::{Batch, LoadedMapper};
use crate::clock::Millis;

static FIXTURES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../mappers/core/fixtures");

/// A sample.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Short name: the fixture's file stem.
    pub name: String,
    /// What the sample covers.
    pub purpose: String,
    item: input::Item,
}

impl Sample {
    /// Returns the instant for which the sample is mapped.
    #[must_use]
    pub fn at(&self) -> Millis {
        self.item.now.unwrap_or_default()
    }

    /// Returns a mapper's word on the sample.
    ///
    /// # Errors
    /// When the mapper fails: its fault.
    pub fn ask(&self, mapper: &LoadedMapper) -> Result<Word, MapperFault> {
        self.ask_later(mapper, 0)
    }

    /// Returns a mapper's word on the sample `later` milliseconds after the sample's own instant.
    ///
    /// # Errors
    /// When the mapper fails: its fault.
    pub fn ask_later(&self, mapper: &LoadedMapper, later: Millis) -> Result<Word, MapperFault> {
        let input::Item { settings, product, variant, .. } = &self.item;
        let batch = Arc::new(Batch {
            settings: Arc::new(settings.clone()),
            now: self.at().saturating_add(later),
            products: vec![product.clone()],
            items: vec![Item { product_index: 0, variant: variant.clone() }],
        });
        let answer = mapper.map(&batch).into_iter().next();
        let nothing = || MapperFault { kind: FaultKind::Answer, message: "the mapper returned no answer".into() };
        answer.unwrap_or_else(|| Err(nothing()))
    }
}

/// Returns the built-in mapper's result for every sample, one line each: the payload or the reason of the rejection,
/// and when the result changes by time alone. Warnings are left out because they are not part of a payload.
#[must_use]
pub fn builtin_outputs() -> String {
    let line = |sample: &Sample| {
        let input::Item { settings, product, variant, .. } = &sample.item;
        match mapper_core::map(settings, sample.at(), product, variant) {
            Outcome::Mapped(mapped) => format!("{} {} {:?}\n", sample.name, mapped.data, mapped.reevaluate_at),
            Outcome::Rejected(reason) => format!("{} {}\n", sample.name, reason.as_str()),
        }
    };
    samples().iter().map(line).collect()
}

#[derive(Deserialize)]
struct Fixture {
    purpose: String,
    input: serde_json::Value,
}

/// Returns all samples, sorted by name.
#[must_use]
pub fn samples() -> &'static [Sample] {
    static SAMPLES: OnceLock<Vec<Sample>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let mut samples: Vec<Sample> = FIXTURES
            .files()
            .filter_map(|file| {
                let name = file.path().file_stem()?.to_str()?.to_owned();
                let Fixture { purpose, input } = serde_json::from_slice(file.contents()).ok()?;
                let item = input::read(&input.to_string()).ok()?;
                // A fixture without an id is not an item.
                (!item.variant.id.is_empty()).then_some(Sample { name, purpose, item })
            })
            .collect();
        samples.sort_by(|a, b| a.name.cmp(&b.name));
        samples
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The digest of the built-in mapper is made of these outputs. A field in none of them would change no digest, and an
    /// upgrade that adds it would ask for nothing.
    #[test]
    fn every_field_of_the_payload_is_in_a_sample() {
        let mut seen = BTreeSet::new();
        for sample in samples() {
            let input::Item { settings, product, variant, .. } = &sample.item;
            if let Outcome::Mapped(mapped) = mapper_core::map(settings, sample.at(), product, variant) {
                seen.extend(mapped.fields);
            }
        }
        let fields = mapper_core::FIELDS.iter().map(|spec| spec.name.to_owned());
        let attributes = mapper_core::ATTRIBUTES.iter().filter(|spec| mapper_core::field(spec.name).is_none());
        let known = fields.chain(attributes.map(mapper_core::AttributeSpec::listed));
        let missing: Vec<_> = known.filter(|name| !seen.contains(name.as_str())).collect();
        assert!(missing.is_empty(), "add a fixture to mappers/core/fixtures for each of {missing:?}");
    }

    #[test]
    fn nearly_every_fixture_is_a_sample_and_the_builtin_answers_all() {
        let samples = samples();
        assert!(samples.len() >= 100, "{}", samples.len());
        assert!(samples.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(LoadedMapper::builtin().rehearse(), Ok(()));
        let rejected =
            samples.iter().filter(|s| matches!(s.ask(&LoadedMapper::builtin()), Ok(Word::Rejected(_)))).count();
        assert!(rejected >= 8, "{rejected}");
    }
}
