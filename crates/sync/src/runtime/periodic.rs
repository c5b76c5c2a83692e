//! The periodic actor: runs a [`Job`] on an interval that may change at any time.
//!
//! Promises:
//! - One tick at a time and one timer outstanding. The next timer is armed when a tick has ended, so ticks never pile
//!   up behind a slow one.
//! - The first tick runs immediately after each (re)start. Intervals count from start to start.
//! - The interval is read again at least every second, so a changed setting applies without a restart.
//! - Wake-ups coalesce: any number of them causes one tick.
//! - A tick that fails or panics ends the actor. Its supervisor restarts it with a new job.
//! - A stop waits for the tick in progress and starts no other.
//!
//! Timers use the monotonic clock. The injected clock is checked as well, so that a machine that resumes from sleep, or
//! a test that moves time, does not wait for an interval that has passed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{Instrument as _, info_span};

use super::slots::Slot;
use super::tree::Child;
use super::vitals::Pulse;
use crate::clock::{Millis, SharedClock};

/// The longest time until a changed interval is noticed.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A shorter interval is replaced by this one: a setting of zero must not cause a busy loop.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
/// A longer rest is replaced by this one, so that adding it to the time cannot overflow.
const LONGEST_REST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The error that ended a tick. `?` converts any error into it.
pub type JobError = ActorProcessingErr;

/// What a job requests after a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Run again immediately: there is more work.
    Again,
    /// Wait for the interval, counted from the start of this tick. A wake-up ends the wait.
    Interval,
    /// Wait this long, regardless of the interval. A wake-up ends the wait.
    For(Duration),
    /// Wait this long, regardless of the interval and of wake-ups: running earlier would be harmful or useless, as
    /// while Meta throttles. The tick after the hold serves a wake-up that comes meanwhile.
    Hold(Duration),
}

/// Work that is repeated.
pub trait Job: Send + 'static {
    /// Returns the current interval. It is called about once a second, so it must be cheap.
    fn interval(&self) -> Duration;

    /// Runs one round. An error ends the actor and restarts it with back-off. A failure that a restart cannot repair
    /// (Meta unreachable, not connected) should therefore return a [`Rest`].
    fn tick(&mut self) -> impl Future<Output = Result<Rest, JobError>> + Send;
}

/// The message of a periodic actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The timer with number `.0` expired. An older timer is ignored.
    Due(u64),
    /// There is work; see [`Nudger`].
    Nudge,
}

/// Wakes a periodic actor. Clones share it. It exists before the tree, so that siblings can wake each other.
#[derive(Clone, Debug)]
pub struct Nudger {
    slot: Slot<Signal>,
    /// Whether a nudge is in the mailbox. A second one would add nothing.
    pending: Arc<AtomicBool>,
}

impl Nudger {
    /// Returns a handle that wakes the child with this name once it exists.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { slot: Slot::new(name), pending: Arc::default() }
    }

    /// Returns the name of the actor that it wakes.
    #[must_use]
    pub fn name(&self) -> &str {
        self.slot.name()
    }

    /// Requests a tick as soon as the current one has ended. Never waits. A nudge to an actor that is down is lost
    /// without harm, since its first tick runs immediately.
    pub fn nudge(&self) {
        if !self.pending.swap(true, Ordering::SeqCst) && self.slot.cast(Signal::Nudge).is_err() {
            self.pending.store(false, Ordering::SeqCst);
        }
    }
}

/// Returns a child that runs the job that `make` builds at each (re)start, and that `nudger` wakes.
pub fn periodic<J: Job>(nudger: &Nudger, clock: SharedClock, make: impl Fn() -> J + Send + Sync + 'static) -> Child {
    let pending = Arc::clone(&nudger.pending);
    let make = Arc::new(make);
    Child::with_pulse(&nudger.slot, move |pulse| {
        let periodic =
            Periodic { make: Arc::clone(&make), clock: Arc::clone(&clock), pending: Arc::clone(&pending), pulse };
        (periodic, ())
    })
}

struct Periodic<F> {
    make: Arc<F>,
    clock: SharedClock,
    pending: Arc<AtomicBool>,
    pulse: Pulse,
}

/// When the next tick is due.
#[derive(Clone, Copy, Debug)]
enum Plan {
    Now,
    Interval,
    /// On either clock, whichever gets there first.
    At(Instant, Millis),
    /// Like `At`, but ignores nudges.
    Hold(Instant, Millis),
}

