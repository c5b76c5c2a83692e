//! The call rate of one catalog: Meta's rate limits as arithmetic.
//!
//! Promises: pure; time and jitter are arguments. One call per period and no burst (a burst of a full minute's quota
//! would double the quota in the first minute). After Meta throttles a call, no call is allowed before the time that
//! Meta states, or else before a growing wait ends. From 80 % usage on the period grows, unless our own calls at the
//! allowed pace explain the usage.
//!
//! Left out on purpose: waiting, and the split into buckets. The limiter actor keeps one [`Budget`] per catalog and
//! bucket, so a closed bucket closes no other.

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

/// Wait after a throttle error in which Meta states no time.
const THROTTLE: Backoff = Backoff { start: Duration::from_secs(60), cap: Duration::from_secs(15 * 60) };
/// The longest wait that is accepted from Meta.
const REGAIN_CAP: Duration = Duration::from_secs(24 * 60 * 60);
/// Usage in percent above which calls are slowed down.
const SLOW_FROM: f64 = 80.0;
/// The time between two calls, in percent of its share of the span. Calls that leave on time do not arrive on time: a
/// late first call and a punctual last one must not put one more call into the span than Meta allows.
const SPREAD: u128 = 102;
/// The factor of the period at 100 % usage.
const SLOWEST: f64 = 4.0;

/// The Meta allowance that a call uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// `items_batch` and related calls; error code 80014.
    Batch,
    /// Every other call about the catalog, such as polls and reads; error code 80009.
    Management,
}

impl Bucket {
    /// Both, in the order in which they are shown.
    pub const ALL: [Self; 2] = [Self::Batch, Self::Management];

    /// Returns its word in the store.
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

/// The stored part of a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimiterRow {
    /// The catalog.
    pub catalog_id: String,
    /// The allowance of the catalog.
    pub bucket: Bucket,
    /// The end of Meta's throttling. The budget is open when this is in the past or `None`.
    pub closed_until: Option<Millis>,
    /// When the latest permit was granted.
    pub last_call_at: Option<Millis>,
}

/// Allowed calls per span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The number of allowed calls.
    pub calls: NonZeroU32,
    /// The span.
    pub per: Duration,
}

impl Quota {
    /// Returns the time between two calls.
    #[must_use]
    pub fn period(self) -> Duration {
        let millis = self.per.as_millis() * SPREAD / 100 / u128::from(self.calls.get());
        // Whole milliseconds, at least one: the clock has no finer resolution.
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX).max(1))
    }
}

/// The result of a request for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The call may be made, and it is counted.
    Permit,
    /// The call may not be made. No request before this instant succeeds.
    ClosedUntil(Millis),
}

/// The outcome of a call, as far as the limits are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallReport {
    /// Meta did not throttle the call. It may have failed for another reason.
    Success,
    /// Meta throttled the call.
    Throttled {
        /// The wait that Meta states, if it states one above zero.
        regain: Option<Duration>,
    },
}

/// One cell of the generic cell rate algorithm, on a clock that is set explicitly.
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
    /// Returns a cell whose last call was at `last_call`.
    fn new(period: Duration, last_call: Option<Millis>) -> Self {
        let clock = HandClock::default();
        let quota = CellQuota::with_period(period).unwrap_or_else(|| CellQuota::per_second(NonZeroU32::MIN));
        let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
        let cell = Self { clock, limiter };
        if let Some(last_call) = last_call {
            // A new cell always allows its first call.
            let _ = cell.take(last_call);
        }
        cell
    }

    /// Takes the call, or returns when it can be taken.
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
    /// Permits within the last span of the quota, oldest first.
    recent: VecDeque<Millis>,
    closed_until: Option<Millis>,
    /// Consecutive throttle errors.
    throttles: u32,
    /// The factor of the period, from 1.
    slowdown: f64,
    /// The usage that Meta told last, in percent, and when.
    told: Option<(f64, Millis)>,
}

