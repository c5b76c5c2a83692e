//! Refusals of a whole file, counted by kind: what an operator has to fix, most frequent first.

use std::collections::HashMap;

use super::Refusal;

/// Bounds memory when every refusal is of a kind of its own.
const MAX_KINDS: usize = 1_000;

/// A kind of refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The place and the message without what differs from line to line: `variants[].price: must be …`.
    pub what: String,
    /// How often it came.
    pub count: u64,
    /// The line of the first one.
    pub line: u64,
    /// The first one.
    pub example: Refusal,
}

/// Counts refusals by kind.
#[derive(Debug, Default)]
pub struct Kinds {
    kinds: HashMap<String, Kind>,
    others: u64,
}

impl Kinds {
    /// Counts one refusal of the product that begins on `line`.
    pub fn add(&mut self, line: u64, refusal: &Refusal) {
        let what = kind(&refusal.to_string());
        if let Some(known) = self.kinds.get_mut(&what) {
            known.count += 1;
        } else if self.kinds.len() < MAX_KINDS {
            let kind = Kind { what: what.clone(), count: 1, line, example: refusal.clone() };
            self.kinds.insert(what, kind);
        } else {
            self.others += 1;
        }
    }

    /// Returns the kinds, most frequent first, and the number of refusals of kinds that came after the first 1,000.
    #[must_use]
    pub fn sorted(self) -> (Vec<Kind>, u64) {
        let mut kinds: Vec<Kind> = self.kinds.into_values().collect();
        kinds.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.line.cmp(&b.line)).then_with(|| a.what.cmp(&b.what)));
        (kinds, self.others)
    }
}

/// Leaves out what differs between two refusals of one kind: the value after `, got`, quoted texts, and numbers of
/// elements and lines.
fn kind(text: &str) -> String {
    let text = text.split(", got ").next().unwrap_or(text);
    let text = text.split(" (line ").next().unwrap_or(text);
    let mut kind = String::with_capacity(text.len());
    let mut quoted = false;
    let mut indexed = false;
    for c in text.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                if quoted {
                    kind.push('…');
                }
            }
            _ if quoted => {}
            '[' => {
                indexed = true;
                kind.push(c);
            }
            ']' => {
                indexed = false;
                kind.push(c);
            }
            _ if indexed && c.is_ascii_digit() => {}
            c => kind.push(c),
        }
    }
    // "already given on line 17", "at byte offset 5": the place is no part of the kind.
    let mut words: Vec<&str> = kind.split(' ').collect();
    for at in 1..words.len() {
        if matches!(words[at - 1], "line" | "column" | "offset") {
            words[at] = words[at].trim_start_matches(|c: char| c.is_ascii_digit());
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_that_differ_in_their_place_and_value_are_one_kind() {
        let mut kinds = Kinds::default();
        let mut add = |line, path: &str, message: &str| {
            kinds.add(line, &Refusal { path: path.into(), message: message.into() });
        };
        add(3, "id", "already given on line 2; keep one of the two");
        add(4, "variants[0].price", "must not be negative, got -1");
        add(5, "variants[17].price", "must not be negative, got -20");
        add(6, "id", "already given on line 17; keep one of the two");
        add(7, "variants[1].price", "must not be negative, got -3");
        add(8, "colour", "is not a known field; write \"color\"");
        let (kinds, others) = kinds.sorted();
        let shown: Vec<_> = kinds.iter().map(|k| (k.count, k.line, k.what.as_str())).collect();
        assert_eq!(
            shown,
            [
                (3, 4, "variants[].price: must not be negative"),
                (2, 3, "id: already given on line ; keep one of the two"),
                (1, 8, "colour: is not a known field; write …"),
            ]
        );
        assert_eq!(others, 0);
        assert_eq!(kinds[0].example.message, "must not be negative, got -1");
    }

    #[test]
    fn memory_is_bounded() {
        let mut kinds = Kinds::default();
        for at in 0..1_500 {
            kinds.add(at, &Refusal { path: format!("field{at}"), message: "is wrong".into() });
        }
        let (kinds, others) = kinds.sorted();
        assert_eq!((kinds.len(), others), (1_000, 500));
    }
}
