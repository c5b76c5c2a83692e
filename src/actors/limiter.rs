//! The RateLimiter: says whether a catalog may be called now.
//!
//! Promises: never waits inside, an asker gets a permit or the time to come back; one budget per
//! catalog **and** bucket, so a closed batch bucket does not stop polls. What must outlive the process
//! (closed until, last call) is read with [`Limiter::snapshot`] to be stored with the submission, given
//! back with [`Limiter::load`] when the lease is taken, and read from [`LimiterMemory`] by an actor that
//! has just started before it answers anything: a restart gives nobody an early call.
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

/// The actor only computes; an answer that takes longer than this will not come.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Where a limiter that has just started finds what was stored.
#[ractor::async_trait]
pub trait LimiterMemory: Send + Sync + 'static {
    /// The stored rows.
    ///
    /// # Errors
    /// When the store does not answer; the limiter then gives no permit and asks again at the next question.
    async fn stored(&self) -> Result<Vec<LimiterRow>, StoreError>;
}

/// Asks the actor; clones ask the same one. Exists before the tree.
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
    /// A handle to the child called `limiter`, once it exists.
    #[must_use]
    pub fn new() -> Self {
        Self { slot: Slot::new("limiter") }
    }

    /// The actor behind this handle.
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

    /// What [`Limiter::ask`] would answer just now; uses no permit up.
    ///
    /// # Errors
    /// [`CallError`] when the actor is down.
    pub async fn peek(&self, catalog_id: &str, bucket: Bucket) -> Result<Admission, CallError> {
        let catalog = catalog_id.to_owned();
        let peek = |reply| LimiterMsg::Peek { catalog, bucket, reply };
        self.slot.call(peek, ANSWER_WITHIN).await
    }

    /// May this catalog be called now? A permit is used up by asking.
    ///
    /// # Errors
    /// [`CallError`] when the actor is down; the caller must not call Meta then.
    pub async fn ask(&self, catalog_id: &str, bucket: Bucket) -> Result<Admission, CallError> {
        let catalog = catalog_id.to_owned();
        let ask = |reply| LimiterMsg::Ask { catalog, bucket, reply };
        self.slot.call(ask, ANSWER_WITHIN).await
    }

    /// Tells how a call ended; `usage_percent` is the highest share in Meta's usage headers, if any.
    ///
    /// # Errors
    /// [`CallError::Down`]: nothing was taken in.
    pub fn report(
        &self,
        catalog_id: &str,
        bucket: Bucket,
        usage_percent: Option<f64>,
        verdict: CallReport,
    ) -> Result<(), CallError> {
        self.slot.cast(LimiterMsg::Report { catalog: catalog_id.to_owned(), bucket, usage_percent, verdict })
    }

    /// Takes in stored rows; where more is known already, the stricter word stays.
    ///
    /// # Errors
    /// [`CallError::Down`]: nothing was taken in.
    pub fn load(&self, rows: Vec<LimiterRow>) -> Result<(), CallError> {
        self.slot.cast(LimiterMsg::Load(rows))
    }

    /// What there is to store, sorted by catalog and bucket.
    ///
    /// # Errors
    /// [`CallError`] when the actor is down.
    pub async fn snapshot(&self) -> Result<Vec<LimiterRow>, CallError> {
        self.slot.call(LimiterMsg::Snapshot, ANSWER_WITHIN).await
    }
}

/// The actor's messages; sent through [`Limiter`].
#[derive(Debug)]
pub enum LimiterMsg {
    /// See [`Limiter::ask`].
    Ask {
        /// The catalog to be called.
        catalog: String,
        /// The allowance the call draws on.
        bucket: Bucket,
        /// Where the answer goes.
        reply: RpcReplyPort<Admission>,
    },
    /// See [`Limiter::peek`].
    Peek {
        /// The catalog to be called.
        catalog: String,
        /// The allowance the call would draw on.
        bucket: Bucket,
        /// Where the answer goes.
        reply: RpcReplyPort<Admission>,
    },
    /// See [`Limiter::report`].
    Report {
        /// The catalog that was called.
        catalog: String,
        /// The allowance the call drew on.
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
    /// Whether what is stored has been taken in since this actor started.
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
                    // The question goes unanswered: whoever asked must not call.
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
            LimiterMsg::Ask { catalog, bucket, reply } => {
                crate::failpoints::at(crate::failpoints::Point::LimiterAsked).await;
                // An asker that gave up must not use up the permit of the next one.
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
                // The asker is gone; nobody misses the answer.
                let _ = reply.send(budgets.rows());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
