//! The mass-delete guard: a broken view must not empty the shop.
//!
//! A delete is implicit when it results from an upsert whose variant is no longer eligible, or gone. Within an hour, as
//! many implicit deletes are sent as an ordinary day may bring; further ones are held until an operator releases them.
//! Deletes that an event, an import or an operator requested are exempt.

use crate::clock::Millis;

/// The span over which deletes are counted.
pub const SPAN_MS: Millis = 60 * 60 * 1000;
/// The number of deletes that is always allowed.
const ALWAYS: i64 = 100;

/// Returns how many more implicit deletes may be sent when `held` items are at Meta and `done` were deleted within the
/// span. The deleted ones count as held: the limit is a tenth of the number before the deletes.
#[must_use]
pub fn allowance(held: i64, done: i64) -> usize {
    let limit = ALWAYS.max((held + done) / 10);
    usize::try_from(limit - done).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_what_there_was_but_never_less_than_a_hundred() {
        for (held, done, expected) in [
            (0, 0, 100),
            (50, 0, 100),
            (1_000, 0, 100),
            (5_000, 0, 500),
            (4_600, 400, 100),
            (4_500, 500, 0),
            (4_000, 1_000, 0), // released ones count as done
            (10, 99, 1),
            (10, 100, 0),
        ] {
            assert_eq!(allowance(held, done), expected, "{held} held, {done} done");
        }
    }
}
