//! The RateLimiter: decides whether a catalog may be called now.
//!
//! Promises: it never waits; a caller gets a permit, or the time at which to ask again. There is one budget per catalog
//! **and** bucket, so a closed batch bucket does not stop polls. The state that must outlive the process (closed until,
//! last call) is read with [`Limiter::snapshot`] and stored with the submission. It is passed back with
//! [`Limiter::load`] when the lease is taken. A restarted actor reads it from [`LimiterMemory`] before its first
//! answer, so no restart permits an early call.
//!
//! Left out on purpose: the arithmetic ([`crate::domain::budget`]) and storing.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::clock::SharedClock;
use crate::domain::budget::{Admission, Bucket, Budget, CallReport, LimiterConfig, LimiterRow};
use crate::runtime::jitter::Jitter;
use crate::runtime::slots::{CallError, Slot};
use crate::runtime::tree::Child;
use crate::store::StoreError;

/// The actor only computes. If an answer takes longer than this, it will not come.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The stored state for a limiter that has just started.
#[ractor::async_trait]
pub trait LimiterMemory: Send + Sync + 'static {
    /// Returns the stored rows.
    ///
    /// # Errors
    /// When the database query fails. The limiter then grants no permit and reads again at the next request.
    async fn stored(&self) -> Result<Vec<LimiterRow>, StoreError>;
}

/// A handle to the actor. Clones share it. It exists before the tree.
#[derive(Clone, Debug)]
pub struct Limiter {
    slot: Slot<LimiterMsg>,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Limiter {
    /// Returns a handle to the child `limiter`, which may start later.
    #[must_use]
    pub fn new() -> Self {
        Self { slot: Slot::new("limiter") }
    }

    /// Returns the actor behind this handle.
    pub fn child(
        &self,
        clock: SharedClock,
        jitter: Jitter,
        config: LimiterConfig,
        memory: Arc<dyn LimiterMemory>,
    ) -> Child {
        Child::new(&self.slot, move || {
            let actor = LimiterActor {
                clock: SharedClock::clone(&clock),
                jitter: Jitter::clone(&jitter),
                config,
                memory: Arc::clone(&memory),
            };
            (actor, ())
        })
    }

    /// Returns what [`Limiter::ask`] would return now, without using a permit.
    ///
    /// # Errors
    /// [`CallError`] when the actor does not answer.
    pub async fn peek(&self, catalog_id: &str, bucket: Bucket) -> Result<Admission, CallError> {
        let catalog = catalog_id.to_owned();
        let peek = |reply| LimiterMsg::Peek { catalog, bucket, reply };
        self.slot.call(peek, ANSWER_WITHIN).await
    }

    /// Returns the current time between two calls to this catalog.
    ///
    /// # Errors
    /// [`CallError`] when the actor does not answer.
    pub async fn period(&self, catalog_id: &str, bucket: Bucket) -> Result<Duration, CallError> {
        let catalog = catalog_id.to_owned();
        let period = |reply| LimiterMsg::Period { catalog, bucket, reply };
        self.slot.call(period, ANSWER_WITHIN).await
    }

    /// Requests a call to this catalog now. A permit counts as used once it is granted.
    ///
    /// # Errors
    /// [`CallError`] when the actor does not answer. The caller must not call Meta then.
    pub async fn ask(&self, catalog_id: &str, bucket: Bucket) -> Result<Admission, CallError> {
        let catalog = catalog_id.to_owned();
        let ask = |reply| LimiterMsg::Ask { catalog, bucket, reply };
        self.slot.call(ask, ANSWER_WITHIN).await
    }

    /// Reports how a call ended. `usage_percent` is the highest usage in Meta's usage headers, if any.
    ///
    /// # Errors
    /// [`CallError::Down`] when the actor is down. The report is lost.
    pub fn report(
        &self,
        catalog_id: &str,
        bucket: Bucket,
        usage_percent: Option<f64>,
        verdict: CallReport,
    ) -> Result<(), CallError> {
        self.slot.cast(LimiterMsg::Report { catalog: catalog_id.to_owned(), bucket, usage_percent, verdict })
    }

    /// Merges stored rows. Where a stricter value is known already, it is kept.
    ///
    /// # Errors
    /// [`CallError::Down`] when the actor is down. Nothing is merged.
    pub fn load(&self, rows: Vec<LimiterRow>) -> Result<(), CallError> {
        self.slot.cast(LimiterMsg::Load(rows))
    }

    /// Returns the rows to store, sorted by catalog and bucket.
    ///
    /// # Errors
    /// [`CallError`] when the actor does not answer.
    pub async fn snapshot(&self) -> Result<Vec<LimiterRow>, CallError> {
        self.slot.call(LimiterMsg::Snapshot, ANSWER_WITHIN).await
    }
}

/// The actor's messages, sent through [`Limiter`].
#[derive(Debug)]
pub enum LimiterMsg {
    /// See [`Limiter::ask`].
    Ask {
        /// The catalog to call.
        catalog: String,
        /// The allowance that the call uses.
        bucket: Bucket,
        /// The reply port.
        reply: RpcReplyPort<Admission>,
    },
    /// See [`Limiter::peek`].
    Peek {
        /// The catalog to call.
        catalog: String,
        /// The allowance that the call would use.
        bucket: Bucket,
        /// The reply port.
        reply: RpcReplyPort<Admission>,
    },
    /// See [`Limiter::period`].
    Period {
        /// The catalog to call.
        catalog: String,
        /// The allowance that calls use.
        bucket: Bucket,
        /// The reply port.
        reply: RpcReplyPort<Duration>,
    },
    /// See [`Limiter::report`].
    Report {
        /// The catalog that was called.
        catalog: String,
        /// The allowance that the call used.
        bucket: Bucket,
        /// Highest share of the allowance used, in percent.
        usage_percent: Option<f64>,
        /// How the call ended.
        verdict: CallReport,
    },
    /// See [`Limiter::load`].
    Load(Vec<LimiterRow>),
    /// See [`Limiter::snapshot`].
    Snapshot(RpcReplyPort<Vec<LimiterRow>>),
}

struct LimiterActor {
    clock: SharedClock,
    jitter: Jitter,
    config: LimiterConfig,
    memory: Arc<dyn LimiterMemory>,
}

impl fmt::Debug for LimiterActor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimiterActor").field("config", &self.config).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Budgets {
    open: HashMap<(String, Bucket), Budget>,
    /// Whether the stored state has been merged since this actor started.
    remembered: bool,
}

