//! One flat one-for-one supervisor over all actors of an instance.
//!
//! Promises: a failing child restarts after 0.25 s, doubling up to 30 s, for as long as the process runs. This back-off
//! cannot cause a meltdown of the supervisor. Names are `<instance>/<child>`, because the framework's registry is
//! global to the process. A stop lets each child finish its current message. If the root ends unexpectedly,
//! [`Tree::ended`] returns the reason.
//!
//! Left out on purpose: nested supervisors and restart groups. Siblings tolerate an empty slot, so the failure of one
//! child never requires the restart of another one.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorRef, SpawnErr};
use ractor_supervisor::core::{ChildBackoffFn, ChildSpec, Restart, SpawnFn, SpawnFuture};
use ractor_supervisor::supervisor::{SupervisorArguments, SupervisorMsg, SupervisorOptions, SupervisorStrategy};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::slots::Slot;
use super::vitals::{Pulse, RESET_WINDOW, VitalsBoard, panic_text};
use crate::report::chain;

mod root;

use root::{Root, RootArguments};

/// Back-off before the first restart.
const BACKOFF_START: Duration = Duration::from_millis(250);
/// Upper limit of the back-off.
const BACKOFF_CAP: Duration = Duration::from_secs(30);
/// Restarts of all children within this span count towards a meltdown.
const MELTDOWN_WINDOW: Duration = Duration::from_secs(60);
/// Restarts allowed per child within [`MELTDOWN_WINDOW`]. The doubling back-off allows 7.
const MELTDOWN_RESTARTS_PER_CHILD: usize = 16;
/// The time limit for the root to end after its children have ended.
const ROOT_STOP: Duration = Duration::from_secs(5);

/// A named actor and its start function, which can be called repeatedly.
pub struct Child {
    name: String,
    start: Box<StartFn>,
}

type StartFn = dyn Fn(Start) -> SpawnFuture + Send + Sync;

/// What a child needs for one start.
struct Start {
    supervisor: ActorCell,
    id: String,
    pulse: Pulse,
}

impl Child {
    /// Returns a child with the name of its slot. `make` runs at each (re)start and must do no I/O. A panic in it
    /// counts as a failed start.
    pub fn new<A: Actor>(slot: &Slot<A::Msg>, make: impl Fn() -> (A, A::Arguments) + Send + Sync + 'static) -> Self {
        Self::with_pulse(slot, move |_| make())
    }

    /// Like [`Child::new`], for an actor that writes its own vitals.
    pub(crate) fn with_pulse<A: Actor>(
        slot: &Slot<A::Msg>,
        make: impl Fn(Pulse) -> (A, A::Arguments) + Send + Sync + 'static,
    ) -> Self {
        let slot = slot.clone();
        Self {
            name: slot.name().to_owned(),
            start: Box::new(move |start| {
                // The root calls this: a panic here would end the whole tree.
                let made = catch_unwind(AssertUnwindSafe(|| make(start.pulse)));
                let slot = slot.clone();
                Box::pin(async move {
                    let (actor, arguments) =
                        made.map_err(|panic| SpawnErr::StartupFailed(panic_text(&*panic).into()))?;
                    let (actor, _) = Actor::spawn_linked(Some(start.id), actor, arguments, start.supervisor).await?;
                    let cell = actor.get_cell();
                    slot.fill(actor);
                    Ok(cell)
                })
            }),
        }
    }
}

/// Why a tree did not start.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Two children have the same name.
    #[error("two actors have the name {0}; give each child of a tree its own name")]
    DuplicateChild(String),
    /// The instance name is in use, or the root failed.
    #[error(
        "the supervisor of instance {instance} did not start: {reason}; an instance name can be used once per process at a time"
    )]
    Root {
        /// The instance asked for.
        instance: String,
        /// The error of the framework.
        reason: String,
    },
}

/// Children that did not end within the deadline and were killed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these actors did not end in time and were killed: {}", .killed.join(", "))]
pub struct Overdue {
    /// Their names, in stop order.
    pub killed: Vec<String>,
}

/// The root ended without a shutdown request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the actor supervisor ended unexpectedly: {reason}")]
pub struct Ended {
    /// The last error of the supervisor, if it reported one.
    pub reason: String,
}

/// Coordinates starts and shutdown: no child starts once `closing` is set.
#[derive(Default)]
struct Gate {
    closing: bool,
    cells: HashMap<String, ActorCell>,
}

/// A running tree. Dropping it without [`Tree::shutdown`] kills its actors.
pub struct Tree {
    root: ActorRef<SupervisorMsg>,
    /// Names in start order.
    order: Vec<String>,
    gate: Arc<Mutex<Gate>>,
    asked: Arc<AtomicBool>,
    ended: watch::Receiver<Option<Ended>>,
}

