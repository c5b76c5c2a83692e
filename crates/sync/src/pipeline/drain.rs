//! The DrainActor: turns open intents into at most one `items_batch` call per tick.
//!
//! A tick, in order (the numbers in parentheses are the invariants that it keeps; see `docs/architecture.md`):
//! 1. Calls left `sending` by a crash are resolved first: their claims are removed before their variants are decided
//!    again (1).
//! 2. Windows of the outbox are read, decided and mapped. Noops, skips and drops are recorded and the tick reads on;
//!    only a call ends the tick, or a mapper so slow that the rest must not wait for it. Outbox and states are read as
//!    of one instant and the source after it, so every change in between has its own intent.
//! 3. The `sending` row is committed (1), the call is made, its outcome is committed: state, exact outbox rows (2),
//!    handle (3) and limiter, all under the lease and for the selected catalog (4).
//!
//! No transaction is open during mapping or HTTP; a statement may read the next chunk while the mapper maps one. A tick
//! that is killed at any point leaves either nothing or a `sending` row.

mod answer;
mod draft;
mod prepare;
mod record;
mod set_aside;
mod settle;
mod unknown;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use draft::{CallDraft, SendRow};
use prepare::Tick;
use set_aside::SetAside;
use settle::{Done, Mapped, Settlement};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::channel;
use crate::actors::coalescer::{CoalesceError, CoalescedBatch};
use crate::actors::mapper::MapRequest;
use crate::app::App;
use crate::clock::Millis;
use crate::domain::budget::Bucket;
use crate::domain::intent::{Folded, Intent};
use crate::domain::outcome::CallOutcome;
use crate::domain::plan::{Action, Ask, Guard, plan};
use crate::domain::settings::Pacing;
use crate::domain::state::Op;
use crate::failpoints::{Point, at};
use crate::runtime::jitter::Jitter;
use crate::runtime::leased::{Lease, LeasedJob};
use crate::runtime::periodic::Rest;
use crate::store::field_set::FieldSets;
use crate::store::outbox::Cursor;
use crate::store::sent_body::Packed;
use crate::store::source::SourceBatch;
use crate::store::{self, StoreError};

/// Number of variants in one mapping request: the most efficient size for the mapper, and half the bound on the memory of a
/// tick, which reads one chunk while it maps another.
const CHUNK: usize = 1_000;
/// Maximum number of windows read for one call. A fuller call is better, but the tick must end.
const WINDOWS_PER_CALL: usize = 40;
/// Number of chunks per tick that the mapper may answer only in part; each may take half a minute.
const MOST_STALLED: usize = 2;
/// A tick that has read for this long makes the call with the records it has. Only a slow mapper reaches this limit.
const LONGEST_FILL_MS: Millis = 60_000;

/// The pause after a tick that settled intents without a call.
const AFTER_SETTLING: Duration = Duration::from_millis(250);

/// The job of the DrainActor.
pub struct DrainJob {
    app: Arc<App>,
    field_sets: FieldSets,
    set_aside: SetAside,
    /// Whether the current tick has settled any intent without a call.
    has_settled: bool,
    /// When the current tick began.
    begun: Instant,
    /// How long the latest call took to be made ready.
    making_ms: Millis,
    jitter: Jitter,
}

/// Why a tick stopped reading the outbox.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// The end of the outbox is reached.
    Nothing,
    /// There may be more intents.
    More,
    /// The mapper is slow.
    Slow,
}

impl DrainJob {
    /// Returns a drain job for this pipeline.
    #[must_use]
    pub fn new(app: Arc<App>, jitter: Jitter) -> Self {
        Self {
            app,
            field_sets: FieldSets::default(),
            set_aside: SetAside::default(),
            has_settled: false,
            begun: Instant::now(),
            making_ms: 0,
            jitter,
        }
    }