impl Budgets {
    fn of(&mut self, config: &LimiterConfig, catalog: String, bucket: Bucket) -> &mut Budget {
        let open = || Budget::new(config.quota(bucket));
        self.open.entry((catalog, bucket)).or_insert_with(open)
    }

    fn load(&mut self, config: &LimiterConfig, rows: Vec<LimiterRow>) {
        for row in rows {
            self.of(config, row.catalog_id, row.bucket).load(row.closed_until, row.last_call_at);
        }
    }

    fn rows(&self) -> Vec<LimiterRow> {
        let row = |((catalog_id, bucket), budget): (&(String, Bucket), &Budget)| LimiterRow {
            catalog_id: catalog_id.clone(),
            bucket: *bucket,
            closed_until: budget.closed_until(),
            last_call_at: budget.last_call(),
        };
        let mut rows: Vec<LimiterRow> = self.open.iter().map(row).collect();
        rows.sort_by(|a, b| (&a.catalog_id, a.bucket).cmp(&(&b.catalog_id, b.bucket)));
        rows
    }
}

#[ractor::async_trait]
impl Actor for LimiterActor {
    type Msg = LimiterMsg;
    type State = Budgets;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<LimiterMsg>, (): ()) -> Result<Budgets, ActorProcessingErr> {
        Ok(Budgets::default())
    }

    async fn handle(
        &self,
        _: ActorRef<LimiterMsg>,
        message: LimiterMsg,
        budgets: &mut Budgets,
    ) -> Result<(), ActorProcessingErr> {
        if !budgets.remembered {
            match self.memory.stored().await {
                Ok(rows) => {
                    budgets.load(&self.config, rows);
                    budgets.remembered = true;
                }
                Err(error) => {
                    tracing::warn!(error = %crate::report::chain(&error), "reading the stored budgets failed");
                    // The request stays unanswered, so its caller must not call Meta.
                    if !matches!(message, LimiterMsg::Report { .. } | LimiterMsg::Load(_)) {
                        return Ok(());
                    }
                }
            }
        }
        let now = self.clock.now();
        match message {
            LimiterMsg::Peek { catalog, bucket, reply } => {
                let _ = reply.send(budgets.of(&self.config, catalog, bucket).peek(now));
            }
            LimiterMsg::Period { catalog, bucket, reply } => {
                let _ = reply.send(budgets.of(&self.config, catalog, bucket).period());
            }
            LimiterMsg::Ask { catalog, bucket, reply } => {
                crate::failpoints::at(crate::failpoints::Point::LimiterAsked).await;
                // The request of a caller that stopped waiting must not use the permit of the next one.
                if !reply.is_closed() {
                    let _ = reply.send(budgets.of(&self.config, catalog, bucket).ask(now));
                }
            }
            LimiterMsg::Report { catalog, bucket, usage_percent, verdict } => {
                let budget = budgets.of(&self.config, catalog.clone(), bucket);
                budget.report(now, usage_percent, verdict, (self.jitter)());
                if let CallReport::Throttled { regain } = verdict {
                    let closed_until = budget.closed_until();
                    tracing::warn!(catalog, ?bucket, ?regain, closed_until, "call throttled by Meta");
                }
            }
            LimiterMsg::Load(rows) => budgets.load(&self.config, rows),
            LimiterMsg::Snapshot(reply) => {
                // The caller may have stopped waiting. The answer is then dropped.
                let _ = reply.send(budgets.rows());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