/// How much of an allowance is used, as far as this process knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// The allowance.
    pub quota: Quota,
    /// Our calls within the last span of the quota.
    pub used: u32,
    /// The calls that are left of the span. None while the bucket is closed.
    pub left: u32,
    /// The usage that Meta told within the last span, in percent. Meta tells nothing while it is low.
    pub told_percent: Option<f64>,
    /// When the next call may be made; `None` when it may be made now.
    pub next_call_at: Option<Millis>,
    /// The end of Meta's throttling; `None` while the bucket is open.
    pub closed_until: Option<Millis>,
    /// The current time between two calls.
    pub period: Duration,
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
    /// Returns an unused budget.
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
            told: None,
        }
    }

    /// Requests a call now. A permit counts as used once it is granted.
    #[must_use = "a permit is used up by asking"]
    pub fn ask(&mut self, now: Millis) -> Admission {
        if let Some(until) = self.closed(now) {
            return Admission::ClosedUntil(until);
        }
        if self.last_call.is_some_and(|last| last > now) {
            // The clock was set back. Waiting until it catches up would take too long.
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

    /// Returns what [`Budget::ask`] would return, without using a permit.
    #[must_use]
    pub fn peek(&self, now: Millis) -> Admission {
        let next = self.last_call.filter(|last| *last <= now).map_or(now, |last| last.saturating_add(self.period_ms()));
        let until = self.closed(now).unwrap_or(now).max(next);
        if until > now { Admission::ClosedUntil(until) } else { Admission::Permit }
    }

    /// Records how a call ended. `usage_percent` is the highest usage of the allowance in Meta's headers. `jitter` is a
    /// number in `0.0..1.0`.
    pub fn report(&mut self, now: Millis, usage_percent: Option<f64>, verdict: CallReport, jitter: f64) {
        match verdict {
            CallReport::Throttled { regain } => self.throttled(now, regain, jitter),
            // The success of a call from before the throttle does not end it.
            CallReport::Success if self.closed(now).is_none() => self.throttles = 0,
            CallReport::Success => {}
        }
        self.forget_before(now);
        if let Some(percent) = usage_percent.filter(|percent| percent.is_finite()) {
            self.told = Some((percent, now));
        }
        let slowdown = match usage_percent {
            // When our own calls at the allowed pace explain the usage, the allowance is simply in use. Only usage
            // above that counts: it comes from other callers, or from an allowance below the configured one.
            Some(percent) if percent <= self.own_percent() => 1.0,
            Some(percent) => slowdown(percent),
            // Meta omits the header while usage is low, so without it the slowdown is reduced step by step.
            None if verdict == CallReport::Success => ease(self.slowdown),
            None => self.slowdown,
        };
        if slowdown.to_bits() != self.slowdown.to_bits() {
            self.slowdown = slowdown;
            self.cell = Cell::new(self.period(), self.last_call);
        }
    }

    /// Merges the stored state of an earlier process or of another replica. The stricter value wins.
    pub fn load(&mut self, closed_until: Option<Millis>, last_call: Option<Millis>) {
        self.closed_until = self.closed_until.max(closed_until);
        if let Some(last_call) = self.last_call.max(last_call) {
            self.called_at(last_call);
        }
    }

    /// Returns the end of Meta's throttling as of the latest report.
    #[must_use]
    pub fn closed_until(&self) -> Option<Millis> {
        self.closed_until
    }

    /// Returns when the latest permit was granted.
    #[must_use]
    pub fn last_call(&self) -> Option<Millis> {
        self.last_call
    }

    /// Returns the current time between two calls.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.quota.period().mul_f64(self.slowdown)
    }

    /// Returns how much of the allowance is used. Reading it changes nothing.
    #[must_use]
    pub fn usage(&self, now: Millis) -> Usage {
        let is_recent = |at: Millis| at > now.saturating_sub(self.span_ms()) && at <= now;
        let used = self.recent.iter().filter(|at| is_recent(**at)).count();
        let used = u32::try_from(used).unwrap_or(u32::MAX);
        let closed_until = self.closed(now);
        Usage {
            quota: self.quota,
            used,
            left: if closed_until.is_some() { 0 } else { self.quota.calls.get().saturating_sub(used) },
            told_percent: self.told.filter(|(_, at)| is_recent(*at)).map(|(percent, _)| percent),
            next_call_at: match self.peek(now) {
                Admission::Permit => None,
                Admission::ClosedUntil(until) => Some(until),
            },
            closed_until,
            period: self.period(),
        }
    }

    /// Returns the share of the quota that our calls in the last span use, plus one call for Meta's rounding.
    fn own_percent(&self) -> f64 {
        let calls = u32::try_from(self.recent.len()).unwrap_or(u32::MAX).saturating_add(1);
        100.0 * f64::from(calls) / f64::from(self.quota.calls.get())
    }

    fn forget_before(&mut self, now: Millis) {
        let span = self.span_ms();
        while self.recent.front().is_some_and(|at| *at <= now.saturating_sub(span) || *at > now) {
            self.recent.pop_front();
        }
    }

    fn span_ms(&self) -> Millis {
        Millis::try_from(self.quota.per.as_millis()).unwrap_or(Millis::MAX)
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
            // Of the calls that were under way together, only the first throttle error counts.
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

/// Returns the factor of the period at this usage: 1 up to 80 %, then linear to 4 at 100 %.
fn slowdown(percent: f64) -> f64 {
    // A header that is not a number is ignored.
    let percent = if percent.is_nan() { 0.0 } else { percent };
    let over = ((percent - SLOW_FROM) / (100.0 - SLOW_FROM)).clamp(0.0, 1.0);
    1.0 + over * (SLOWEST - 1.0)
}

/// Halves the slowdown. A small remainder ends at once.
fn ease(slowdown: f64) -> f64 {
    let eased = 1.0 + (slowdown - 1.0) / 2.0;
    if eased < 1.1 { 1.0 } else { eased }
}

/// Initial allowances. Meta's headers and errors adjust the pace from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimiterConfig {
    /// `items_batch` calls per minute and catalog. Meta grants a catalog without traffic 8.
    pub batch_calls_per_minute: NonZeroU32,
    /// All other calls about a catalog, per hour and catalog. Meta's minimum is 20000.
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
    /// Returns the allowance of a bucket.
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
