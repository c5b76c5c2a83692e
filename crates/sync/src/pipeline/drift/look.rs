//! One look: a few items of ours, as the mapper says them now, as we sent them, and as Meta shows them.
//!
//! The order of the reads is what makes a look safe: states and outbox, then the source, then Meta, and once more states
//! and outbox in the transaction that records. Whatever we send to Meta in between has an open intent or another version
//! of the state by then, and is passed by.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mapper_core::sha256_hex;
use mapper_core::word::Word;
use meta_graph::{ErrorClass, Form, GraphFailure, LookUp, fitting};
use serde_json::{Map, Value};
use tracing::{debug, info, warn};

use super::{AFTER_FAILURE, DriftJob, FAILURES, Tick};
use crate::actors::mapper::MapRequest;
use crate::app::Access;
use crate::domain::budget::{Admission, Bucket};
use crate::domain::comparison::READ_NAMES;
use crate::domain::drift::{Candidate, Class, Difference, Findings, Fitness, STATE_FIELDS, judge};
use crate::failpoints::{Point, at};
use crate::pipeline::channel;
use crate::runtime::periodic::Rest;
use crate::store::drift::findings::{self, Look, Seen};
use crate::store::drift::{self, Counted, Sweep};
use crate::store::{self, StoreError, source};

/// The most items of a call.
pub(super) const MOST: i64 = 50;
/// The number of states that are read at once.
pub(super) const SPAN: i64 = 250;
/// The most states that one tick passes by in search of items to look at.
const SPANS: usize = 20;

/// What is looked at in one tick.
#[derive(Default)]
struct Chunk {
    /// Those that can be judged.
    ready: Vec<Candidate>,
    /// The number of those in motion.
    moving: Vec<String>,
    /// Those of which we claim nothing.
    unclaimed: Vec<String>,
    /// The last variant of the chunk.
    after_id: String,
    /// Whether nothing is behind it.
    is_last: bool,
}

/// What the mapper says of an item that is to be looked at.
enum Expected {
    /// What was sent last is what the mapper says.
    Sent(Map<String, Value>),
    /// The shop says something else.
    Stale,
    /// The shop does not sell it.
    NotSold(&'static str),
    /// The mapper has no answer.
    Unknown,
}

impl DriftJob {
    /// Looks at the variants that a second look is due of, or else at the next ones of the sweep.
    pub(super) async fn look(
        &mut self,
        tick: &Tick,
        access: &Access,
        sweep: Sweep,
        again: Vec<String>,
    ) -> Result<Rest, StoreError> {
        let app = Arc::clone(&self.app);
        let is_second = !again.is_empty();
        let chunk = if is_second { self.again(tick, again).await? } else { self.next(tick, &sweep).await? };
        let step = Step { tick, chunk: &chunk, sweep: &sweep, is_second };
        if chunk.ready.is_empty() {
            self.record(&step, &[], Counted::default()).await?;
            return Ok(Rest::Again);
        }
        let expected = self.expected(tick, &chunk.ready).await?;
        match app.limiter.ask(&tick.catalog, Bucket::Management).await {
            Ok(Admission::Permit) => {}
            Ok(Admission::ClosedUntil(_)) | Err(_) => return Ok(Rest::For(super::LONGEST_REST)),
        }
        self.called_at = Some(app.now());
        at(Point::DriftAsking).await;
        let ids: Vec<&str> = chunk.ready.iter().map(|one| one.variant_id.as_str()).collect();
        let fields: Vec<&str> = READ_NAMES.iter().chain(&STATE_FIELDS).copied().collect();
        // The second look puts the question in the other form.
        let form = if is_second { Form::EachOf } else { Form::IsAny };
        let answer = app.graph.look_up(access.caller(), &tick.catalog, &ids, &fields, form).await;
        at(Point::DriftAnswered).await;
        let usage = answer.as_ref().map(|answer| &answer.usage);
        channel::report(&app.limiter, &tick.catalog, Bucket::Management, usage);
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => return self.failed(&step, &failure).await,
        };
        self.failures = 0;
        let (seen, unknown) = self.compare(&step, &expected, &answer);
        let counted = Counted { calls: 1, unknown, ..Counted::default() };
        self.record(&step, &seen, counted).await?;
        Ok(Rest::Again)
    }

    /// Returns the next items of a sweep.
    async fn next(&self, tick: &Tick, sweep: &Sweep) -> Result<Chunk, StoreError> {
        let mut chunk = Chunk { after_id: sweep.after_id.clone(), ..Chunk::default() };
        let mut tx = self.app.db.read().await?;
        for _ in 0..SPANS {
            let span = drift::candidates_after(&mut tx, &chunk.after_id, SPAN).await?;
            let is_short = i64::try_from(span.len()).unwrap_or(i64::MAX) < SPAN;
            for candidate in span {
                if i64::try_from(chunk.ready.len()).unwrap_or(i64::MAX) == MOST {
                    return Ok(cut(chunk));
                }
                chunk.after_id.clone_from(&candidate.variant_id);
                self.sort_in(&mut chunk, candidate, tick);
            }
            if is_short {
                chunk.is_last = true;
                break;
            }
        }
        Ok(cut(chunk))
    }

