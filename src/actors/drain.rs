//! The DrainActor: takes open intents to at most one `items_batch` call a tick.
//!
//! A tick, in order (the numbers are the invariants it keeps; see `docs/architecture.md`):
//! 1. Calls left `sending` by a crash are resolved first: their claims go before their variants are decided again (1).
//! 2. Windows of the outbox are read, decided and mapped. Noops, skips and drops are recorded and the tick reads on;
//!    only a call ends it. Reads go outbox → state → source, so whatever changes meanwhile has an intent of its own.
//! 3. The `sending` row is committed (1), the call is made, its outcome is committed: state, exact outbox rows (2),
//!    handle (3), limiter, all under the lease and for the selected catalog (4).
//!
//! No transaction is open across mapping or HTTP. A tick that is killed anywhere leaves either nothing or a
//! `sending` row.

pub(super) mod answer;
mod draft;
pub(super) mod record;
mod settle;
mod unknown;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use draft::CallDraft;
use settle::Settlement;
use tracing::{debug, info, warn};

use super::coalescer::CoalescedBatch;
use super::mapper::MapRequest;
use super::runtime::{Job, JobError, Rest};
use super::slots::CallError;
use super::token::TokenFault;
use crate::clock::Millis;
use crate::domain::breaker::Gate;
use crate::domain::budget::{Answer, Bucket};
use crate::domain::guard;
use crate::domain::intent::{Folded, Intent};
use crate::domain::outcome::{CallOutcome, Problem, Refusal};
use crate::domain::settings::{FeedMode, Pacing, Settings};
use crate::failpoints::{Point, at};
use crate::mapping::Running;
use crate::mapping::follow::{NotFollowed, follow};
use crate::pipeline::{Access, HeldLease, Pipeline};
use crate::store::channel::Channel;
use crate::store::field_set::FieldSets;
use crate::store::{self, Deposed, StoreError, Tx, sync_state};

/// Variants mapped at once: the mapper's sweet spot, and what bounds the memory of a tick.
const CHUNK: usize = 1_000;
/// The longest a tick is put off unseen.
const LONGEST_HOLD: Duration = Duration::from_secs(5);
/// Windows read for one call. A call is worth filling, but not at the price of an endless tick.
const WINDOWS_PER_CALL: usize = 40;

/// The job of the DrainActor.
#[derive(Debug)]
pub struct DrainJob {
    pipeline: Arc<Pipeline>,
    field_sets: FieldSets,
    /// Variants that were refused alone while nothing went through: passed over until something does, so that they do
    /// not stand in the way of the call that shows whether it is them or the channel. Lost on a restart, harmlessly.
    suspects: HashSet<String>,
}

/// Everything a tick that may call Meta knows.
struct Tick {
    lease: HeldLease,
    settings: Arc<Settings>,
    map_settings: Arc<mapper_core::MapSettings>,
    catalog: String,
    access: Access,
    channel: Channel,
    preview: bool,
    /// The mapper of the whole tick: what it records counts only while this one is active.
    mapper: Arc<Running>,
    now: Millis,
}

impl Tick {
    /// Begins a transaction that records what this tick decided.
    async fn begin_decided(&self, pipeline: &Pipeline) -> Result<Tx, StoreError> {
        self.lease.fence.begin_decided(&pipeline.db, &self.catalog, self.settings.version, self.mapper.key()).await
    }
}

impl DrainJob {
    /// A drain on this pipeline.
    #[must_use]
    pub fn new(pipeline: Arc<Pipeline>) -> Self {
        Self { pipeline, field_sets: FieldSets::default(), suspects: HashSet::new() }
    }

