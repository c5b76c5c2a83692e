//! A circuit breaker for one channel: it waits after a failure, and longer after each further one.
//!
//! Promises: pure. While it is open, no call is allowed. After the wait exactly one call is allowed (the probe), and
//! only the success of that call closes the breaker. The state can be stored, so it survives a restart.
//!
//! Left out on purpose: what counts as a failure of the channel. The caller decides that; a refused item is not one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backoff::Backoff;
use crate::clock::Millis;

/// Waits after the first, second, … consecutive failure.
const BACKOFF: Backoff = Backoff { start: Duration::from_secs(5), cap: Duration::from_secs(15 * 60) };

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Closed: the call may be made.
    Go,
    /// Half open: this one call may be made. Its outcome must be reported with [`Breaker::failed`],
    /// [`Breaker::succeeded`] or, if it was not made, [`Breaker::withdrawn`].
    Probe,
    /// Open until this instant.
    OpenUntil(Millis),
    /// A probe is under way. The caller must wait for its outcome.
    Probing,
}

/// The state of one channel. The default is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Consecutive failures.
    failures: u32,
    /// End of the current wait. Meaningless without failures.
    open_until: Millis,
    /// Whether a probe is under way. It is not stored: the probe of a process that died is lost.
    #[serde(skip)]
    probing: bool,
}

impl Breaker {
    /// Requests a call at `now`.
    #[must_use = "a granted probe must be reported"]
    pub fn ask(&mut self, now: Millis) -> Gate {
        if self.failures == 0 {
            Gate::Go
        } else if self.probing {
            Gate::Probing
        } else if now < self.open_until {
            Gate::OpenUntil(self.open_until)
        } else {
            self.probing = true;
            Gate::Probe
        }
    }

    /// Records a failure of the channel at `now`. `jitter` in `0.0..1.0` spreads replicas. Returns the end of the wait.
    ///
    /// A failure of a call that was under way when the breaker opened does not lengthen the wait.
    pub fn failed(&mut self, now: Millis, jitter: f64) -> Millis {
        let late = self.failures > 0 && !self.probing && now < self.open_until;
        if !late {
            self.failures = self.failures.saturating_add(1);
            self.open_until = now.saturating_add(BACKOFF.wait_millis(self.failures, jitter));
        }
        self.probing = false;
        self.open_until
    }

    /// Records a successful call, which closes the breaker.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Records that the probe was not made. The next caller may make it.
    pub fn withdrawn(&mut self) {
        self.probing = false;
    }

    /// Returns the number of consecutive failures.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns the end of the wait, or `None` when the breaker is closed.
    #[must_use]
    pub fn open_until(&self) -> Option<Millis> {
        (self.failures > 0).then_some(self.open_until)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_to_the_cap_and_success_closes() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.ask(0), Gate::Go);
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..10 {
            let until = breaker.failed(now, 0.0);
            waits.push((until - now) / 1_000);
            assert_eq!(breaker.ask(until - 1), Gate::OpenUntil(until));
            assert_eq!(breaker.ask(until), Gate::Probe);
            now = until;
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(breaker.failures(), 10);
        breaker.succeeded();
        assert_eq!((breaker.ask(now), breaker.open_until()), (Gate::Go, None));
    }

    #[test]
    fn half_open_lets_one_probe_through() {
        let mut breaker = Breaker::default();
        let until = breaker.failed(0, 0.5);
        assert_eq!(breaker.ask(until), Gate::Probe);
        assert_eq!(breaker.ask(until + 1_000_000), Gate::Probing);
        breaker.withdrawn();
        assert_eq!(breaker.ask(until), Gate::Probe);
    }

    #[test]
    fn calls_that_were_under_way_count_as_one_failure() {
        let mut breaker = Breaker::default();
        let until = breaker.failed(0, 0.0);
        assert_eq!(breaker.failed(1, 0.9), until);
        assert_eq!(breaker.failures(), 1);
    }

    #[test]
    fn the_stored_state_forgets_only_the_probe() {
        let mut breaker = Breaker::default();
        let until = breaker.failed(0, 0.0);
        assert_eq!(breaker.ask(until), Gate::Probe);
        let stored = serde_json::to_string(&breaker).expect("plain data");
        assert_eq!(stored, r#"{"failures":1,"open_until":5000}"#);
        let mut restored: Breaker = serde_json::from_str(&stored).expect("its own words");
        assert_eq!(restored.ask(until - 1), Gate::OpenUntil(until));
        assert_eq!(restored.ask(until), Gate::Probe);
    }

    proptest! {
        #[test]
        fn a_wait_is_never_shorter_than_the_first_nor_longer_than_the_cap(
            failures in 1..100_u32, jitter in 0.0..1.0_f64
        ) {
            let wait = BACKOFF.wait_millis(failures, jitter);
            prop_assert!((5_000..=900_000).contains(&wait), "{}", wait);
        }
    }
}
