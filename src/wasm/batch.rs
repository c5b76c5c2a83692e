//! Maps a batch: splits it, runs the parts, and finds the rows that a fault belongs to.
//!
//! A fault in a run costs all of the run, so its halves are tried again, each in a new store, until the guilty rows
//! stand alone. Parts are tried breadth first: if time runs out, the large good parts have had their turn. How much
//! time that is: see `limits`.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mapper_core::{Item, MapSettings, Product};

use super::call;
use super::fault::{Cause, Fault, FaultKind};
use super::load::{Module, panic_text};
use crate::clock::Millis;
use crate::domain::word::Word;

/// What to map. Shared, for a module may ask for any item's built-in word at any time of its run.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Settings of the mapper.
    pub settings: Arc<MapSettings>,
    /// The instant to map for.
    pub now: Millis,
    /// Each product once.
    pub products: Vec<Product>,
    /// The variants.
    pub items: Vec<Item>,
}

/// Items to run together.
struct Part {
    items: Range<usize>,
    /// Not yet tried in any other part.
    is_first: bool,
}

impl Module {
    /// Maps a batch: one answer an item, in order. Blocks, but not without bound (see the limits); never panics.
    #[must_use]
    pub fn map(&self, batch: &Arc<Batch>) -> Vec<Result<Word, Fault>> {
        let limits = &self.inner.shared.limits;
        let label = &self.inner.label;
        let mut answers: Vec<Option<Result<Word, Fault>>> = Vec::new();
        answers.resize_with(batch.items.len(), || None);
        let mut parts = whole_parts(batch.items.len(), limits.chunk);
        let mut spent = Duration::ZERO;
        let mut given_up: Option<Cause> = None;

        while let Some(Part { items, is_first }) = parts.pop_front() {
            let place = if given_up.is_none() { self.inner.shared.place() } else { None };
            let Some(_place) = place else {
                let cause = given_up.get_or_insert_with(|| {
                    Cause::new(FaultKind::Busy, "found no free place to run in; it is tried again")
                });
                answers[items].fill_with(|| Some(Err(cause.of(label))));
                continue;
            };
            let time = if is_first { limits.first_run(items.len()) } else { limits.later_run(items.len()) };
            let begun = Instant::now();
            let run = AssertUnwindSafe(|| call::run(&self.inner, batch, items.clone(), time, !is_first));
            let answer = catch_unwind(run).unwrap_or_else(|panic| {
                Err(Cause::new(
                    FaultKind::Host,
                    format!("made the host fail ({}); please report it", panic_text(&*panic)),
                ))
            });
            if !is_first || answer.is_err() {
                spent = spent.saturating_add(begun.elapsed());
            }
            match answer {
                Ok(rows) => {
                    for (answer, row) in answers[items].iter_mut().zip(rows) {
                        *answer = Some(row.map_err(|cause| cause.of(label)));
                    }
                }
                Err(cause) => {
                    let middle = items.start + items.len() / 2;
                    if items.len() == 1 {
                        answers[items.start] = Some(Err(cause.of(label)));
                    } else {
                        parts.push_back(Part { items: items.start..middle, is_first: false });
                        parts.push_back(Part { items: middle..items.end, is_first: false });
                    }
                    if spent >= limits.patience {
                        given_up = Some(not_tried(&cause));
                    }
                }
            }
        }
        let unanswered = || Err(Cause::new(FaultKind::Host, "left this item without an answer").of(label));
        answers.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect()
    }
}

/// Splits a batch into parts of at most `chunk` items.
fn whole_parts(items: usize, chunk: usize) -> VecDeque<Part> {
    let chunk = chunk.max(1);
    let part = |start| Part { items: start..items.min(start + chunk), is_first: true };
    (0..items).step_by(chunk).map(part).collect()
}

fn not_tried(last: &Cause) -> Cause {
    let what =
        format!("was not tried on this item: other items used up the time of the batch; on one it {}", last.what);
    Cause::new(FaultKind::NotTried, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_split_without_a_rest_or_an_overlap() {
        let ranges = |items, chunk| {
            whole_parts(items, chunk).into_iter().map(|part| (part.items.start, part.items.end)).collect::<Vec<_>>()
        };
        assert!(ranges(0, 1_000).is_empty());
        assert_eq!(ranges(1_000, 1_000), [(0, 1_000)]);
        assert_eq!(ranges(2_001, 1_000), [(0, 1_000), (1_000, 2_000), (2_000, 2_001)]);
        assert_eq!(ranges(2, 0), [(0, 1), (1, 2)]);
    }
}