impl Tree {
    /// Starts the children in the given order under `<instance>/<name>`. Returns after the first start of each. A child
    /// whose first start fails is restarted like any other.
    ///
    /// # Errors
    /// A [`TreeError`] when the tree does not start.
    pub async fn spawn(instance: &str, board: &VitalsBoard, children: Vec<Child>) -> Result<Self, TreeError> {
        let order: Vec<String> = children.iter().map(|child| child.name.clone()).collect();
        if let Some(twice) = order.iter().enumerate().find(|(i, name)| order[..*i].contains(name)) {
            return Err(TreeError::DuplicateChild(twice.1.clone()));
        }
        let refused = |reason: String| TreeError::Root { instance: instance.to_owned(), reason };

        let gate = Arc::new(Mutex::new(Gate::default()));
        let mut pulses = HashMap::new();
        let mut child_specs = Vec::with_capacity(children.len());
        for child in children {
            let id = format!("{instance}/{}", child.name);
            let pulse = board.pulse(&child.name);
            pulses.insert(id.clone(), pulse.clone());
            child_specs.push(child.into_spec(id, pulse, Arc::clone(&gate)));
        }
        let (last_error, error_seen) = watch::channel(None);
        let arguments = RootArguments {
            pulses,
            last_error,
            supervisor: SupervisorArguments {
                options: SupervisorOptions {
                    strategy: SupervisorStrategy::OneForOne,
                    max_restarts: MELTDOWN_RESTARTS_PER_CHILD * child_specs.len().max(1),
                    max_window: MELTDOWN_WINDOW,
                    reset_after: None,
                },
                child_specs,
            },
        };
        let (root, handle) = Actor::spawn(Some(format!("{instance}/root")), Root, arguments)
            .await
            .map_err(|error| refused(chain(&error)))?;

        let asked = Arc::new(AtomicBool::new(false));
        let (end, ended) = watch::channel(None);
        tokio::spawn({
            let asked = Arc::clone(&asked);
            async move {
                // This is never an error: the framework catches panics inside.
                let _ = handle.await;
                if !asked.load(Ordering::SeqCst) {
                    let reason = error_seen.borrow().clone();
                    let reason = reason.unwrap_or_else(|| "no reason was given".to_owned());
                    tracing::error!(%reason, "actor supervisor ended unexpectedly");
                    end.send_replace(Some(Ended { reason }));
                }
            }
        });
        let tree = Self { root, order, gate, asked, ended };
        // The root responds only after it has started its children.
        match tree.root.call(SupervisorMsg::InspectState, None).await {
            Ok(answer) if answer.is_success() => Ok(tree),
            _ => Err(refused(tree.ended().await.reason)),
        }
    }

    /// Resolves if the root ends without a shutdown request. Then no actor runs any more and the process should exit.
    /// Never resolves after [`Tree::shutdown`] or a drop.
    pub fn ended(&self) -> impl Future<Output = Ended> + Send + 'static {
        let mut ended = self.ended.clone();
        async move {
            if let Ok(end) = ended.wait_for(Option::is_some).await
                && let Some(end) = end.clone()
            {
                return end;
            }
            std::future::pending().await
        }
    }

    /// Stops the children one after the other, **last started first**, and waits for each to finish its current
    /// message; then stops the root. `deadline` covers all children together; the remaining ones are killed after it. A
    /// child that waits for its restart is not started again.
    ///
    /// # Errors
    /// [`Overdue`] with the names of the children that were killed.
    pub async fn shutdown(self, deadline: Duration) -> Result<(), Overdue> {
        let until = Instant::now() + deadline;
        self.asked.store(true, Ordering::SeqCst);
        let mut cells = {
            let mut gate = self.gate.lock().await;
            gate.closing = true;
            std::mem::take(&mut gate.cells)
        };
        let mut killed = Vec::new();
        for name in self.order.iter().rev() {
            let Some(cell) = cells.remove(name) else {
                continue;
            };
            cell.stop(None);
            let left = until.saturating_duration_since(Instant::now());
            if cell.wait(Some(left)).await.is_err() {
                tracing::warn!(actor = name, "actor shutdown timed out; killing the actor");
                killed.push(name.clone());
            }
        }
        self.root.stop(None);
        if self.root.wait(Some(ROOT_STOP)).await.is_err() {
            tracing::warn!("actor supervisor shutdown timed out");
        }
        if killed.is_empty() { Ok(()) } else { Err(Overdue { killed }) }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.asked.store(true, Ordering::SeqCst);
        self.root.kill();
    }
}

impl Child {
    fn into_spec(self, id: String, pulse: Pulse, gate: Arc<Mutex<Gate>>) -> ChildSpec {
        let Self { name, start } = self;
        let (name, start): (Arc<str>, Arc<StartFn>) = (name.into(), start.into());
        let spawn = move |supervisor, id| {
            let (name, start, pulse, gate) = (Arc::clone(&name), Arc::clone(&start), pulse.clone(), Arc::clone(&gate));
            async move {
                // Held during the start, so that a shutdown sees either the child or no start at all.
                let mut gate = gate.lock().await;
                if gate.closing {
                    return Err(SpawnErr::StartupFailed("the tree is shutting down".into()));
                }
                pulse.starting();
                let start = start(Start { supervisor, id, pulse: pulse.clone() });
                match start.await {
                    Ok(cell) => {
                        pulse.started();
                        gate.cells.insert(name.to_string(), cell.clone());
                        Ok(cell)
                    }
                    Err(error) => {
                        let reason = chain(&error);
                        tracing::error!(actor = %name, %reason, "actor start failed; retrying");
                        pulse.failed(reason);
                        Err(error)
                    }
                }
            }
        };
        ChildSpec {
            id,
            restart: Restart::Transient,
            spawn_fn: SpawnFn::new(spawn),
            backoff_fn: Some(ChildBackoffFn::new(|_, failures, _, _| Some(backoff(failures)))),
            reset_after: Some(RESET_WINDOW),
        }
    }
}

/// Returns the wait before the restart that follows the `failures`th consecutive failure.
fn backoff(failures: usize) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    BACKOFF_START.saturating_mul(1 << doublings).min(BACKOFF_CAP)
}

#[cfg(test)]
mod tests;