struct Loop<J> {
    job: J,
    plan: Plan,
    /// Start of the latest tick, on both clocks.
    started: (Instant, Millis),
    /// Number of the current timer.
    turn: u64,
    timer: Option<AbortHandle>,
}

impl<J> Drop for Loop<J> {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
    }
}

impl<J: Job> Loop<J> {
    /// Returns the time until the next tick is due. Zero means now.
    fn remaining(&self, clock: &SharedClock) -> Duration {
        match self.plan {
            Plan::Now => Duration::ZERO,
            Plan::At(at, millis) | Plan::Hold(at, millis) => {
                let by_clock = u64::try_from(millis.saturating_sub(clock.now())).unwrap_or(0);
                at.saturating_duration_since(Instant::now()).min(Duration::from_millis(by_clock))
            }
            Plan::Interval => {
                let (instant, millis) = self.started;
                let by_clock = u64::try_from(clock.now().saturating_sub(millis)).unwrap_or(0);
                let passed = instant.elapsed().max(Duration::from_millis(by_clock));
                self.job.interval().max(SHORTEST_INTERVAL).saturating_sub(passed)
            }
        }
    }

    /// Replaces the timer. It expires when the tick is due, or when the interval is to be read again.
    fn arm(&mut self, myself: &ActorRef<Signal>, clock: &SharedClock) -> Result<(), JobError> {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
        self.turn += 1;
        let due = Signal::Due(self.turn);
        let wait = self.remaining(clock).min(HEARTBEAT);
        if wait.is_zero() {
            // Sent through the mailbox, so that a stop is handled first.
            myself.cast(due)?;
        } else {
            self.timer = Some(myself.send_after(wait, move || due).abort_handle());
        }
        Ok(())
    }
}

#[ractor::async_trait]
impl<J: Job, F: Fn() -> J + Send + Sync + 'static> Actor for Periodic<F> {
    type Msg = Signal;
    type State = Loop<J>;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<Signal>, (): ()) -> Result<Loop<J>, JobError> {
        // The first tick serves a nudge that is still in the mailbox of the previous actor.
        self.pending.store(false, Ordering::SeqCst);
        let mut state = Loop {
            job: (self.make)(),
            plan: Plan::Now,
            started: (Instant::now(), self.clock.now()),
            turn: 0,
            timer: None,
        };
        state.arm(&myself, &self.clock)?;
        Ok(state)
    }

    async fn handle(&self, myself: ActorRef<Signal>, message: Signal, state: &mut Loop<J>) -> Result<(), JobError> {
        match message {
            Signal::Due(turn) if turn != state.turn => return Ok(()),
            Signal::Due(_) if !state.remaining(&self.clock).is_zero() => {}
            Signal::Due(_) => {
                state.started = (Instant::now(), self.clock.now());
                // This tick serves all nudges so far. A nudge during the tick requests another one.
                self.pending.store(false, Ordering::SeqCst);
                self.pulse.tick_started();
                let rest =
                    state.job.tick().instrument(info_span!(parent: None, "tick", actor = self.pulse.name())).await?;
                let (now, millis) = (Instant::now(), self.clock.now());
                let after = |wait: Duration| {
                    let wait = wait.min(LONGEST_REST);
                    (now + wait, millis.saturating_add(Millis::try_from(wait.as_millis()).unwrap_or(Millis::MAX)))
                };
                state.plan = match rest {
                    Rest::Again => Plan::Now,
                    Rest::Interval => Plan::Interval,
                    Rest::For(wait) => {
                        let (at, millis) = after(wait);
                        Plan::At(at, millis)
                    }
                    Rest::Hold(wait) => {
                        let (at, millis) = after(wait);
                        Plan::Hold(at, millis)
                    }
                };
                self.pulse.tick_finished(match state.plan {
                    Plan::Hold(_, until) => Some(until),
                    Plan::Now | Plan::Interval | Plan::At(..) => None,
                });
            }
            Signal::Nudge => {
                self.pending.store(false, Ordering::SeqCst);
                match state.plan {
                    Plan::Now => return Ok(()),
                    // The hold stays. The timer is armed again, so it expires at once if the clock has moved past the
                    // hold.
                    Plan::Hold(..) => {}
                    Plan::Interval | Plan::At(..) => state.plan = Plan::Now,
                }
            }
        }
        state.arm(&myself, &self.clock)
    }
}

#[cfg(test)]
mod tests;