    async fn run(&mut self) -> Result<Rest, StoreError> {
        let Some(lease) = self.pipeline.lease.current() else { return Ok(Rest::Interval) };
        unknown::resolve(&self.pipeline, &lease.fence, &mut self.field_sets).await?;
        let tick = match self.prepare(lease).await? {
            Ok(tick) => tick,
            Err(rest) => return Ok(rest),
        };
        let (mut draft, mut more) = self.fill(&tick).await?;
        if draft.is_empty() && !self.suspects.is_empty() {
            // Nobody else is left to try.
            self.suspects.clear();
            (draft, more) = self.fill(&tick).await?;
        }
        if draft.is_empty() {
            return Ok(Rest::Interval);
        }
        self.submit(tick, draft, more).await
    }

    /// What a call needs, or how long to rest without it.
    async fn prepare(&mut self, lease: HeldLease) -> Result<Result<Tick, Rest>, StoreError> {
        let pipeline = &self.pipeline;
        let now = pipeline.now();
        let settings = pipeline.load_settings().await?;
        if !settings.flag("sync_enabled") || !settings.feed_configured() {
            return Ok(Err(Rest::Interval));
        }
        let Some(app) = pipeline.app(&settings).await? else { return Ok(Err(Rest::Interval)) };
        let mut tx = pipeline.db.read().await?;
        let mut channel = store::channel::load(&mut tx).await?;
        // Before the token: a fault may be put down to a credential that has gone, never to the one that follows it.
        let version = store::credential::version(&mut tx).await?;
        drop(tx);
        let token = match pipeline.tokens.get().await {
            Ok(token) => token,
            Err(fault) => return self.without_token(&lease, channel, version, &fault).await.map(Err),
        };
        let catalog = settings.text("catalog_id");
        let preview = settings.feed_mode() == FeedMode::Preview;
        if !preview {
            // A problem that names a credential waits for another one.
            match channel.problem_credential {
                Some(version) if version == token.version => return Ok(Err(Rest::Interval)),
                Some(_) => {
                    (channel.problem, channel.problem_credential) = (None, None);
                    let mut tx = lease.fence.begin(&pipeline.db, None).await?;
                    store::channel::save(&mut tx, &channel, now).await?;
                    tx.commit().await?;
                }
                None => {}
            }
            match channel.breaker.ask(now) {
                Gate::Go | Gate::Probe => {}
                Gate::OpenUntil(until) => return Ok(Err(hold(until, now))),
                Gate::Probing => return Ok(Err(Rest::Interval)),
            }
            // Only a look: a permit that lay around until there is something to send would come on top of the next.
            if let Err(rest) = permitted(pipeline.limiter.peek(&catalog, Bucket::Batch).await, now) {
                return Ok(Err(rest));
            }
        }
        let mapper = match follow(pipeline).await {
            Ok(mapper) => mapper,
            Err(NotFollowed::Store(error)) => return Err(error),
            Err(error) => return Ok(Err(self.give_lease_up(&lease, &error).await)),
        };
        let map_settings = Arc::new(settings.map_settings(&pipeline.config.s3_public_url));
        let access = Access { app, token };
        Ok(Ok(Tick { lease, settings, map_settings, catalog, access, channel, preview, mapper, now }))
    }

    /// Another replica may be able to run the active mapper.
    async fn give_lease_up(&self, lease: &HeldLease, why: &NotFollowed) -> Rest {
        warn!(%why, "the lease is given up");
        self.pipeline.lease.put(None);
        if let Err(error) = store::lease::release(&self.pipeline.db, &lease.fence).await {
            warn!(%error, "the lease was not given back; it ends by itself");
        }
        Rest::Interval
    }

    async fn without_token(
        &self,
        lease: &HeldLease,
        mut channel: Channel,
        version: Option<i64>,
        fault: &TokenFault,
    ) -> Result<Rest, StoreError> {
        let code = match fault {
            TokenFault::NotConnected => return Ok(Rest::Interval),
            TokenFault::Superseded | TokenFault::Unavailable { .. } => return Ok(Rest::For(Duration::from_secs(5))),
            TokenFault::Expired { .. } => "meta_token_expired",
            TokenFault::Dead { .. } => "meta_token_dead",
        };
        let problem = Problem { code: code.into(), message: fault.to_string() };
        let known = channel.problem.as_ref().is_some_and(|known| known.code == problem.code);
        if !known || channel.problem_credential != version {
            warn!(code, message = problem.message, "no calls to Meta");
            (channel.problem, channel.problem_credential) = (Some(problem), version);
            let mut tx = lease.fence.begin(&self.pipeline.db, None).await?;
            store::channel::save(&mut tx, &channel, self.pipeline.now()).await?;
            tx.commit().await?;
        }
        Ok(Rest::Interval)
    }

