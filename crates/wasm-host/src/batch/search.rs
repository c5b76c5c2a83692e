//! The order in which the parts of a batch are run, and the time for each.
//!
//! A fault in a run fails the whole run, so its halves are run again until each guilty row is isolated:
//!
//! - Breadth first for the first half of the patience, so that large good parts run early.
//! - Depth first afterwards: when guilty rows are spread everywhere, breadth first alone would spend the time on large
//!   parts and never reach a single row.
//! - When one half succeeds, the other half certainly has the guilty row, so it is halved again without a run.
//! - The successful runs show how fast the module is; later runs of several items get a generous multiple of that
//!   instead of their full share. A single row always gets its full time, so no row is blamed for being slower.
//!
//! Promise: a search that gives up has found a row that fails alone. A caller that leaves such rows out next time
//! therefore completes the batch eventually, however many of them there are.
//! Left out on purpose: the runs themselves and the clock; both belong to the caller.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::super::limits::{Limits, SHORTEST};

/// The factor by which a run of several items may exceed the usual time before it is halved.
const GENEROUS: u32 = 20;

/// Items to run together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) items: Range<usize>,
    /// Not yet run in any other part.
    pub(super) is_first: bool,
    /// The other half, if it is run before this one.
    left: Option<Range<usize>>,
}

/// The parts still to run, and the results so far.
#[derive(Debug)]
pub(super) struct Search<'a> {
    limits: &'a Limits,
    parts: VecDeque<Part>,
    /// Time spent on runs that failed, and on all runs that search for guilty rows.
    spent: Duration,
    /// Whether a row has failed alone.
    has_found: bool,
    /// The number of answered items, and the time spent on them.
    answered: u32,
    took: Duration,
}

impl<'a> Search<'a> {
    /// Splits a batch into parts of at most a chunk.
    pub(super) fn new(limits: &'a Limits, items: usize) -> Self {
        let chunk = limits.chunk.max(1);
        let part =
            |start: usize| Part { items: start..items.min(start.saturating_add(chunk)), is_first: true, left: None };
        let parts = (0..items).step_by(chunk).map(part).collect();
        Self { limits, parts, spent: Duration::ZERO, has_found: false, answered: 0, took: Duration::ZERO }
    }

    /// Returns the next part to run; `None` when all items are answered or patience has run out.
    pub(super) fn next(&mut self) -> Option<Part> {
        if self.has_found && self.spent >= self.limits.patience { None } else { self.parts.pop_front() }
    }

    /// Returns how long a part may run.
    pub(super) fn time(&self, part: &Part) -> Duration {
        let items = part.items.len();
        if part.is_first {
            return self.limits.first_run(items);
        }
        let share = self.limits.later_run(items);
        if items == 1 || self.answered == 0 {
            return share;
        }
        let usual = (self.took / self.answered).saturating_mul(count(items));
        share.min(usual.saturating_mul(GENEROUS).saturating_add(SHORTEST))
    }

    /// Records that a part was answered.
    pub(super) fn succeeded(&mut self, part: &Part, took: Duration) {
        if !part.is_first {
            self.spent = self.spent.saturating_add(took);
        }
        self.answered = self.answered.saturating_add(count(part.items.len()));
        self.took = self.took.saturating_add(took);
        let is_to_blame =
            |other: &mut Part| other.items.len() > 1 && other.left.as_ref().is_some_and(|left| *left == part.items);
        if let Some(other) = self.parts.pop_front_if(is_to_blame) {
            self.halve(&other.items);
        }
    }

    /// Records that a part failed. A part of several items is halved; a part of one item is a guilty row.
    pub(super) fn failed(&mut self, part: &Part, took: Duration) {
        self.spent = self.spent.saturating_add(took);
        if part.items.len() > 1 {
            self.halve(&part.items);
        } else {
            self.has_found = true;
        }
    }

    /// The items without an answer.
    pub(super) fn rest(self) -> impl Iterator<Item = Range<usize>> {
        self.parts.into_iter().map(|part| part.items)
    }

    fn halve(&mut self, items: &Range<usize>) {
        let middle = items.start + items.len() / 2;
        let (left, right) = (items.start..middle, middle..items.end);
        let second = Part { items: right, is_first: false, left: Some(left.clone()) };
        let first = Part { items: left, is_first: false, left: None };
        if self.spent < self.limits.patience / 2 {
            self.parts.push_back(first);
            self.parts.push_back(second);
        } else {
            self.parts.push_front(second);
            self.parts.push_front(first);
        }
    }
}

fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The time that a good item takes.
    const PACE: Duration = Duration::from_micros(30);

    /// The result for a batch whose guilty rows never end, and the time it took.
    struct Pass {
        good: BTreeSet<usize>,
        found: BTreeSet<usize>,
        rest: BTreeSet<usize>,
        took: Duration,
    }

    fn pass(limits: &Limits, rows: &[usize], is_guilty: impl Fn(usize) -> bool) -> Pass {
        let mut search = Search::new(limits, rows.len());
        let mut pass =
            Pass { good: BTreeSet::new(), found: BTreeSet::new(), rest: BTreeSet::new(), took: Duration::ZERO };
        while let Some(part) = search.next() {
            let these = &rows[part.items.clone()];
            if these.iter().any(|row| is_guilty(*row)) {
                let time = search.time(&part);
                pass.took += time;
                search.failed(&part, time);
                if let [row] = these {
                    assert!(pass.found.insert(*row), "{row} is tried twice");
                }
            } else {
                let time = PACE * count(these.len());
                assert!(time < search.time(&part));
                pass.took += time;
                search.succeeded(&part, time);
                pass.good.extend(these);
            }
        }
        pass.rest.extend(search.rest().flat_map(|items| rows[items].to_vec()));
        pass
    }

    /// Returns the number of passes over a chunk until every row is known; each pass leaves out the rows found before.
    #[track_caller]
    fn passes(limits: &Limits, is_guilty: impl Fn(usize) -> bool + Copy) -> usize {
        let mut rows: Vec<usize> = (0..1_000).collect();
        let mut passes = 0;
        loop {
            let Pass { good, found, rest, took } = pass(limits, &rows, is_guilty);
            passes += 1;
            assert_eq!(good.len() + found.len() + rest.len(), rows.len(), "each row has one end");
            assert!(good.iter().all(|row| !is_guilty(*row)) && found.iter().all(|row| is_guilty(*row)));
            assert!(took < limits.patience + Duration::from_secs(5), "{took:?}");
            if rest.is_empty() {
                return passes;
            }
            assert!(found.len() >= 3, "only {found:?} in pass {passes}");
            rows.retain(|row| !found.contains(row));
        }
    }

    #[test]
    fn every_pass_finds_guilty_rows_until_none_is_left() {
        let limits = Limits::default();
        assert_eq!(passes(&limits, |_| false), 1);
        assert_eq!(passes(&limits, |row| row == 999), 1);
        assert_eq!(passes(&limits, |row| row % 500 == 250), 1);
        let ten = passes(&limits, |row| row % 100 == 42);
        assert!(ten <= 3, "{ten} passes");
        let fifty = passes(&limits, |row| row % 20 == 7);
        assert!(fifty <= 10, "{fifty} passes");
    }

    #[test]
    fn a_chunk_of_nothing_but_guilty_rows_is_worked_off() {
        let limits = Limits::default();
        let rows: Vec<usize> = (0..1_000).collect();
        let Pass { good, found, rest, took } = pass(&limits, &rows, |_| true);
        assert!(good.is_empty() && found.len() > 10, "{found:?}");
        assert_eq!(rest.len(), 1_000 - found.len());
        assert!(took < Duration::from_secs(22), "{took:?}");
    }

    #[test]
    fn without_any_patience_one_row_is_found_all_the_same() {
        let limits = Limits { patience: Duration::ZERO, ..Limits::default() };
        let rows: Vec<usize> = (0..2_500).collect();
        for guilty in [0, 999, 1_000, 1_700, 2_499] {
            assert_eq!(pass(&limits, &rows, |row| row == guilty).found, [guilty].into(), "{guilty}");
            assert_eq!(pass(&limits, &rows, |row| row >= guilty).found, [guilty].into(), "{guilty}");
        }
    }

    #[test]
    fn time_follows_what_was_measured() {
        let limits = Limits::default();
        let part = |items: Range<usize>| Part { items, is_first: false, left: None };
        let mut search = Search::new(&limits, 1_000);
        assert_eq!(search.time(&part(0..500)), limits.later_run(500), "nothing is known yet");
        search.succeeded(&part(500..1_000), PACE * 500);
        assert_eq!(search.time(&part(0..500)), SHORTEST + PACE * 500 * GENEROUS);
        assert_eq!(search.time(&part(0..1)), limits.later_run(1), "one alone has its full time");
        search.succeeded(&part(0..400), Duration::from_secs(30));
        assert_eq!(search.time(&part(0..500)), limits.later_run(500), "never more than its share");
    }

    #[test]
    fn a_batch_is_split_without_a_rest_or_an_overlap() {
        let ranges = |items, chunk| {
            let limits = Limits { chunk, ..Limits::default() };
            Search::new(&limits, items).rest().map(|items| (items.start, items.end)).collect::<Vec<_>>()
        };
        assert!(ranges(0, 1_000).is_empty());
        assert_eq!(ranges(1_000, 1_000), [(0, 1_000)]);
        assert_eq!(ranges(2_001, 1_000), [(0, 1_000), (1_000, 2_000), (2_000, 2_001)]);
        assert_eq!(ranges(2, 0), [(0, 1), (1, 2)]);
    }
}