    /// Reads the outbox until a call is full or no intent is left. Returns the call and why reading stopped.
    async fn fill(&mut self, tick: &Tick) -> Result<(CallDraft, Left), StoreError> {
        let limit = tick.settings.batch_size.clamp(1, meta_graph::MAX_ROWS);
        let mut draft = CallDraft::new(tick.channel.shape.cap(limit));
        // Variants that this tick leaves open: their rows appear again in a later window.
        let mut open: HashSet<String> = HashSet::new();
        let mut cursor = Cursor::default();
        let (mut windows, mut stalled) = (0, 0);
        loop {
            let batch = match self.app.coalescer.next(cursor, limit).await {
                Ok(Some(batch)) => batch,
                Ok(None) => return Ok((draft, Left::Nothing)),
                Err(CoalesceError::Store(error)) => return Err(error),
                Err(CoalesceError::Call(error)) => {
                    debug!(%error, "outbox window request failed");
                    return Ok((draft, Left::More));
                }
            };
            cursor = batch.cursor;
            let full = batch.full;
            stalled += self.window(tick, batch, &mut draft, &mut open).await?;
            if draft.is_full() {
                return Ok((draft, Left::More));
            }
            // The tick must not last for hours because a slow mapper leaves chunks unanswered.
            if stalled >= MOST_STALLED || full && self.app.now() - tick.now > LONGEST_FILL_MS {
                if draft.is_empty() {
                    // Everything that was read stays open and took long: the next tick must read further.
                    self.set_aside.slow(open);
                }
                return Ok((draft, Left::Slow));
            }
            windows += usize::from(!draft.is_empty());
            if !full || windows >= WINDOWS_PER_CALL {
                return Ok((draft, if full { Left::More } else { Left::Nothing }));
            }
        }
    }

    /// Decides one window: records to be sent are added to the draft, everything else is recorded. Returns the number
    /// of chunks that the mapper did not answer completely.
    async fn window(
        &mut self,
        tick: &Tick,
        CoalescedBatch { folded, states, .. }: CoalescedBatch,
        draft: &mut CallDraft,
        open: &mut HashSet<String>,
    ) -> Result<usize, StoreError> {
        let takes = |f: &Folded| !open.contains(&f.variant_id) && self.set_aside.takes(f);
        let folded: Vec<Folded> = folded.into_iter().filter(takes).collect();
        self.field_sets.load(&self.app.db, states.values().filter_map(|state| state.fields_at_meta)).await?;
        at(Point::DrainRead).await;

        let mut settlement = Settlement::new(tick.preview);
        let mut stalled = 0;
        let mut chunks = folded.chunks(CHUNK).peekable();
        let mut source = match chunks.peek() {
            Some(chunk) => self.source(chunk).await,
            None => Ok(None),
        };
        while let Some(chunk) = chunks.next() {
            if draft.is_full() || stalled >= MOST_STALLED {
                break;
            }
            tick.still_counts(&self.app)?;
            // The database reads the next chunk while the mapper maps this one.
            let next = async {
                match chunks.peek() {
                    Some(chunk) => self.source(chunk).await,
                    None => Ok(None),
                }
            };
            let (mapped, next) = tokio::join!(self.map(tick, source?), next);
            source = next;
            let is_partial = mapped.is_partial();
            stalled += usize::from(is_partial);
            at(Point::DrainMapped).await;
            for intent in chunk {
                let id = &intent.variant_id;
                let state = states.get(id);
                let ask = Ask { intent: intent.intent, released: intent.released };
                let decide = |guard| plan(ask, mapped.answer(id), state, guard, &tick.catalog);
                let mut plan = decide(Guard::Open);
                // A preview sends nothing, so it does not check the guard.
                if !tick.preview && plan.asks_the_guard(ask) && self.deletes_left(tick, draft).await? == 0 {
                    plan = decide(Guard::Closed);
                }
                let waits = matches!(plan.action, Action::Wait | Action::Fault { .. });
                if is_partial && waits && intent.intent == Intent::Upsert {
                    self.set_aside.slow([id.clone()]);
                }
                let product_id = mapped.product_id(id);
                let send = |op, payload, hash| SendRow { op, product_id, payload, hash };
                let row = match plan.action {
                    Action::Upsert { payload, hash } => send(Op::Upsert, Some(payload), Some(hash)),
                    Action::Delete { implicit: true } => send(Op::ImplicitDelete, None, None),
                    Action::Delete { implicit: false } => send(Op::Delete, None, None),
                    Action::Hold => {
                        warn!(variant_id = id, "delete held back by the mass-delete guard");
                        open.insert(id.clone());
                        settlement.hold_back(intent);
                        continue;
                    }
                    Action::Wait => {
                        open.insert(id.clone());
                        continue;
                    }
                    Action::Fault { message } => {
                        open.insert(id.clone());
                        settlement.fault(intent, state, message.to_owned());
                        continue;
                    }
                    Action::Noop { reevaluate_at } => {
                        let product_id = product_id.map(Into::into);
                        let noted = mapped.noted(id);
                        settlement.done(intent, state, Done::Noop { product_id, reeval_at: reevaluate_at, noted });
                        continue;
                    }
                    Action::Skip { text } => {
                        let product_id = product_id.map(Into::into);
                        settlement.done(intent, state, Done::Skip { product_id, reason: text });
                        continue;
                    }
                    Action::Drop => {
                        settlement.done(intent, state, Done::Drop);
                        continue;
                    }
                };
                if tick.preview {
                    settlement.previewed(intent, &row);
                    continue;
                }
                let fields = self.field_sets.get(state.and_then(|state| state.fields_at_meta));
                if !draft.push(intent, state, fields.as_deref(), row, &mut settlement) {
                    break;
                }
                open.insert(id.clone());
            }
        }
        self.has_settled |= !settlement.is_empty();
        settlement.commit(&self.app, tick).await?;
        Ok(stalled)
    }

