//! The history of the sync, minute by minute: which minutes are due to be written, and how long they are kept.
//!
//! Promises: pure; the ring has at most [`KEPT`] rows. A minute is written once it is over, and once more a minute later:
//! what was recorded at its very end may have been committed after the first look.
//! Left out on purpose: counting ([`crate::store::history`]) and the timer ([`crate::pipeline::history`]).

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::clock::Millis;

/// A minute.
pub const MINUTE_MS: Millis = 60_000;
/// Number of minutes that are kept: a day.
pub const KEPT: i64 = 24 * 60;
/// Number of minutes that are written at once after a standstill. Nothing was sent meanwhile, so older ones are left out.
const CAUGHT_UP: i64 = 60;
/// How long after its end a minute is written.
const AFTER_MS: Millis = 500;

/// Returns the number of the minute of an instant.
#[must_use]
pub fn minute_of(at: Millis) -> i64 {
    at.div_euclid(MINUTE_MS)
}

/// Returns the minutes to write. `last` is the latest one that was written. `None` when the last minute that is over was
/// written, also after the clock was set back.
#[must_use]
pub fn due(last: Option<i64>, now: Millis) -> Option<RangeInclusive<i64>> {
    let newest = minute_of(now) - 1;
    match last {
        Some(last) if last >= newest => None,
        Some(last) => Some(last.max(newest + 1 - CAUGHT_UP)..=newest),
        None => Some(newest..=newest),
    }
}

/// Returns the minutes up to the running one that are not written, an hour at most. `last` is the latest one that was
/// written. `None` after the clock was set back.
#[must_use]
pub fn unwritten(last: Option<i64>, now: Millis) -> Option<RangeInclusive<i64>> {
    let running = minute_of(now);
    let first = last.map_or(running, |last| (last + 1).max(running + 1 - CAUGHT_UP));
    (first <= running).then_some(first..=running)
}

/// Returns how long to wait for the next minute to be over.
#[must_use]
pub fn wait(now: Millis) -> Duration {
    let left = MINUTE_MS - now.rem_euclid(MINUTE_MS) + AFTER_MS;
    Duration::from_millis(left.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_written_when_it_is_over_and_once_more() {
        let at = |minute: i64, ms: i64| minute * MINUTE_MS + ms;
        let table = [
            ("the first start", None, at(100, 0), Some(99..=99)),
            ("a minute later", Some(99), at(101, 500), Some(99..=100)),
            ("in the same minute", Some(99), at(100, 59_999), None),
            ("after a short stop", Some(99), at(105, 0), Some(99..=104)),
            ("after a night", Some(99), at(999, 0), Some(939..=998)),
            ("the clock was set back", Some(99), at(50, 0), None),
        ];
        for (name, last, now, minutes) in table {
            assert_eq!(due(last, now), minutes, "{name}");
        }
    }

    #[test]
    fn what_is_not_written_goes_up_to_the_running_minute() {
        let at = |minute: i64| minute * MINUTE_MS + 1;
        let table = [
            (None, at(100), Some(100..=100)),
            (Some(99), at(100), Some(100..=100)),
            (Some(97), at(100), Some(98..=100)),
            (Some(0), at(100), Some(41..=100)),
            (Some(100), at(100), None),
            (Some(200), at(100), None),
        ];
        for (last, now, minutes) in table {
            assert_eq!(unwritten(last, now), minutes, "{last:?}");
        }
    }

    #[test]
    fn it_waits_until_the_minute_is_over() {
        let table = [(0, 60_500), (1, 60_499), (59_999, 501), (60_000, 60_500)];
        for (now, ms) in table {
            assert_eq!(wait(now), Duration::from_millis(ms), "{now}");
        }
    }
}
