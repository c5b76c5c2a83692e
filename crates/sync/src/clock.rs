//! The single source of time, injected everywhere so that tests control it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Milliseconds since the Unix epoch. The store uses this unit.
pub type Millis = i64;

/// A source of the current time.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time in milliseconds since the Unix epoch.
    fn now(&self) -> Millis;
}

/// A clock handle that is cheap to clone.
pub type SharedClock = Arc<dyn Clock>;

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the real clock")]
    fn now(&self) -> Millis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Returns the clock of a service: the machine's clock. In a build with failpoints (`src/failpoints.rs`),
/// `META_CATALOG_TEST_CLOCK=FILE` advances it by the number of milliseconds in the file, for tests of effects that take
/// hours.
#[must_use]
pub fn of_the_process() -> SharedClock {
    #[cfg(any(debug_assertions, feature = "failpoints"))]
    if let Some(file) = std::env::var_os("META_CATALOG_TEST_CLOCK") {
        return Arc::new(AheadClock(file.into()));
    }
    Arc::new(SystemClock)
}

#[cfg(any(debug_assertions, feature = "failpoints"))]
struct AheadClock(std::path::PathBuf);

#[cfg(any(debug_assertions, feature = "failpoints"))]
impl Clock for AheadClock {
    fn now(&self) -> Millis {
        let ahead = std::fs::read_to_string(&self.0).ok().and_then(|text| text.trim().parse::<Millis>().ok());
        SystemClock.now() + ahead.unwrap_or(0)
    }
}

/// A clock that moves only when [`ManualClock::advance`] is called.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Returns a clock that is set to `now`.
    #[must_use]
    pub fn at(now: Millis) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(now)))
    }

    /// Advances the clock.
    pub fn advance(&self, by: Millis) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }
}
