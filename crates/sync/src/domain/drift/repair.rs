//! How much may be repaired, and when a repair is of no use.
//!
//! Promises: pure. A repair by itself waits for a second sweep: the first one of a catalog only tells. Many findings at
//! once are rather a mistake of ours, or another catalog, than drift, so they wait for an operator.

use crate::clock::Millis;

/// The span of the budget.
pub const HOUR_MS: Millis = 60 * 60 * 1000;
/// The span in which repairs of one variant are counted, and how long they are remembered.
pub const FLAP_SPAN_MS: Millis = 7 * 24 * HOUR_MS;
/// The number of repairs of a variant within [`FLAP_SPAN_MS`] after which it is not repaired by itself: something else
/// writes it.
pub const FLAP_AFTER: i64 = 3;
/// The number of repairs that each hour allows.
const ALWAYS: i64 = 100;

/// Returns how many more repairs this hour allows: a hundredth of the items at Meta, and never less than a hundred.
#[must_use]
pub fn allowance(at_meta: i64, done: i64) -> i64 {
    (ALWAYS.max(at_meta / 100) - done).max(0)
}

/// Returns whether so many findings that a repair by itself would take wait for an operator: more than a tenth of the
/// items at Meta, and more than a hundred.
#[must_use]
pub fn is_too_many(waiting: i64, at_meta: i64) -> bool {
    waiting > most_by_itself(at_meta)
}

/// Returns how many items a sweep must have looked at so that the next ones may repair: most of those at Meta, and one.
#[must_use]
pub fn covered(at_meta: i64) -> i64 {
    (at_meta / 10 * 9).max(1)
}

/// Returns the largest number of findings that are repaired without an operator.
#[must_use]
pub fn most_by_itself(at_meta: i64) -> i64 {
    ALWAYS.max(at_meta / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_repairs_a_hundredth_but_never_less_than_a_hundred() {
        for (at_meta, done, expected) in
            [(0, 0, 100), (50, 100, 0), (50, 120, 0), (10_000, 40, 60), (1_000_000, 0, 10_000), (1_000_000, 9_999, 1)]
        {
            assert_eq!(allowance(at_meta, done), expected, "{at_meta} at Meta, {done} done");
        }
    }

    #[test]
    fn the_first_sweep_sees_most_of_the_items() {
        for (at_meta, expected) in [(0, 1), (5, 1), (10, 9), (1_000_000, 900_000)] {
            assert_eq!(covered(at_meta), expected, "{at_meta}");
        }
    }

    #[test]
    fn a_tenth_waits_for_an_operator() {
        for (waiting, at_meta, expected) in
            [(100, 5, false), (101, 5, true), (500, 5_000, false), (501, 5_000, true), (100_000, 1_000_000, false)]
        {
            assert_eq!(is_too_many(waiting, at_meta), expected, "{waiting} of {at_meta}");
        }
    }
}
