//! How fast a mapper is: what this process measured of its latest batches.
//!
//! Promises: bounded memory; measuring costs a lock per batch.
//! Left out on purpose: other processes. A replica that does not hold the lease maps little.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Batches that are remembered.
const REMEMBERED: usize = 256;

/// What was measured of a mapper since it was loaded and rehearsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Speed {
    /// Variants that it was asked for.
    pub variants: u64,
    /// Variants on which it failed by its own fault.
    pub faults: u64,
    /// Time per variant in the median of the latest batches. `None` before the first batch.
    pub median: Option<Duration>,
    /// Time per variant that 95 % of the latest batches stayed below.
    pub p95: Option<Duration>,
}

/// Collects measurements.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<Measured>);

#[derive(Debug, Default)]
struct Measured {
    variants: u64,
    faults: u64,
    /// Time per variant of the latest batches, the oldest first.
    latest: VecDeque<Duration>,
}

impl Meter {
    /// Adds a batch. An empty one says nothing.
    pub(super) fn add(&self, variants: usize, faults: usize, took: Duration) {
        let Some(each) = u32::try_from(variants).ok().and_then(|variants| took.checked_div(variants)) else { return };
        let mut measured = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        measured.variants += variants as u64;
        measured.faults += faults as u64;
        if measured.latest.len() == REMEMBERED {
            measured.latest.pop_front();
        }
        measured.latest.push_back(each);
    }

    /// Forgets everything.
    pub(super) fn reset(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Measured::default();
    }

    pub(super) fn read(&self) -> Speed {
        let measured = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<Duration> = measured.latest.iter().copied().collect();
        sorted.sort_unstable();
        let at = |percent| nearest_rank(sorted.len(), percent).map(|rank| sorted[rank]);
        Speed { variants: measured.variants, faults: measured.faults, median: at(50), p95: at(95) }
    }
}

/// The position of a percentile among this many sorted values.
fn nearest_rank(values: usize, percent: usize) -> Option<usize> {
    (values * percent).div_ceil(100).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        for (values, percent, rank) in [
            (0, 95, None),
            (1, 50, Some(0)),
            (1, 95, Some(0)),
            (2, 50, Some(0)),
            (20, 95, Some(18)),
            (100, 95, Some(94)),
        ] {
            assert_eq!(nearest_rank(values, percent), rank, "{percent} % of {values}");
        }
    }

    #[test]
    fn only_the_latest_batches_count() {
        let meter = Meter::default();
        assert_eq!(meter.read(), Speed::default());
        meter.add(0, 0, Duration::from_secs(9));
        assert_eq!(meter.read(), Speed::default(), "an empty batch has no time per variant");
        meter.add(10, 1, Duration::from_secs(10));
        assert_eq!(meter.read().p95, Some(Duration::from_secs(1)));
        for _ in 0..REMEMBERED {
            meter.add(10, 0, Duration::from_millis(20));
        }
        let two = Some(Duration::from_millis(2));
        let variants = 10 * (REMEMBERED as u64 + 1);
        assert_eq!(meter.read(), Speed { variants, faults: 1, median: two, p95: two });
        meter.reset();
        assert_eq!(meter.read(), Speed::default());
    }
}
