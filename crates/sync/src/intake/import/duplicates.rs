//! The ids seen so far in a file.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::line::Refusal;
use crate::domain::record::ProductRecord;

/// Refuses a product or variant whose id already occurred on an earlier line of the same file.
///
/// Two lines for one id would make the result depend on how lines are grouped into transactions. This type stores 16
/// bytes per id instead of the id: the first 96 bits of its SHA-256 (the probability of a false duplicate among ten
/// million ids is below 10⁻¹⁵) and the line number.
#[derive(Debug, Default)]
pub struct Duplicates {
    seen: HashMap<Key, u32>,
}

/// An id of one kind, hashed.
pub(super) type Key = [u8; 12];

impl Duplicates {
    /// Returns an empty set of ids.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Compares the ids of `record`, which is on `line` (counted from 1), with the ids of earlier lines.
    ///
    /// # Errors
    /// Returns one refusal per duplicate id. The caller must not write the record then, so its other ids stay free for
    /// later lines.
    pub fn check(&mut self, line: u64, record: &ProductRecord) -> Result<(), Vec<Refusal>> {
        let mut keys = Vec::with_capacity(1 + record.variants.len());
        let mut refusals = Vec::new();
        let product = (String::from("id"), key(b'p', &record.id));
        let variants = record.variants.iter().enumerate();
        let variants = variants.map(|(i, v)| (format!("variants[{i}].id"), key(b'v', &v.id)));
        for (path, key) in std::iter::once(product).chain(variants) {
            match self.seen.get(&key) {
                Some(earlier) => {
                    let message = format!("already given on line {earlier}; keep one of the two");
                    refusals.push(Refusal { path, message });
                }
                None => keys.push(key),
            }
        }
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        self.seen.extend(keys.into_iter().map(|key| (key, line)));
        Ok(())
    }

    /// Returns whether a variant occurred in the file.
    #[must_use]
    pub fn has_variant(&self, id: &str) -> bool {
        self.has(&variant_key(id))
    }

    /// Returns whether a product occurred in the file.
    #[must_use]
    pub fn has_product(&self, id: &str) -> bool {
        self.has(&key(b'p', id))
    }

    pub(super) fn has(&self, key: &Key) -> bool {
        self.seen.contains_key(key)
    }
}

pub(super) fn variant_key(id: &str) -> Key {
    key(b'v', id)
}

/// Products and variants have separate id spaces; `kind` distinguishes them.
fn key(kind: u8, id: &str) -> Key {
    let digest = Sha256::new().chain_update([kind]).chain_update(id.as_bytes()).finalize();
    std::array::from_fn(|i| digest[i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::import::parse;

    fn record(product: &str, variants: &[&str]) -> ProductRecord {
        let variants: Vec<_> = variants.iter().map(|id| serde_json::json!({ "id": id })).collect();
        let line = serde_json::json!({
            "id": product, "title": "T", "status": "active", "visibility": "public",
            "variants": variants,
        });
        parse(line.to_string().as_bytes()).expect("a good line")
    }

    fn shown(result: Result<(), Vec<Refusal>>) -> Vec<String> {
        result.err().into_iter().flatten().map(|r| r.to_string()).collect()
    }

    #[test]
    fn ids_of_earlier_lines_are_refused_with_their_line() {
        let mut seen = Duplicates::new();
        assert_eq!(seen.check(3, &record("p1", &["v1", "v2"])), Ok(()));
        assert_eq!(
            shown(seen.check(17, &record("p1", &["v9", "v2"]))),
            [
                "id: already given on line 3; keep one of the two",
                "variants[1].id: already given on line 3; keep one of the two",
            ]
        );
    }

    #[test]
    fn a_refused_line_takes_no_ids_and_kinds_do_not_meet() {
        let mut seen = Duplicates::new();
        assert_eq!(seen.check(1, &record("p1", &["v1"])), Ok(()));
        assert!(seen.check(2, &record("p2", &["v1"])).is_err());
        assert_eq!(seen.check(3, &record("p2", &["v2", "p1"])), Ok(()));
        assert_eq!(seen.check(4, &record("v1", &[])), Ok(()));
    }
}