    /// Reads the outbox until a call is full or nothing is left; answers the call and whether there is more.
    async fn fill(&mut self, tick: &Tick) -> Result<(CallDraft, bool), StoreError> {
        let limit = usize::try_from(tick.settings.whole("batch_size")).unwrap_or(1).clamp(1, crate::graph::MAX_ROWS);
        let mut draft = CallDraft::new(tick.channel.shape.cap(limit));
        // Variants that this tick leaves open: their rows come again in a later window.
        let mut open: HashSet<String> = self.suspects.clone();
        let mut cursor = 0;
        let mut windows = 0;
        loop {
            let batch = match self.pipeline.coalescer.next(cursor, limit).await {
                Ok(Some(batch)) => batch,
                Ok(None) => return Ok((draft, false)),
                Err(super::coalescer::CoalesceError::Store(error)) => return Err(error),
                Err(super::coalescer::CoalesceError::Call(error)) => {
                    debug!(%error, "no window");
                    return Ok((draft, true));
                }
            };
            let CoalescedBatch { folded, cursor: next, full } = batch;
            cursor = next;
            let folded: Vec<Folded> = folded.into_iter().filter(|f| !open.contains(&f.variant_id)).collect();
            self.window(tick, folded, &mut draft, &mut open).await?;
            if draft.is_full() {
                return Ok((draft, true));
            }
            if !draft.is_empty() {
                windows += 1;
            }
            if !full || windows >= WINDOWS_PER_CALL {
                return Ok((draft, full));
            }
        }
    }

    /// Decides one window: what is to be sent goes into the draft, everything else is recorded.
    async fn window(
        &mut self,
        tick: &Tick,
        folded: Vec<Folded>,
        draft: &mut CallDraft,
        open: &mut HashSet<String>,
    ) -> Result<(), StoreError> {
        let ids: Vec<&str> = folded.iter().map(|f| f.variant_id.as_str()).collect();
        let mut tx = self.pipeline.db.read().await?;
        let held = sync_state::load(&mut tx, &ids).await?;
        drop(tx);
        self.field_sets.load(&self.pipeline.db, held.values().filter_map(|held| held.fields_at_meta)).await?;
        at(Point::DrainRead).await;

        let mut settlement = Settlement::new(tick.preview);
        for chunk in folded.chunks(CHUNK) {
            if draft.is_full() {
                break;
            }
            let mapped = self.map(tick, chunk).await?;
            at(Point::DrainMapped).await;
            for intent in chunk {
                let held = held.get(&intent.variant_id);
                let fields = self.field_sets.get(held.and_then(|held| held.fields_at_meta));
                match mapped.decide(intent, held, &tick.catalog) {
                    settle::Step::Send(row) if tick.preview => settlement.previewed(intent, row),
                    settle::Step::Send(row)
                        if draft::is_implicit_delete(intent, row.op)
                            && !intent.released
                            && self.deletes_left(tick, draft).await? == 0 =>
                    {
                        warn!(variant_id = intent.variant_id, "held back by the mass-delete guard");
                        open.insert(intent.variant_id.clone());
                        settlement.hold_back(intent);
                    }
                    settle::Step::Send(row) => {
                        if !draft.push(intent, held, fields.as_deref(), row, &mut settlement) {
                            break;
                        }
                        open.insert(intent.variant_id.clone());
                    }
                    settle::Step::Wait => {
                        open.insert(intent.variant_id.clone());
                    }
                    settle::Step::Fault(reason) => {
                        open.insert(intent.variant_id.clone());
                        settlement.fault(intent, held, reason);
                    }
                    settle::Step::Done(done) => settlement.done(intent, held, done),
                }
            }
        }
        settlement.commit(&self.pipeline, tick).await
    }