    /// Returns how many more implicit deletes this call may contain. The allowance is read when the first one appears.
    async fn deletes_left(&self, tick: &Tick, draft: &mut CallDraft) -> Result<usize, StoreError> {
        let allowance = match draft.implicit_allowance {
            Some(allowance) => allowance,
            None => {
                let mut tx = self.app.db.read().await?;
                let allowance = store::submission::implicit_allowance(&mut tx, &tick.catalog, tick.now).await?;
                *draft.implicit_allowance.insert(allowance)
            }
        };
        Ok(allowance.saturating_sub(draft.implicit_deletes))
    }

    /// Reads the source of the upserts of a chunk. Returns `None` when it has none.
    async fn source(&self, chunk: &[Folded]) -> Result<Option<SourceBatch>, StoreError> {
        let wanted: Vec<&str> =
            chunk.iter().filter(|f| f.intent == Intent::Upsert).map(|f| f.variant_id.as_str()).collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let mut tx = self.app.db.read().await?;
        Ok(Some(store::source::load(&mut tx, &wanted).await?))
    }

    /// Returns the mapper's words on a chunk.
    async fn map(&self, tick: &Tick, source: Option<SourceBatch>) -> Mapped {
        let Some(batch) = source else { return Mapped::default() };
        let unreadable = batch.unreadable.clone();
        let request = MapRequest {
            mapper: Arc::clone(&tick.mapper),
            settings: Arc::clone(&tick.map_settings),
            now: tick.now,
            batch,
        };
        match self.app.mapper.map(request).await {
            Ok(answer) => Mapped::new(answer, unreadable),
            Err(error) => {
                // Nothing is known about these variants: an empty answer would delete them as gone.
                debug!(%error, "mapping request failed");
                Mapped::missing()
            }
        }
    }

