//! The one source of time, injected everywhere so that tests control it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Milliseconds since the Unix epoch. The store keeps times in this unit.
pub type Millis = i64;

/// Reads the time.
pub trait Clock: Send + Sync + 'static {
    /// Now, in milliseconds since the Unix epoch.
    fn now(&self) -> Millis;
}

/// A clock handle that is cheap to clone.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the real clock")]
    fn now(&self) -> Millis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The clock of a service: the machine's. In a build with failpoints (`src/failpoints.rs`), `META_CATALOG_TEST_CLOCK=FILE`
/// puts it ahead by the milliseconds that the file holds, for tests of what hours do.
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

/// A clock that moves only when told to.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Millis) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(now)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Millis) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }
}
