//! The mass-delete guard: a broken view must not empty the shop.
//!
//! A delete is implicit when nobody asked for it: an upsert whose variant is not eligible any more, or gone. Within an
//! hour so many of them go out as an ordinary day may bring; what is over that is held back until somebody releases it.
//! Deletes that an event, an import or an operator asked for are exempt.

use crate::clock::Millis;

/// The span that deletes are counted over.
pub const SPAN_MS: Millis = 60 * 60 * 1000;
/// So many are always let through.
const ALWAYS: i64 = 100;

/// How many more implicit deletes may go out, when `held` items are at Meta and `done` were deleted within the span.
/// What was deleted is counted as held: the tenth is one of what there was.
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