    /// Returns the items that a second look is due of.
    async fn again(&self, tick: &Tick, ids: Vec<String>) -> Result<Chunk, StoreError> {
        let mut tx = self.app.db.read().await?;
        let asked: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut chunk = Chunk::default();
        let mut gone: HashSet<&str> = asked.iter().copied().collect();
        for candidate in drift::candidates_of(&mut tx, &asked).await? {
            gone.remove(candidate.variant_id.as_str());
            self.sort_in(&mut chunk, candidate, tick);
        }
        chunk.unclaimed.extend(gone.into_iter().map(str::to_owned));
        Ok(cut(chunk))
    }

    fn sort_in(&self, chunk: &mut Chunk, candidate: Candidate, tick: &Tick) {
        match self.fitness(&candidate, tick) {
            Fitness::Ready => chunk.ready.push(candidate),
            Fitness::Moving => chunk.moving.push(candidate.variant_id),
            Fitness::NotClaimed => chunk.unclaimed.push(candidate.variant_id),
        }
    }

    /// Returns what the mapper says of these items.
    async fn expected(&self, tick: &Tick, ready: &[Candidate]) -> Result<HashMap<String, Expected>, StoreError> {
        let app = &self.app;
        let ids: Vec<&str> = ready.iter().map(|one| one.variant_id.as_str()).collect();
        let mut tx = app.db.read().await?;
        // While a re-ask is under way, the shop says something that is not queued yet.
        let is_asking = store::reask::next(&mut tx).await?.is_some() || store::reask::is_renamed(&mut tx).await?;
        let batch = source::load(&mut tx, &ids).await?;
        drop(tx);
        let unreadable: HashSet<String> = batch.unreadable.iter().map(|(id, _)| id.clone()).collect();
        let request = MapRequest {
            mapper: app.active.current(),
            settings: Arc::new(tick.settings.mapper.with(&app.config.s3_public_url)),
            now: tick.now,
            batch,
        };
        let answers = match app.mapper.map(request).await {
            Ok(answers) => answers,
            Err(error) => {
                debug!(%error, "drift sweep: the mapper has no answer");
                return Ok(HashMap::new());
            }
        };
        let mut words: HashMap<String, _> = answers.into_iter().map(|one| (one.variant_id, one.outcome)).collect();
        let of = |one: &Candidate| {
            let unasked = |expected| if is_asking { Expected::Unknown } else { expected };
            match words.remove(&one.variant_id) {
                Some(Ok(Word::Mapped(payload))) if one.state.hash.as_deref() == Some(&sha256_hex(&payload.data)) => {
                    match serde_json::from_str(&payload.data) {
                        Ok(Value::Object(fields)) => Expected::Sent(fields),
                        _ => Expected::Unknown,
                    }
                }
                Some(Ok(Word::Mapped(_))) => unasked(Expected::Stale),
                Some(Ok(Word::Rejected(_))) => unasked(Expected::NotSold("not eligible")),
                Some(Err(_)) => Expected::Unknown,
                None if unreadable.contains(&one.variant_id) => Expected::Unknown,
                None => unasked(Expected::NotSold("gone")),
            }
        };
        let told: Vec<Expected> = ready.iter().map(of).collect();
        Ok(ready.iter().map(|one| one.variant_id.clone()).zip(told).collect())
    }

    /// Returns what was seen, and of how many items nothing is known for certain.
    fn compare(&self, step: &Step<'_>, expected: &HashMap<String, Expected>, answer: &LookUp) -> (Vec<Seen>, i64) {
        let ignored = &step.tick.settings.drift_ignored_fields;
        let mut unknown = 0;
        let said = |what: &str| Difference { field: "id".into(), ours: Some(what.to_owned()), meta: None };
        let judged = step.chunk.ready.iter().filter_map(|one| {
            let findings = match (expected.get(&one.variant_id), answer.found.get(&one.variant_id)) {
                (Some(Expected::Stale), _) => Findings::from([(Class::StaleLocal, vec![said("another payload")])]),
                (Some(Expected::NotSold(why)), _) => Findings::from([(Class::NotSold, vec![said(why)])]),
                (Some(Expected::Sent(sent)), Some(meta)) => judge(sent, meta, ignored),
                (_, None) if answer.is_whole => Findings::from([(Class::Missing, Vec::new())]),
                _ => {
                    unknown += 1;
                    return None;
                }
            };
            Some(Seen { variant_id: one.variant_id.clone(), version: one.state.version, findings })
        });
        let seen = judged.collect();
        (seen, unknown)
    }

