//! How often one catalog may be called: Meta's rate limits as arithmetic.
//!
//! Promises: pure, the time and the jitter come with each question; one call per period and no burst
//! (a burst of a full minute's quota would make twice the quota in the first minute); once Meta says
//! "too many", nothing until its own time or a growing wait; from 80 % usage on, ever slower, unless the usage is
//! nothing but our own calls at the allowed pace.
//!
//! Left out on purpose: waiting, and the split between buckets; the limiter actor keeps one [`Budget`]
//! per catalog and bucket, so a closed one closes no other.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as CellQuota, RateLimiter};
use serde::{Deserialize, Serialize};

use super::backoff::Backoff;
use crate::clock::Millis;

/// Wait after a throttle error that came without Meta's own time.
const THROTTLE: Backoff = Backoff { start: Duration::from_secs(60), cap: Duration::from_secs(15 * 60) };
/// Meta's own time is believed up to this long.
const REGAIN_CAP: Duration = Duration::from_secs(24 * 60 * 60);
/// Usage in percent from which calls are spread out.
const SLOW_FROM: f64 = 80.0;
/// The time between two calls in percent of its share of the span: calls that leave on time do not arrive so, and a
/// late first and a punctual last one must not put one more into the span than Meta allows.
const SPREAD: u128 = 102;
/// How much longer the period is at 100 % usage.
const SLOWEST: f64 = 4.0;

/// Which of Meta's allowances a call draws on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// `items_batch` and its kin; error code 80014.
    Batch,
    /// Every other call about the catalog, such as polls and reads; error code 80009.
    Management,
}

impl Bucket {
    /// The word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Management => "management",
        }
    }
}

impl std::str::FromStr for Bucket {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "batch" => Ok(Self::Batch),
            "management" => Ok(Self::Management),
            _ => Err(super::state::unknown_word(word)),
        }
    }
}

/// What of a budget is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimiterRow {
    /// The catalog.
    pub catalog_id: String,
    /// Which of its allowances.
    pub bucket: Bucket,
    /// Until when Meta's throttling closes it; in the past or absent = open.
    pub closed_until: Option<Millis>,
    /// When the latest permit was given.
    pub last_call_at: Option<Millis>,
}

/// Calls per span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Allowed calls.
    pub calls: NonZeroU32,
    /// The span they are allowed in.
    pub per: Duration,
}

impl Quota {
    /// The time between two calls.
    #[must_use]
    pub fn period(self) -> Duration {
        let millis = self.per.as_millis() * SPREAD / 100 / u128::from(self.calls.get());
        // Whole milliseconds, and one at least: the clock knows nothing finer.
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX).max(1))
    }
}

/// The answer to "may I call now?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes; the call is counted.
    Permit,
    /// No, and asking earlier than this is in vain.
    ClosedUntil(Millis),
}

/// How a call ended, as far as the limits are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallReport {
    /// Meta did not throttle it (it may have failed for another reason).
    Success,
    /// Meta said "too many calls".
    Throttled {
        /// Meta's own word on when to come back, if it gave one above zero.
        regain: Option<Duration>,
    },
}

/// One cell of the generic cell rate algorithm on a clock that is set by hand.
struct Cell {
    clock: HandClock,
    limiter: RateLimiter<NotKeyed, InMemoryState, HandClock, NoOpMiddleware<Nanos>>,
}

#[derive(Clone, Default)]
struct HandClock(Arc<AtomicU64>);

impl Clock for HandClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.load(Ordering::Relaxed).into()
    }
}

impl HandClock {
    fn set(&self, now: Millis) {
        let nanos = u64::try_from(now).unwrap_or(0).saturating_mul(1_000_000);
        self.0.store(nanos, Ordering::Relaxed);
    }
}

impl Cell {
    /// A cell that had its last call at `last_call`.
    fn new(period: Duration, last_call: Option<Millis>) -> Self {
        let clock = HandClock::default();
        let quota = CellQuota::with_period(period).unwrap_or_else(|| CellQuota::per_second(NonZeroU32::MIN));
        let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
        let cell = Self { clock, limiter };
        if let Some(last_call) = last_call {
            // The first call of a fresh cell is always allowed.
            let _ = cell.take(last_call);
        }
        cell
    }

