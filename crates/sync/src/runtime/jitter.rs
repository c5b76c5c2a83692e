//! The single source of randomness for back-off, injected so that tests control it.

use std::sync::Arc;

/// Returns a new number in `0.0..1.0` for each call. Cheap to clone.
pub type Jitter = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Returns jitter from the operating system.
#[must_use]
pub fn system() -> Jitter {
    // Without entropy the back-off is still correct; only the replicas are no longer spread.
    Arc::new(|| getrandom::u32().map_or(0.5, |n| f64::from(n) / (f64::from(u32::MAX) + 1.0)))
}

/// Returns the same number each time, for tests and deterministic runs.
#[must_use]
pub fn fixed(unit: f64) -> Jitter {
    Arc::new(move || unit)
}
