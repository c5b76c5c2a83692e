//! The open connections: how many there may be, and which one goes when another one needs its place.
//!
//! A connection waits either for its client (a head, a body, a client that reads) or for this service (a handler runs,
//! or its turn has not come). Only the first kind gives way, so a request that is here is not lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// How long a connection may wait for its client before it can give way: enough for a client that has just connected to
/// send its request.
const LEAST_WAIT: Duration = Duration::from_millis(100);

/// The values of [`Turn::since`] that are not times.
const OURS: u64 = u64::MAX;
const LOST: u64 = u64::MAX - 1;

/// The open connections.
#[derive(Debug)]
pub(super) struct Open {
    most: u32,
    places: Arc<Semaphore>,
    shared: Arc<Shared>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    turns: Mutex<HashMap<u64, Turn>>,
    /// A connection began to wait for its client.
    turned: Notify,
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(0)
    }
}

/// For whom a connection waits. Clones are of the same connection.
#[derive(Clone, Debug)]
pub(super) struct Turn(Arc<TurnState>);

#[derive(Debug)]
struct TurnState {
    /// The time since which it waits for the client, [`OURS`] or [`LOST`].
    since: AtomicU64,
    /// A handler runs.
    handled: AtomicBool,
    lost: Notify,
    shared: Arc<Shared>,
}

/// The place of one connection. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    id: u64,
    turn: Turn,
    _place: OwnedSemaphorePermit,
}

/// What [`Open::evict`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evicted {
    /// A connection closes.
    One,
    /// The first one can give way after this time.
    NotYet(Duration),
    /// No connection waits for its client.
    None,
}

impl Open {
    /// Returns places for this many connections.
    pub(super) fn new(most: u32) -> Self {
        let shared = Shared { began: Instant::now(), turns: Mutex::default(), turned: Notify::new() };
        Self {
            most,
            places: Arc::new(Semaphore::new(most as usize)),
            shared: Arc::new(shared),
            next: AtomicU64::new(0),
        }
    }

    /// Returns the place of a new connection. When none is free, the connection that has waited longest for its client
    /// is closed; when every connection waits for this service, the next one that does not.
    pub(super) async fn admit(&self) -> Seat {
        loop {
            let place = Arc::clone(&self.places);
            if let Ok(place) = Arc::clone(&place).try_acquire_owned() {
                return self.seat(place);
            }
            let turned = self.shared.turned.notified();
            let evicted = self.evict();
            let left = if let Evicted::NotYet(left) = evicted { left } else { Duration::ZERO };
            tokio::select! {
                Ok(place) = place.acquire_owned() => return self.seat(place),
                () = tokio::time::sleep(left), if matches!(evicted, Evicted::NotYet(_)) => {}
                () = turned, if evicted == Evicted::None => {}
            }
        }
    }

    fn seat(&self, place: OwnedSemaphorePermit) -> Seat {
        // Its request may be here already: whether it is, shows when the connection is read.
        let state = TurnState {
            since: AtomicU64::new(OURS),
            handled: AtomicBool::new(false),
            lost: Notify::new(),
            shared: Arc::clone(&self.shared),
        };
        let turn = Turn(Arc::new(state));
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner).insert(id, turn.clone());
        Seat { id, turn, _place: place }
    }

    /// Closes the connection that has waited longest for its client, if that is at least [`LEAST_WAIT`].
    pub(super) fn evict(&self) -> Evicted {
        let turns = self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let waits = turns.values().map(|turn| (turn.0.since.load(Ordering::SeqCst), turn));
            let Some((since, turn)) = waits.filter(|(since, _)| *since < LOST).min_by_key(|(since, _)| *since) else {
                return Evicted::None;
            };
            let waited = Duration::from_micros(self.shared.now().saturating_sub(since));
            if let Some(left) = LEAST_WAIT.checked_sub(waited).filter(|left| !left.is_zero()) {
                return Evicted::NotYet(left);
            }
            if turn.0.since.compare_exchange(since, LOST, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                turn.0.lost.notify_one();
                return Evicted::One;
            }
        }
    }

    /// Returns the number of open connections.
    pub(super) fn count(&self) -> usize {
        self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Closes every connection and waits until they are closed.
    pub(super) async fn end(&self) {
        for turn in self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner).values() {
            turn.0.since.store(LOST, Ordering::SeqCst);
            turn.0.lost.notify_one();
        }
        // The semaphore is never closed, so this ends with every place free.
        let _ = self.places.acquire_many(self.most).await;
    }
}

impl Seat {
    /// Returns for whom this connection waits.
    pub(super) fn turn(&self) -> Turn {
        self.turn.clone()
    }

    /// Resolves when this connection has to close.
    pub(super) async fn lost(&self) {
        self.turn.0.lost.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut turns = self.turn.0.shared.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.remove(&self.id);
    }
}

impl Turn {
    /// A request is here: its handler runs.
    pub(super) fn begins(&self) {
        self.0.handled.store(true, Ordering::SeqCst);
        self.set(|_| OURS);
    }

    /// The handler has responded. What follows depends on whether the client reads, and sends its next request.
    pub(super) fn ends(&self) {
        self.0.handled.store(false, Ordering::SeqCst);
        self.set(|_| OURS);
    }

    /// The client has to send more of a body, or has sent it.
    pub(super) fn body(&self, is_here: bool) {
        if is_here {
            self.set(|_| OURS);
        } else {
            self.wait();
        }
    }

    /// Nothing could be read or written. This is a wait for the client unless a handler runs.
    pub(super) fn stands(&self) {
        if !self.0.handled.load(Ordering::SeqCst) {
            self.wait();
        }
    }

    /// The client has read something. If the connection waits for it, that wait begins anew.
    pub(super) fn progresses(&self) {
        let now = self.0.shared.now();
        self.set(|since| if since == OURS { OURS } else { now });
    }

    /// Whether the connection has to close.
    pub(super) fn is_lost(&self) -> bool {
        self.0.since.load(Ordering::SeqCst) == LOST
    }

    /// From now on, unless it does so already, the connection waits for the client.
    fn wait(&self) {
        let now = self.0.shared.now();
        if self.set(|since| if since == OURS { now } else { since }) == OURS {
            self.0.shared.turned.notify_one();
        }
    }

    /// Changes the time, unless the connection is lost. Returns the one before.
    fn set(&self, next: impl Fn(u64) -> u64) -> u64 {
        let keep = |since| (since != LOST).then(|| next(since));
        self.0.since.fetch_update(Ordering::SeqCst, Ordering::SeqCst, keep).unwrap_or(LOST)
    }
}