    /// Takes the call, or answers when it could be taken.
    fn take(&self, now: Millis) -> Result<(), Millis> {
        self.clock.set(now);
        self.limiter.check().map_err(|refused| {
            let nanos = refused.earliest_possible().as_u64();
            Millis::try_from(nanos.div_ceil(1_000_000)).unwrap_or(Millis::MAX)
        })
    }
}

/// The allowance of one catalog in one bucket.
pub struct Budget {
    quota: Quota,
    cell: Cell,
    last_call: Option<Millis>,
    /// Permits of the last span of the quota, oldest first.
    recent: VecDeque<Millis>,
    closed_until: Option<Millis>,
    /// Throttle errors in a row.
    throttles: u32,
    /// By how much the period is stretched, from 1.
    slowdown: f64,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("period", &self.period())
            .field("last_call", &self.last_call)
            .field("closed_until", &self.closed_until)
            .field("throttles", &self.throttles)
            .finish_non_exhaustive()
    }
}

impl Budget {
    /// A budget that has not been drawn on.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        Self {
            quota,
            cell: Cell::new(quota.period(), None),
            last_call: None,
            recent: VecDeque::new(),
            closed_until: None,
            throttles: 0,
            slowdown: 1.0,
        }
    }

    /// May a call be made now? A permit is used up by asking.
    #[must_use = "a permit is used up by asking"]
    pub fn ask(&mut self, now: Millis) -> Admission {
        if let Some(until) = self.closed(now) {
            return Admission::ClosedUntil(until);
        }
        if self.last_call.is_some_and(|last| last > now) {
            // The clock was set back; do not wait for it to catch up.
            self.called_at(now);
        }
        match self.cell.take(now) {
            Ok(()) => {
                self.last_call = Some(now);
                self.recent.push_back(now);
                self.forget_before(now);
                Admission::Permit
            }
            Err(until) => Admission::ClosedUntil(until),
        }
    }

    /// What [`Budget::ask`] would answer; uses nothing up.
    #[must_use]
    pub fn peek(&self, now: Millis) -> Admission {
        let next = self.last_call.filter(|last| *last <= now).map_or(now, |last| last.saturating_add(self.period_ms()));
        let until = self.closed(now).unwrap_or(now).max(next);
        if until > now { Admission::ClosedUntil(until) } else { Admission::Permit }
    }

    /// Takes in how a call ended. `usage_percent` is the highest share of the allowance that Meta's
    /// headers told, `jitter` a number in `0.0..1.0`.
    pub fn report(&mut self, now: Millis, usage_percent: Option<f64>, verdict: CallReport, jitter: f64) {
        match verdict {
            CallReport::Throttled { regain } => self.throttled(now, regain, jitter),
            // An answer to a call from before the throttle does not end it.
            CallReport::Success if self.closed(now).is_none() => self.throttles = 0,
            CallReport::Success => {}
        }
        self.forget_before(now);
        let slowdown = match usage_percent {
            // A full window that our own calls fill at the allowed pace is just the allowance in use. What counts is
            // usage beyond it: somebody else's calls, or an allowance smaller than the one configured.
            Some(percent) if percent <= self.own_percent() => 1.0,
            Some(percent) => slowdown(percent),
            // Meta leaves the header out while usage is low; believe that step by step.
            None if verdict == CallReport::Success => ease(self.slowdown),
            None => self.slowdown,
        };
        if slowdown.to_bits() != self.slowdown.to_bits() {
            self.slowdown = slowdown;
            self.cell = Cell::new(self.period(), self.last_call);
        }
    }

    /// Takes in what is stored of an earlier process or replica. Of two words the stricter counts.
    pub fn load(&mut self, closed_until: Option<Millis>, last_call: Option<Millis>) {
        self.closed_until = self.closed_until.max(closed_until);
        if let Some(last_call) = self.last_call.max(last_call) {
            self.called_at(last_call);
        }
    }

    /// Until when Meta's throttling closes the budget, as of the latest report.
    #[must_use]
    pub fn closed_until(&self) -> Option<Millis> {
        self.closed_until
    }

    /// When the latest permit was given.
    #[must_use]
    pub fn last_call(&self) -> Option<Millis> {
        self.last_call
    }

    /// The time between two calls as of now.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.quota.period().mul_f64(self.slowdown)
    }

    /// The share of the quota that our calls of the last span make up, and one call for Meta's rounding.
    fn own_percent(&self) -> f64 {
        let calls = u32::try_from(self.recent.len()).unwrap_or(u32::MAX).saturating_add(1);
        100.0 * f64::from(calls) / f64::from(self.quota.calls.get())
    }

    fn forget_before(&mut self, now: Millis) {
        let span = Millis::try_from(self.quota.per.as_millis()).unwrap_or(Millis::MAX);
        while self.recent.front().is_some_and(|at| *at <= now.saturating_sub(span) || *at > now) {
            self.recent.pop_front();
        }
    }

    fn period_ms(&self) -> Millis {
        Millis::try_from(self.period().as_nanos().div_ceil(1_000_000)).unwrap_or(Millis::MAX)
    }

    fn closed(&self, now: Millis) -> Option<Millis> {
        self.closed_until.filter(|until| now < *until)
    }

    fn throttled(&mut self, now: Millis, regain: Option<Duration>, jitter: f64) {
        let regain = regain.filter(|wait| !wait.is_zero());
        if regain.is_none() && self.closed(now).is_some() {
            // Of calls that were under way together only the first counts.
            return;
        }
        self.throttles = self.throttles.saturating_add(1);
        let wait = match regain {
            Some(wait) => Millis::try_from(wait.min(REGAIN_CAP).as_millis()).unwrap_or(Millis::MAX),
            None => THROTTLE.wait_millis(self.throttles, jitter),
        };
        self.closed_until = self.closed_until.max(Some(now.saturating_add(wait)));
    }

    fn called_at(&mut self, at: Millis) {
        self.last_call = Some(at);
        self.cell = Cell::new(self.period(), self.last_call);
    }
}