    /// How many more deletes that nobody asked for may go out in this call. Counted when the first one comes up.
    async fn deletes_left(&self, tick: &Tick, draft: &mut CallDraft) -> Result<usize, StoreError> {
        let allowance = match draft.implicit_allowance {
            Some(allowance) => allowance,
            None => {
                let mut tx = self.pipeline.db.read().await?;
                let held = sync_state::count_at_meta(&mut tx).await?;
                let since = tick.now - guard::SPAN_MS;
                let done = store::submission::implicit_deletes_since(&mut tx, &tick.catalog, since).await?;
                *draft.implicit_allowance.insert(guard::allowance(held, done))
            }
        };
        Ok(allowance.saturating_sub(draft.implicit_deletes))
    }

    /// The mapper's word on a chunk's upserts.
    async fn map(&self, tick: &Tick, chunk: &[Folded]) -> Result<settle::Mapped, StoreError> {
        let wanted: Vec<&str> =
            chunk.iter().filter(|f| f.intent == Intent::Upsert).map(|f| f.variant_id.as_str()).collect();
        if wanted.is_empty() {
            return Ok(settle::Mapped::default());
        }
        let mut tx = self.pipeline.db.read().await?;
        let batch = store::source::load(&mut tx, &wanted).await?;
        drop(tx);
        let unreadable = batch.unreadable.clone();
        let request = MapRequest {
            mapper: Arc::clone(&tick.mapper),
            settings: Arc::clone(&tick.map_settings),
            now: tick.now,
            batch,
        };
        match self.pipeline.mapper.map(request).await {
            Ok(answer) => Ok(settle::Mapped::new(answer, unreadable)),
            Err(error) => {
                // Nothing is known of these variants: an empty answer would delete them as gone.
                debug!(%error, "not mapped");
                Ok(settle::Mapped::undecided())
            }
        }
    }

    /// Makes the call and records what it came to.
    async fn submit(&mut self, mut tick: Tick, mut draft: CallDraft, more: bool) -> Result<Rest, StoreError> {
        let pipeline = Arc::clone(&self.pipeline);
        if !self.lease_outlasts_a_call(&mut tick) {
            return Ok(Rest::For(Duration::from_secs(1)));
        }
        self.field_sets.intern(&pipeline.db, draft.field_texts()).await?;
        if let Err(rest) = permitted(pipeline.limiter.ask(&tick.catalog, Bucket::Batch).await, pipeline.now()) {
            return Ok(rest);
        }
        let id = crate::ids::submission();
        match record::begin(&pipeline, &tick, &id, &draft, &self.field_sets).await {
            Ok(()) => {}
            Err(StoreError::Deposed(deposed)) => return Ok(self.deposed(deposed)),
            Err(error) => return Err(error),
        }
        at(Point::DrainBegun).await;
        // Looked at again, since the commit may have taken long. The row that is there now is resolved by the next tick.
        if !self.lease_outlasts_a_call(&mut tick) {
            warn!(submission = id, "the lease was about to end; the call is not made");
            return Ok(Rest::For(Duration::from_secs(1)));
        }
        let body = draft.take_body();
        let rows = draft.len();
        at(Point::DrainCalling).await;
        let answered = pipeline.graph.submit_items_batch(tick.access.caller(), &tick.catalog, body).await;
        at(Point::DrainAnswered).await;
        let usage = answered.as_ref().map(|answer| &answer.usage);
        answer::report(&pipeline.limiter, &tick.catalog, Bucket::Batch, usage);
        let outcome = answer::judge(answered);
        self.suspect(&tick, &draft, &outcome);
        info!(catalog_id = tick.catalog, submission = id, rows, outcome = outcome.name(), "items_batch");
        let recorded = record::finish(&pipeline, &mut tick, &id, &draft, &self.field_sets, &outcome).await;
        if recorded.is_err() && outcome.may_be_taken() {
            unknown::note_late(&pipeline, &id).await;
        }
        match recorded {
            Ok(()) => {}
            Err(StoreError::Deposed(deposed)) => return Ok(self.deposed(deposed)),
            Err(error) => return Err(error),
        }
        at(Point::DrainRecorded).await;
        Ok(match (tick.settings.pacing(), outcome.accepted()) {
            (Pacing::Budget, accepted) => {
                if accepted {
                    pipeline.poll.nudge();
                }
                if more || !accepted { Rest::Again } else { Rest::Interval }
            }
            (Pacing::Interval, _) => Rest::Interval,
        })
    }