    /// Records a step: what was seen of the items that have not moved since, and the cursor.
    async fn record(&self, step: &Step<'_>, seen: &[Seen], mut counted: Counted) -> Result<(), StoreError> {
        let (app, tick, chunk) = (&self.app, step.tick, step.chunk);
        let mapper = app.active.current();
        let mut tx =
            tick.lease.fence.begin_decided(&app.db, &tick.catalog, tick.settings.version, mapper.key()).await?;
        let now = app.now();
        let ids: Vec<&str> = seen.iter().map(|one| one.variant_id.as_str()).collect();
        let versions: HashMap<String, i64> = if ids.is_empty() {
            HashMap::new()
        } else {
            let still = drift::candidates_of(&mut tx, &ids).await?.into_iter();
            let still = still.filter(|one| self.fitness(one, tick) == Fitness::Ready);
            still.map(|one| (one.variant_id, one.state.version)).collect()
        };
        let is_still = |one: &&Seen| versions.get(&one.variant_id) == Some(&one.version);
        let mut counting: Vec<Seen> = seen.iter().filter(is_still).cloned().collect();
        counted.looked = i64::try_from(counting.len()).unwrap_or(i64::MAX);
        let moved = chunk.ready.len() + chunk.moving.len() - counting.len();
        counted.passed = i64::try_from(moved).unwrap_or(i64::MAX) - counted.unknown;
        let known: HashSet<&str> = counting.iter().map(|one| one.variant_id.as_str()).collect();
        let others = chunk.ready.iter().map(|one| one.variant_id.as_str()).filter(|id| !known.contains(id));
        let put_off: Vec<&str> = others.chain(chunk.moving.iter().map(String::as_str)).collect();
        let (sweep, is_second) = (step.sweep, step.is_second);
        let look = Look { catalog: &tick.catalog, sweep: sweep.number, is_second, now, grace: tick.grace };
        findings::put_off(&mut tx, look, &put_off).await?;
        // Of an item that we claim nothing of, nothing is wrong.
        let none = |id: &String| Seen { variant_id: id.clone(), version: 0, findings: Findings::new() };
        counting.extend(chunk.unclaimed.iter().map(none));
        if !counting.is_empty() {
            findings::record(&mut tx, look, &counting).await?;
        }
        if is_second {
            drift::count_calls(&mut tx, sweep.number, counted.calls).await?;
        } else if !drift::step(&mut tx, sweep, &chunk.after_id, counted, chunk.is_last, now).await? {
            // The sweep was begun anew, which sees this again.
            return Ok(());
        } else if chunk.is_last {
            findings::forget_unclaimed(&mut tx, &tick.catalog, super::FORGOTTEN).await?;
        }
        channel::save_budgets(app, &mut tx).await?;
        at(Point::DriftRecording).await;
        tx.commit().await?;
        at(Point::DriftRecorded).await;
        if chunk.is_last && !is_second {
            info!(
                sweep = sweep.number,
                looked = sweep.looked + counted.looked,
                calls = sweep.calls + counted.calls,
                "drift sweep finished"
            );
        }
        Ok(())
    }

    /// A call that failed says nothing. After some in a row, its items are passed by: they may be what fails.
    async fn failed(&mut self, step: &Step<'_>, failure: &GraphFailure) -> Result<Rest, StoreError> {
        self.failures += 1;
        warn!(%failure, failures = self.failures, "drift sweep: a call failed");
        let is_of_the_items = match failure.class() {
            ErrorClass::BadRequest | ErrorClass::ReduceData => true,
            ErrorClass::Transient | ErrorClass::Unknown => self.failures >= FAILURES,
            ErrorClass::Throttled(_)
            | ErrorClass::TokenDead(_)
            | ErrorClass::Permission
            | ErrorClass::PolicyBlocked
            | ErrorClass::AccountState(_)
            | ErrorClass::AppRejected
            | ErrorClass::CatalogGone => false,
        };
        if is_of_the_items {
            let unknown = i64::try_from(step.chunk.ready.len()).unwrap_or(i64::MAX);
            self.record(step, &[], Counted { calls: 1, unknown, ..Counted::default() }).await?;
        } else {
            let mut tx = step.tick.lease.fence.begin(&self.app.db, None).await?;
            drift::count_calls(&mut tx, step.sweep.number, 1).await?;
            tx.commit().await?;
        }
        // A nudge must not shorten it.
        Ok(Rest::Hold(AFTER_FAILURE.wait(self.failures, 0.5)))
    }
}

/// What a tick does.
struct Step<'t> {
    tick: &'t Tick,
    chunk: &'t Chunk,
    sweep: &'t Sweep,
    is_second: bool,
}

/// Cuts a chunk to what fits into one call. What is cut off comes with the next one.
fn cut(mut chunk: Chunk) -> Chunk {
    let ids: Vec<&str> = chunk.ready.iter().map(|one| one.variant_id.as_str()).collect();
    let most = fitting(&ids);
    if most < chunk.ready.len() {
        chunk.ready.truncate(most);
        if let Some(last) = chunk.ready.last() {
            chunk.after_id.clone_from(&last.variant_id);
            chunk.is_last = false;
            let is_before = |id: &String| *id <= chunk.after_id;
            chunk.moving.retain(is_before);
            chunk.unclaimed.retain(is_before);
        }
    }
    chunk
}