/// The stretch of the period at this usage: 1 up to 80 %, then straight to 4 at 100 %.
fn slowdown(percent: f64) -> f64 {
    // A header that is no number says nothing.
    let percent = if percent.is_nan() { 0.0 } else { percent };
    let over = ((percent - SLOW_FROM) / (100.0 - SLOW_FROM)).clamp(0.0, 1.0);
    1.0 + over * (SLOWEST - 1.0)
}

/// Halfway back to full speed; the last bit at once.
fn ease(slowdown: f64) -> f64 {
    let eased = 1.0 + (slowdown - 1.0) / 2.0;
    if eased < 1.1 { 1.0 } else { eased }
}

/// Allowances to start from; Meta's headers and errors move the pace from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimiterConfig {
    /// `items_batch` calls a minute, per catalog. Meta gives a catalog without traffic 8.
    pub batch_calls_per_minute: NonZeroU32,
    /// All other calls about a catalog an hour, per catalog. Meta's floor is 20000.
    pub management_calls_per_hour: NonZeroU32,
}

impl Default for LimiterConfig {
    fn default() -> Self {
        const fn calls(n: u32) -> NonZeroU32 {
            NonZeroU32::new(n).expect("a literal above zero")
        }
        Self { batch_calls_per_minute: calls(8), management_calls_per_hour: calls(20_000) }
    }
}

impl LimiterConfig {
    /// The allowance of a bucket.
    #[must_use]
    pub fn quota(&self, bucket: Bucket) -> Quota {
        let (calls, minutes) = match bucket {
            Bucket::Batch => (self.batch_calls_per_minute, 1),
            Bucket::Management => (self.management_calls_per_hour, 60),
        };
        Quota { calls, per: Duration::from_secs(60 * minutes) }
    }
}

#[cfg(test)]
mod tests;
