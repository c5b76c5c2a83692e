//! Exponential back-off with jitter, as arithmetic.

use std::time::Duration;

use crate::clock::Millis;

/// The share of the wait that jitter may add. Jitter only lengthens a wait, because calling early prolongs a block.
const JITTER_SHARE: f64 = 0.25;

/// A wait that doubles with each consecutive failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait.
    pub start: Duration,
    /// The longest wait, jitter included.
    pub cap: Duration,
}

impl Backoff {
    /// Returns the wait after the `failures`th consecutive failure (from 1). `jitter` in `0.0..1.0` lengthens it by up
    /// to a quarter; a value outside this range counts as its nearer end.
    #[must_use]
    pub fn wait(self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        let wait = self.start.saturating_mul(1 << doublings).min(self.cap);
        let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.0 };
        wait.mul_f64(1.0 + JITTER_SHARE * jitter).min(self.cap)
    }

    /// Returns [`Backoff::wait`] in milliseconds.
    #[must_use]
    pub fn wait_millis(self, failures: u32, jitter: f64) -> Millis {
        Millis::try_from(self.wait(failures, jitter).as_millis()).unwrap_or(Millis::MAX)
    }
}
