//! The RateLimiter: says whether a catalog may be called now.
//!
//! Promises: never waits inside, an asker gets a permit or the time to come back; one budget per
//! catalog **and** bucket, so a closed batch bucket does not stop polls. What must outlive the process
//! (closed until, last call) is read with [`Limiter::snapshot`] to be stored with the submission and
//! given back with [`Limiter::load`] when the lease is taken.
//!
//! Left out on purpose: the arithmetic ([`crate::domain::budget`]) and storing. An actor that restarts
//! has forgotten its budgets until the next load; at worst that is one early call per budget.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use serde::{Deserialize, Serialize};

use super::jitter::Jitter;
use super::slots::{CallError, Slot};
use super::tree::Child;
use crate::clock::SharedClock;
use crate::domain::budget::{Answer, Bucket, Budget, LimiterRow, Quota, Verdict};

/// The actor only computes; an answer that takes longer than this will not come.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

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
    pub fn child(&self, clock: SharedClock, jitter: Jitter, config: LimiterConfig) -> Child {
        Child::new(&self.slot, move || {
            let actor = LimiterActor { clock: SharedClock::clone(&clock), jitter: Jitter::clone(&jitter), config };
            (actor, ())
        })
    }

    /// May this catalog be called now? A permit is used up by asking.
    ///
    /// # Errors
    /// [`CallError`] when the actor is down; the caller must not call Meta then.
    pub async fn ask(&self, catalog_id: &str, bucket: Bucket) -> Result<Answer, CallError> {
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
        verdict: Verdict,
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
        reply: RpcReplyPort<Answer>,
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
        verdict: Verdict,
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
}

impl fmt::Debug for LimiterActor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimiterActor").field("config", &self.config).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Budgets(HashMap<(String, Bucket), Budget>);

impl Budgets {
    fn of(&mut self, config: &LimiterConfig, catalog: String, bucket: Bucket) -> &mut Budget {
        let open = || Budget::new(config.quota(bucket));
        self.0.entry((catalog, bucket)).or_insert_with(open)
    }

    fn rows(&self) -> Vec<LimiterRow> {
        let row = |((catalog_id, bucket), budget): (&(String, Bucket), &Budget)| LimiterRow {
            catalog_id: catalog_id.clone(),
            bucket: *bucket,
            closed_until: budget.closed_until(),
            last_call_at: budget.last_call(),
        };
        let mut rows: Vec<LimiterRow> = self.0.iter().map(row).collect();
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
        let now = self.clock.now();
        match message {
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
                if let Verdict::Throttled { regain } = verdict {
                    let closed_until = budget.closed_until();
                    tracing::warn!(catalog, ?bucket, ?regain, closed_until, "Meta throttles");
                }
            }
            LimiterMsg::Load(rows) => {
                for row in rows {
                    let budget = budgets.of(&self.config, row.catalog_id, row.bucket);
                    budget.load(row.closed_until, row.last_call_at);
                }
            }
            LimiterMsg::Snapshot(reply) => {
                // The asker is gone; nobody misses the answer.
                let _ = reply.send(budgets.rows());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::jitter;
    use crate::actors::tree::Tree;
    use crate::actors::vitals::VitalsBoard;
    use crate::clock::ManualClock;

    const NOW: crate::clock::Millis = 1_764_000_000_000;

    async fn run(instance: &str, config: LimiterConfig) -> (Tree, Limiter, std::sync::Arc<ManualClock>) {
        let clock = ManualClock::at(NOW);
        let limiter = Limiter::new();
        let child = limiter.child(clock.clone(), jitter::fixed(0.0), config);
        let board = VitalsBoard::new(clock.clone());
        let tree = Tree::spawn(instance, &board, vec![child]).await.expect("starts");
        (tree, limiter, clock)
    }

    #[tokio::test(start_paused = true)]
    async fn budgets_are_apart_per_catalog_and_bucket() {
        let (_tree, limiter, clock) = run("limiter-apart", LimiterConfig::default()).await;
        let until = Answer::ClosedUntil(NOW + 7_500);
        assert_eq!(limiter.ask("a", Bucket::Batch).await, Ok(Answer::Permit));
        assert_eq!(limiter.ask("a", Bucket::Batch).await, Ok(until));
        assert_eq!(limiter.ask("b", Bucket::Batch).await, Ok(Answer::Permit));
        assert_eq!(limiter.ask("a", Bucket::Management).await, Ok(Answer::Permit));
        let until = Answer::ClosedUntil(NOW + 180);
        assert_eq!(limiter.ask("a", Bucket::Management).await, Ok(until));

        let throttled = Verdict::Throttled { regain: None };
        limiter.report("a", Bucket::Batch, Some(100.0), throttled).expect("up");
        // An answer shows that the report has been taken in.
        assert_eq!(limiter.snapshot().await.map(|rows| rows.len()), Ok(3));
        clock.advance(7_500);
        let until = Answer::ClosedUntil(NOW + 60_000);
        assert_eq!(limiter.ask("a", Bucket::Batch).await, Ok(until));
        assert_eq!(limiter.ask("a", Bucket::Management).await, Ok(Answer::Permit), "polls go on");
        assert_eq!(limiter.ask("b", Bucket::Batch).await, Ok(Answer::Permit));
    }

    #[tokio::test(start_paused = true)]
    async fn a_snapshot_carries_over_to_the_next_holder() {
        let (_first, limiter, _) = run("limiter-first", LimiterConfig::default()).await;
        assert_eq!(limiter.snapshot().await, Ok(Vec::new()));
        assert_eq!(limiter.ask("b", Bucket::Batch).await, Ok(Answer::Permit));
        assert_eq!(limiter.ask("a", Bucket::Management).await, Ok(Answer::Permit));
        let regain = Some(Duration::from_secs(120));
        limiter.report("a", Bucket::Management, None, Verdict::Throttled { regain }).expect("up");
        let rows = limiter.snapshot().await.expect("up");
        let row = |catalog_id: &str, bucket, closed_until| LimiterRow {
            catalog_id: catalog_id.into(),
            bucket,
            closed_until,
            last_call_at: Some(NOW),
        };
        let closed = row("a", Bucket::Management, Some(NOW + 120_000));
        assert_eq!(rows, [closed, row("b", Bucket::Batch, None)]);

        let (_second, limiter, _) = run("limiter-second", LimiterConfig::default()).await;
        limiter.load(rows).expect("up");
        let until = Answer::ClosedUntil(NOW + 7_500);
        assert_eq!(limiter.ask("b", Bucket::Batch).await, Ok(until));
        let until = Answer::ClosedUntil(NOW + 120_000);
        assert_eq!(limiter.ask("a", Bucket::Management).await, Ok(until));
    }

    #[test]
    fn the_config_defaults_and_refuses_nonsense() {
        let config: LimiterConfig = serde_json::from_str("{}").expect("all optional");
        assert_eq!(config, LimiterConfig::default());
        assert_eq!(config.quota(Bucket::Batch).period(), Duration::from_millis(7_500));
        assert_eq!(config.quota(Bucket::Management).period(), Duration::from_millis(180));
        let zero = serde_json::from_str::<LimiterConfig>(r#"{"batch_calls_per_minute":0}"#);
        assert!(zero.is_err());
    }
}
