//! The vitals of each actor, for status views and readiness.
//!
//! Promises: reading never waits for an actor. The record outlives the actor, so the error that ended it is available
//! while it is down. Times are milliseconds since the Unix epoch.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::clock::{Millis, SharedClock};

/// After this time without a failure, a child's restart back-off starts over, and a restart this old no longer counts
/// against readiness.
pub const RESET_WINDOW: Duration = Duration::from_secs(5 * 60);

/// This many restarts within [`RESET_WINDOW`] end readiness.
pub const RESTARTS_TILL_RED: usize = 5;

/// The vitals of one actor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Vitals {
    /// Name within the instance, such as `drain`.
    pub name: String,
    /// False before the first start, during restart back-off and after the stop.
    pub running: bool,
    /// Successful ticks over all restarts. Stays 0 for an actor that only responds to requests.
    pub ticks: u64,
    /// Start of the latest tick, or of the actor itself if it only responds to requests.
    pub last_started_at: Option<Millis>,
    /// End of the latest successful tick.
    pub last_finished_at: Option<Millis>,
    /// No wake-up starts the next tick before this instant. `None` while a tick runs, and for an actor that is not in a
    /// hold.
    pub held_until: Option<Millis>,
    /// The latest failure. It stays after the actor has recovered.
    pub last_error: Option<LastError>,
    /// Restarts since the process started.
    pub restarts: u64,
    /// Restarts within [`RESET_WINDOW`].
    pub recent_restarts: usize,
}

/// A failure that ended an actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// When it happened.
    pub at: Millis,
    /// Its message, causes included.
    pub message: String,
}

#[derive(Debug, Default)]
struct Record {
    vitals: Vitals,
    started_once: bool,
    /// Restarts within the window, oldest first. Back-off limits them to about a dozen.
    restarts: VecDeque<Millis>,
}

/// The vitals of all actors of a tree. Clones share them.
#[derive(Clone)]
pub struct VitalsBoard {
    clock: SharedClock,
    records: Arc<Mutex<BTreeMap<String, Record>>>,
}

impl fmt::Debug for VitalsBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all()).finish()
    }
}

impl VitalsBoard {
    /// Returns a board without actors.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, records: Arc::default() }
    }

    /// Returns the vitals of every actor, ordered by name.
    #[must_use]
    pub fn all(&self) -> Vec<Vitals> {
        let now = self.clock.now();
        self.lock().values().map(|record| record.read(now)).collect()
    }

    /// Returns the vitals of one actor.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Vitals> {
        let now = self.clock.now();
        self.lock().get(name).map(|record| record.read(now))
    }

    /// Returns false when an actor keeps failing: [`RESTARTS_TILL_RED`] restarts within [`RESET_WINDOW`].
    #[must_use]
    pub fn ready(&self) -> bool {
        self.all().iter().all(|vitals| vitals.recent_restarts < RESTARTS_TILL_RED)
    }

    /// Returns the writer of one actor's record, and creates the record.
    pub(crate) fn pulse(&self, name: &str) -> Pulse {
        let record = || Record { vitals: Vitals { name: name.into(), ..Vitals::default() }, ..Record::default() };
        self.lock().entry(name.into()).or_insert_with(record);
        Pulse { board: self.clone(), name: name.into() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Record>> {
        // A record is plain data. A panic between two writes leaves at worst a stale field.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn read(&self, now: Millis) -> Vitals {
        let mut vitals = self.vitals.clone();
        vitals.recent_restarts = self.restarts.iter().filter(|at| now - **at < window()).count();
        vitals
    }
}

fn window() -> Millis {
    Millis::try_from(RESET_WINDOW.as_millis()).unwrap_or(Millis::MAX)
}

/// Writes one actor's record.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    board: VitalsBoard,
    name: Arc<str>,
}

impl Pulse {
    /// Returns the actor's name, without the instance.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Records that the actor is about to start. Every start after the first is a restart.
    pub(crate) fn starting(&self) {
        self.write(|record, now| {
            record.vitals.last_started_at = Some(now);
            if record.started_once {
                record.vitals.restarts += 1;
                record.restarts.retain(|at| now - *at < window());
                record.restarts.push_back(now);
            }
            record.started_once = true;
        });
    }

    pub(crate) fn started(&self) {
        self.write(|record, _| record.vitals.running = true);
    }

    pub(crate) fn tick_started(&self) {
        self.write(|record, now| {
            record.vitals.last_started_at = Some(now);
            record.vitals.held_until = None;
        });
    }

    /// Records a successful tick. `held_until` is as in [`Vitals`].
    pub(crate) fn tick_finished(&self, held_until: Option<Millis>) {
        self.write(|record, now| {
            record.vitals.last_finished_at = Some(now);
            record.vitals.held_until = held_until;
            record.vitals.ticks += 1;
        });
    }

    pub(crate) fn failed(&self, message: String) {
        self.write(|record, at| {
            record.vitals.running = false;
            record.vitals.held_until = None;
            record.vitals.last_error = Some(LastError { at, message });
        });
    }

    pub(crate) fn ended(&self) {
        self.write(|record, _| record.vitals.running = false);
    }

    fn write(&self, change: impl FnOnce(&mut Record, Millis)) {
        let now = self.board.clock.now();
        if let Some(record) = self.board.lock().get_mut(&*self.name) {
            change(record, now);
        }
    }
}

/// Returns the message of a panic.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.map_or_else(|| "panicked".to_owned(), |text| format!("panicked: {text}"))
}
