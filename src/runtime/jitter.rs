//! The one source of chance for back-off, injected so that tests control it.

use std::sync::Arc;

/// Answers a number in `0.0..1.0`, a new one each time. Cheap to clone.
pub type Jitter = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Jitter from the operating system.
#[must_use]
pub fn system() -> Jitter {
    // Without entropy the back-off stays right, only replicas are no longer spread.
    Arc::new(|| getrandom::u32().map_or(0.5, |n| f64::from(n) / (f64::from(u32::MAX) + 1.0)))
}

/// The same number each time, for tests and for a deterministic run.
#[must_use]
pub fn fixed(unit: f64) -> Jitter {
    Arc::new(move || unit)
}