    /// A call that may outlive the lease is not made: its outcome could not be recorded.
    fn lease_outlasts_a_call(&self, tick: &mut Tick) -> bool {
        let pipeline = &self.pipeline;
        let needs = i64::try_from(pipeline.graph.request_timeout().as_millis()).unwrap_or(i64::MAX);
        let lasts = |lease: &HeldLease| lease.until - pipeline.now() > needs;
        if lasts(&tick.lease) {
            return true;
        }
        // Renewed meanwhile?
        if let Some(lease) = pipeline.lease.current().filter(|lease| lease.fence == tick.lease.fence && lasts(lease)) {
            tick.lease = lease;
            return true;
        }
        pipeline.leaser.nudge();
        false
    }

    /// Remembers a row that was refused alone and not failed for it; forgets all once something goes through.
    fn suspect(&mut self, tick: &Tick, draft: &CallDraft, outcome: &CallOutcome) {
        match outcome {
            CallOutcome::Accepted { .. } => self.suspects.clear(),
            CallOutcome::RefusedWhole { channel: false, .. } => {
                let (_, refusal) = tick.channel.shape.refused(draft.len(), false);
                if draft.len() == 1 && refusal == Refusal::Pause {
                    self.suspects.extend(draft.rows.iter().map(|row| row.variant_id.clone()));
                }
            }
            _ => {}
        }
    }

    fn deposed(&self, deposed: Deposed) -> Rest {
        warn!(%deposed, "nothing was committed");
        match deposed {
            Deposed::Lease => {
                self.pipeline.lease.put(None);
                self.pipeline.leaser.nudge();
                Rest::Interval
            }
            Deposed::Catalog => Rest::Interval,
            Deposed::Settings | Deposed::Credential | Deposed::Mapper => Rest::Again,
        }
    }
}

/// The limiter's word, as far as this tick is concerned.
fn permitted(answer: Result<Answer, CallError>, now: Millis) -> Result<(), Rest> {
    match answer {
        Ok(Answer::Permit) => Ok(()),
        Ok(Answer::ClosedUntil(until)) => Err(hold(until, now)),
        Err(error) => {
            debug!(%error, "no permit");
            Err(Rest::For(Duration::from_secs(1)))
        }
    }
}

/// Waits until then, but looks again now and then: another catalog or a mended connection need not wait.
fn hold(until: Millis, now: Millis) -> Rest {
    let wait = Duration::from_millis(u64::try_from(until - now).unwrap_or(0).max(10));
    Rest::Hold(wait.min(LONGEST_HOLD))
}

impl Job for DrainJob {
    fn interval(&self) -> Duration {
        Duration::from_secs(self.pipeline.settings.current().whole("sync_interval_seconds"))
    }

    async fn tick(&mut self) -> Result<Rest, JobError> {
        match self.run().await {
            Ok(rest) => Ok(rest),
            Err(StoreError::Deposed(deposed)) => Ok(self.deposed(deposed)),
            Err(error) => Err(error.into()),
        }
    }
}
