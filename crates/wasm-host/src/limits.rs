//! The resource and time limits of a module.
//!
//! # The bound of a request
//! A module that never answers must not delay the drain, which sends 1,000 rows at a time: one chunk. The first run of
//! a chunk has [`Limits::call`] plus [`Limits::per_item`] per item. Runs that search for guilty rows have their share
//! of that by size, or a generous multiple of the time of successful runs if that is less, and never less than
//! [`SHORTEST`] (or `call`, if that is even shorter). All time except that of first runs that succeed counts against
//! [`Limits::patience`]. Once it is used up and a row that fails alone has been found, no more runs start, and the
//! remaining rows get a fault that does not blame them. So a request of one chunk ends within
//!
//! `patience`, plus the current run:
//! 22 s by default however many rows spin, and about 3 to 9 s for one spinning row. Only a `patience` too short to
//! reach a single row (less than about 8 s by default) is exceeded, by the runs of one descent: about 4 s.
//!
//! A batch of several chunks has the same patience once, plus `call + chunk × per_item` for each chunk that succeeds at
//! once. Each run may also wait for a slot, behind other modules' runs; the same limits end those runs.

use std::time::Duration;

/// The largest module file, in bytes: QuickJS with a script fits, bigger engines do not.
pub const MODULE_BYTES: usize = 4 << 20;

/// The shortest time limit of a run, so that a short delay on a busy machine does not blame a row.
pub(super) const SHORTEST: Duration = Duration::from_millis(250);

/// Limits of a mapper module. The defaults fit a module of QuickJS, the largest kind that is admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest file, in bytes.
    pub file_bytes: usize,
    /// The linear memories of an instance together, in bytes.
    pub memory_bytes: usize,
    /// Items in one run; a larger batch is split.
    pub chunk: usize,
    /// How long a run of a whole chunk may take, apart from its items. Wall clock.
    pub call: Duration,
    /// The additional time per item.
    pub per_item: Duration,
    /// The time that a request may spend on runs that fail and on the search for guilty rows.
    pub patience: Duration,
    /// Data that a run may pass to the host, per item, in bytes.
    pub output_per_item: usize,
    /// Data that a run may pass to the host regardless of the number of its items, in bytes. Each log line counts
    /// separately.
    pub least_output: usize,
    /// How many modules may run at once.
    pub concurrency: u32,
    /// Whether a module is compiled on all cores.
    pub parallel: bool,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            file_bytes: MODULE_BYTES,
            memory_bytes: 64 << 20,
            chunk: 1_000,
            call: Duration::from_secs(2),
            per_item: Duration::from_millis(1),
            patience: Duration::from_secs(20),
            output_per_item: 64 << 10,
            least_output: 16 << 20,
            concurrency: u32::try_from(cores * 2).unwrap_or(u32::MAX).clamp(4, 16),
            parallel: true,
        }
    }
}

impl Limits {
    /// How long the first run of `items` may take.
    pub(super) fn first_run(&self, items: usize) -> Duration {
        self.call.saturating_add(self.for_items(items))
    }

    /// How long a later run of `items` may take: its share of a whole chunk's time.
    pub(super) fn later_run(&self, items: usize) -> Duration {
        let chunk = u32::try_from(self.chunk.max(1)).unwrap_or(u32::MAX);
        let share = (self.call / chunk).saturating_mul(count(items));
        share.max(SHORTEST.min(self.call)).saturating_add(self.for_items(items))
    }

    /// Bytes that a run of `items` may hand to the host.
    pub(super) fn output(&self, items: usize) -> usize {
        self.output_per_item.saturating_mul(items).max(self.least_output)
    }

    fn for_items(&self, items: usize) -> Duration {
        self.per_item.saturating_mul(count(items))
    }
}

fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_run_follows_its_size() {
        let limits = Limits::default();
        assert_eq!(limits.first_run(1_000), Duration::from_millis(3_000));
        assert_eq!(limits.first_run(1), Duration::from_millis(2_001));
        assert_eq!(limits.later_run(500), Duration::from_millis(1_500));
        assert_eq!(limits.later_run(1), SHORTEST + Duration::from_millis(1));
        let hasty = Limits { call: Duration::from_millis(50), ..Limits::default() };
        assert_eq!(hasty.later_run(1), Duration::from_millis(51), "never more than a whole chunk has");
    }

    #[test]
    fn odd_limits_do_not_panic() {
        let odd = Limits { chunk: 0, output_per_item: usize::MAX, per_item: Duration::MAX, ..Limits::default() };
        assert_eq!(odd.later_run(usize::MAX), Duration::MAX);
        assert_eq!(odd.output(2), usize::MAX);
        assert_eq!(Limits::default().output(1), 16 << 20);
    }
}