    /// Makes the call and records its outcome.
    async fn submit(&mut self, mut tick: Tick, mut draft: CallDraft, more: bool) -> Result<Rest, StoreError> {
        let app = Arc::clone(&self.app);
        if !self.lease_outlasts_a_call(&mut tick) {
            return Ok(Rest::For(Duration::from_secs(1)));
        }
        let body = Arc::new(draft.take_body());
        // Packed on another thread, while the permit is waited for.
        let packing = tokio::task::spawn_blocking({
            let body = Arc::clone(&body);
            move || Packed::of(body.records())
        });
        self.field_sets.intern(&app.db, draft.field_texts()).await?;
        self.made_ready();
        if let Err(rest) = self.permit(&tick).await {
            return Ok(rest);
        }
        let id = crate::ids::row();
        // The call does not depend on the copy: one that cannot be made is left out.
        let packed = packing.await.ok();
        record::begin(&app, &tick, &id, &draft, &self.field_sets, packed.as_ref()).await?;
        at(Point::DrainBegun).await;
        // Checked again, because the commit may have taken long. The next tick resolves the `sending` row that now
        // exists.
        if !self.lease_outlasts_a_call(&mut tick) {
            warn!(submission = id, "call not made: the lease is about to expire");
            return Ok(Rest::For(Duration::from_secs(1)));
        }
        let body = Arc::unwrap_or_clone(body);
        let rows = draft.len();
        at(Point::DrainCalling).await;
        let answered = app.graph.submit_items_batch(tick.access.caller(), &tick.catalog, body).await;
        at(Point::DrainAnswered).await;
        let usage = answered.as_ref().map(|answer| &answer.usage);
        channel::report(&app.limiter, &tick.catalog, Bucket::Batch, usage);
        let outcome = answer::judge(answered);
        let judged = outcome.name();
        let may_be_taken = outcome.may_be_taken();
        let shape = tick.channel.shape;
        let recorded = record::finish(&app, &mut tick, &id, &draft, &self.field_sets, outcome, (self.jitter)()).await;
        if recorded.is_err() && may_be_taken {
            unknown::note_late(&app, &id).await;
        }
        // A handle that Meta gave before makes the outcome unknown while it is recorded.
        let told = recorded.as_ref().map_or(judged, CallOutcome::name);
        info!(catalog_id = tick.catalog, submission = id, rows, outcome = told, "items_batch call finished");
        let outcome = recorded?;
        let ids = draft.rows.iter().map(|row| row.variant_id.as_str());
        self.set_aside.after(&outcome, ids, shape);
        at(Point::DrainRecorded).await;
        Ok(match (tick.settings.drain_pacing, outcome.accepted()) {
            (Pacing::Budget, accepted) => {
                if accepted {
                    app.wake.poll.nudge();
                }
                if more || !accepted { Rest::Again } else { Rest::Interval }
            }
            (Pacing::Interval, _) => Rest::Interval,
        })
    }

    /// Returns whether the lease outlasts a call. A call that may outlive the lease is not made: its outcome could not
    /// be recorded.
    fn lease_outlasts_a_call(&self, tick: &mut Tick) -> bool {
        let app = &self.app;
        let needs = i64::try_from(app.graph.request_timeout().as_millis()).unwrap_or(i64::MAX);
        let lasts = |lease: &Lease| lease.until - app.now() > needs;
        if lasts(&tick.lease) {
            return true;
        }
        // The lease may have been renewed since the tick began.
        if let Some(lease) = app.lease.current().filter(|lease| lease.fence == tick.lease.fence && lasts(lease)) {
            tick.lease = lease;
            return true;
        }
        app.lease.keeper().nudge();
        false
    }
}

impl LeasedJob for DrainJob {
    fn interval(&self) -> Duration {
        Duration::from_secs(self.app.settings.current().sync_interval_seconds)
    }

    async fn tick(&mut self, lease: Lease) -> Result<Rest, StoreError> {
        self.has_settled = false;
        unknown::resolve(&self.app, &lease.fence, &mut self.field_sets).await?;
        let tick = match self.prepare(lease).await? {
            Ok(tick) => tick,
            Err(rest) => return Ok(rest),
        };
        let (mut draft, mut left) = self.fill(&tick).await?;
        if draft.is_empty() && left == Left::Nothing && self.set_aside.take_back() {
            // No other variant is left to try.
            (draft, left) = self.fill(&tick).await?;
        }
        if left == Left::Nothing {
            self.set_aside.read_to_the_end();
            // There is room for the next step of a re-ask.
            self.app.wake.reask.nudge();
        }
        if draft.is_empty() {
            return Ok(match left {
                Left::Slow => Rest::Again,
                // Only a call ends a tick: after settled noops, a re-ask may queue more intents.
                _ if self.has_settled => Rest::For(AFTER_SETTLING),
                _ => Rest::Interval,
            });
        }
        self.submit(tick, draft, left != Left::Nothing).await
    }
}
