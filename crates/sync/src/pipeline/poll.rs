//! The PollActor: asks Meta for the result of each submission and records the verdict.
//!
//! Promises: a verdict changes only rows that still wait for its handle. With an incomplete error list, no row that the
//! list does not name becomes synced. A handle times out only by the answer to a question that was asked after the
//! handle passed its age limit, so neither a night of downtime nor a late answer causes a timeout. Handles that never
//! end do not starve the others (the handle asked longest ago comes first), and each is asked more and more rarely; a
//! notification of Meta's ends the pause of its handle, and makes the pauses of the others longer. An
//! answer that cannot be read concerns its own handle only, and `/status` tells of it. Handles of a catalog that is no
//! longer selected are polled at that catalog. A submission that Meta split over several handles is judged when each
//! handle is final.
//! Left out on purpose: resending. A row that must be sent again gets a fresh intent.

mod verdict;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use meta_graph::{ErrorClass, GraphFailure};
use tracing::{debug, info, warn};

use super::channel;
use crate::app::{Access, App};
use crate::clock::Millis;
use crate::domain::backoff::Backoff;
use crate::domain::budget::{Admission, Bucket};
use crate::domain::channel::Channel;
use crate::domain::settings::{Pacing, Settings};
use crate::domain::verdict::Verdict;
use crate::domain::webhook;
use crate::failpoints::{Point, at};
use crate::runtime::jitter::Jitter;
use crate::runtime::leased::{Lease, LeasedJob};
use crate::runtime::periodic::Rest;
use crate::store::submission::{self, Answered, Due, Submission};
use crate::store::{self, StoreError, Tx};

/// The shortest time between two rounds when calls are paced by budget.
const BUDGET_POLL: Duration = Duration::from_secs(2);
/// The pause of a handle after its first, second, … answer that is not final.
const PAUSE: Backoff = Backoff { start: BUDGET_POLL, cap: Duration::from_secs(120) };
/// The same while notifications arrive: one ends the pause, so a question without it would mostly be in vain.
const PAUSE_WITH_WEBHOOKS: Backoff = Backoff { start: Duration::from_secs(30), ..PAUSE };
/// After this many answers that the handle is unknown, the handle is given up.
const UNKNOWN_HANDLE_ANSWERS: i64 = 3;

/// The job of the PollActor.
pub struct PollJob {
    app: Arc<App>,
    jitter: Jitter,
}

/// Whether the round continues with the next handle.
enum Next {
    Go,
    Stop(Rest),
}

impl PollJob {
    /// Returns a poll job for this pipeline.
    #[must_use]
    pub fn new(app: Arc<App>, jitter: Jitter) -> Self {
        Self { app, jitter }
    }

    async fn run(&self, lease: Lease) -> Result<Rest, StoreError> {
        let app = &self.app;
        let settings = app.load_settings().await?;
        let budget = settings.drain_pacing == Pacing::Budget;
        let every = if budget { BUDGET_POLL } else { Duration::from_secs(settings.poll_interval_seconds) };
        // A round that the limiter spreads over several ticks must not restart with each tick.
        let now = app.now();
        let slack = i64::try_from(every.as_millis()).unwrap_or(i64::MAX) / 2;
        // Rounds that are an interval apart: a pause ends with the round that is nearest to its end.
        let pauses_over = if budget { now } else { now.saturating_add(slack) };
        let mut tx = app.db.read().await?;
        let limit = settings.handles_per_poll_tick;
        let due = submission::due(&mut tx, Due { now, polled_before: now - slack, pauses_over }, limit).await?;
        let channel = store::channel::load(&mut tx).await?;
        let notified = store::webhook::load(&mut tx).await?;
        drop(tx);
        let pause = if webhook::arrive(notified.woke_at, now) { PAUSE_WITH_WEBHOOKS } else { PAUSE };
        if !due.is_empty() {
            let Some(credentials) = app.app_credentials(&settings).await? else { return Ok(Rest::Interval) };
            let token = match app.tokens.get().await {
                Ok(token) => token,
                Err(fault) => {
                    debug!(%fault, "poll skipped: no usable token");
                    return Ok(Rest::Interval);
                }
            };
            // A problem that names a credential ends only with another credential.
            if channel.is_stopped_for(token.version) {
                return Ok(Rest::Interval);
            }
            let access = Access { credentials, token };
            let heals = is_ours(&channel);
            let mut round = Round { app, lease, settings, access, jitter: &self.jitter, pause, heals };
            for call in due {
                if let Next::Stop(rest) = round.poll(&call).await? {
                    return Ok(rest);
                }
            }
        }
        if !budget {
            return Ok(Rest::Interval);
        }
        let mut tx = app.db.read().await?;
        let next = submission::next_poll(&mut tx).await?;
        Ok(next.map_or(Rest::Interval, |next| {
            let wait = Duration::from_millis(u64::try_from(next - app.now()).unwrap_or(0));
            Rest::For(wait.clamp(BUDGET_POLL, self.interval().max(BUDGET_POLL)))
        }))
    }
}

/// The code of the problem that Meta gives no answer, or none that can be read.
const UNREACHABLE: &str = "meta_unreachable";

/// Returns whether the channel's problem is one that a poll told. The same problem of a call has opened the breaker.
fn is_ours(channel: &Channel) -> bool {
    channel.problem.as_ref().is_some_and(|problem| problem.code == UNREACHABLE)
        && channel.breaker.open_until().is_none()
}

/// Tells the operator of a failed poll, unless there is a problem that says more.
async fn tell(tx: &mut Tx, failure: &GraphFailure, now: Millis) -> Result<(), StoreError> {
    let mut channel = store::channel::load(tx).await?;
    if channel.problem.is_none() || is_ours(&channel) {
        channel.note_problem(channel::problem(failure), None);
        store::channel::save(tx, &channel, now).await?;
    }
    Ok(())
}

/// The data that the polls of one tick share.
struct Round<'p> {
    app: &'p App,
    lease: Lease,
    settings: Arc<Settings>,
    access: Access,
    jitter: &'p Jitter,
    /// The pause of a handle after an answer that is not final.
    pause: Backoff,
    /// Whether the next answer that can be read ends the problem that an earlier poll told.
    heals: bool,
}

/// A status question to Meta about one submission.
#[derive(Clone, Copy)]
struct Question<'c> {
    call: &'c Submission,
    handle: &'c str,
    /// When the question was asked. Meta's answer describes this instant, however late it arrives.
    at: Millis,
}

impl Round<'_> {
    async fn poll(&mut self, call: &Submission) -> Result<Next, StoreError> {
        let Some(handle) = call.handle.as_deref() else { return Ok(Next::Go) };
        let mut parts = Vec::new();
        let mut judged: Option<Verdict> = None;
        // One permit per submission. The permit also covers a second handle or a look-up that is needed to settle the
        // submission: a separate request would come too early each time.
        if let Some(wait) = self.closed(call).await {
            return Ok(Next::Stop(wait));
        }
        let question = Question { call, handle, at: self.app.now() };
        for part in submission::split_handles(handle) {
            at(Point::PollAsking).await;
            let answered = self.app.graph.batch_status(self.access.caller(), &call.catalog_id, part).await;
            at(Point::PollAnswered).await;
            let usage = answered.as_ref().map(|answer| &answer.usage);
            channel::report(&self.app.limiter, &call.catalog_id, Bucket::Management, usage);
            let status = match answered {
                Ok(answer) => answer.status,
                Err(failure) => return self.failed(question, failure).await,
            };
            if std::mem::take(&mut self.heals) {
                self.heal().await?;
            }
            let Some(status) = status else { return self.unknown_handle(question).await };
            debug!(submission = call.id, state = ?status.state, "handle polled");
            let verdict = verdict::judge_status(&status, call);
            judged = Some(match judged {
                Some(others) => others.and(verdict),
                None => verdict,
            });
            parts.push(status);
        }
        self.apply(question, judged.unwrap_or(Verdict::Open), Some(verdict::kept(&parts))).await
    }

    /// Returns how long to wait for the next call; `None` when a call is permitted now.
    async fn closed(&self, call: &Submission) -> Option<Rest> {
        match self.app.limiter.ask(&call.catalog_id, Bucket::Management).await {
            Ok(Admission::Permit) => None,
            Ok(Admission::ClosedUntil(until)) => {
                let wait = u64::try_from(until - self.app.now()).unwrap_or(0).max(10);
                Some(Rest::For(Duration::from_millis(wait)))
            }
            Err(error) => {
                debug!(%error, "permit request failed");
                Some(Rest::For(Duration::from_secs(1)))
            }
        }
    }

    /// Records the result of an answer.
    async fn apply(
        &self,
        question: Question<'_>,
        judged: Verdict,
        errors: Option<serde_json::Value>,
    ) -> Result<Next, StoreError> {
        let app = self.app;
        let Question { call, handle, at: asked_at } = question;
        let age_limit = self.settings.handle_poll_max_age_minutes * 60_000;
        let judged = match judged {
            Verdict::Open if asked_at - call.submitted_at > age_limit => Verdict::NotRun { reason: "poll_timeout" },
            other => other,
        };
        if judged == Verdict::Open {
            return self.open(question, false).await;
        }
        let doubtful = verdict::doubtful_deletes(call, &judged);
        let absent = if doubtful.is_empty() {
            HashSet::new()
        } else {
            match app.graph.existing_items(self.access.caller(), &call.catalog_id, &doubtful).await {
                Ok(existing) => doubtful.into_iter().filter(|id| !existing.contains(id)).collect(),
                // Meta refuses the look-up: nothing is known about these items, so none is recorded as absent.
                Err(failure)
                    if matches!(
                        failure.class(),
                        ErrorClass::BadRequest | ErrorClass::ReduceData | ErrorClass::CatalogGone
                    ) =>
                {
                    warn!(submission = call.id, %failure, "lookup of errored deletes refused");
                    HashSet::new()
                }
                Err(failure) => {
                    channel::report(&app.limiter, &call.catalog_id, Bucket::Management, Err(&failure));
                    warn!(submission = call.id, %failure, "lookup of errored deletes failed; it is retried later");
                    return self.troubled(question, &failure).await;
                }
            }
        };
        let name = verdict::name(&judged);
        verdict::record(app, &self.lease.fence, &self.settings, call, handle, &judged, &absent, errors).await?;
        info!(submission = call.id, rows = call.rows.len(), verdict = name, "verdict recorded");
        if self.settings.drain_pacing == Pacing::Budget {
            app.wake.drain.nudge();
        }
        Ok(Next::Go)
    }

    /// Meta does not know the handle. After enough such answers the submission counts as not run.
    async fn unknown_handle(&self, question: Question<'_>) -> Result<Next, StoreError> {
        if question.call.poll_faults + 1 >= UNKNOWN_HANDLE_ANSWERS {
            return self.apply(question, Verdict::NotRun { reason: "unknown_handle" }, None).await;
        }
        self.open(question, true).await
    }

    /// Records that the submission is still open and pauses its handle.
    async fn open(&self, question: Question<'_>, unknown_handle: bool) -> Result<Next, StoreError> {
        let answered = Answered { unknown_handle, ..self.unanswered(question) };
        let mut tx = self.lease.fence.begin(&self.app.db, None).await?;
        submission::polled(&mut tx, &question.call.id, answered).await?;
        tx.commit().await?;
        Ok(Next::Go)
    }

    /// Returns what a question leaves behind that says nothing about the batch: the pause before the next one.
    fn unanswered(&self, question: Question<'_>) -> Answered {
        let Question { call, at: asked_at, .. } = question;
        let questions = u32::try_from(call.polls).unwrap_or(u32::MAX).saturating_add(1);
        let next_at = asked_at.saturating_add(self.pause.wait_millis(questions, (self.jitter)()));
        Answered { asked_at, unknown_handle: false, next_at, notices: call.notices }
    }

    /// Ends the problem that an earlier poll told: Meta's answers can be read again.
    async fn heal(&self) -> Result<(), StoreError> {
        let mut tx = self.lease.fence.begin(&self.app.db, None).await?;
        let mut channel = store::channel::load(&mut tx).await?;
        if is_ours(&channel) {
            channel.clear_problem();
            store::channel::save(&mut tx, &channel, self.app.now()).await?;
        }
        tx.commit().await
    }

    async fn failed(&self, question: Question<'_>, failure: GraphFailure) -> Result<Next, StoreError> {
        warn!(submission = question.call.id, %failure, "handle poll failed");
        let selected = self.settings.catalog_id == question.call.catalog_id;
        match failure.class() {
            ErrorClass::BadRequest => self.unknown_handle(question).await,
            // This is an answer, but not about the batch: the age limit applies. It is no fault of the channel that the
            // present account may not see a catalog that was selected earlier.
            ErrorClass::CatalogGone => self.apply(question, Verdict::Open, None).await,
            ErrorClass::Permission if !selected => self.apply(question, Verdict::Open, None).await,
            // It may be the answer about this one handle that cannot be read, and for ever.
            _ if failure.unusable_answer() => {
                let mut tx = self.lease.fence.begin(&self.app.db, None).await?;
                tell(&mut tx, &failure, self.app.now()).await?;
                tx.commit().await?;
                self.apply(question, Verdict::Open, None).await
            }
            _ => self.troubled(question, &failure).await,
        }
    }

    /// There is no answer about the batch: nothing is known about it, and the rest of the round would fail in the same
    /// way.
    async fn troubled(&self, question: Question<'_>, failure: &GraphFailure) -> Result<Next, StoreError> {
        let app = self.app;
        let mut tx = self.lease.fence.begin(&app.db, None).await?;
        let mut stop = async |credential: Option<i64>| {
            let mut channel = store::channel::load(&mut tx).await?;
            channel.note_problem(channel::problem(failure), credential);
            store::channel::save(&mut tx, &channel, app.now()).await
        };
        match failure.class() {
            ErrorClass::Throttled(_) => channel::save_budgets(app, &mut tx).await?,
            ErrorClass::TokenDead(_) | ErrorClass::Permission | ErrorClass::PolicyBlocked => {
                stop(Some(self.access.token.version)).await?;
            }
            ErrorClass::AccountState(_) | ErrorClass::AppRejected => stop(None).await?,
            ErrorClass::Transient | ErrorClass::Unknown => {
                submission::asked_in_vain(&mut tx, &question.call.id, self.unanswered(question)).await?;
                tell(&mut tx, failure, app.now()).await?;
            }
            ErrorClass::ReduceData | ErrorClass::CatalogGone | ErrorClass::BadRequest => {
                submission::asked_in_vain(&mut tx, &question.call.id, self.unanswered(question)).await?;
            }
        }
        tx.commit().await?;
        Ok(Next::Stop(Rest::Interval))
    }
}

impl LeasedJob for PollJob {
    fn interval(&self) -> Duration {
        Duration::from_secs(self.app.settings.current().poll_interval_seconds)
    }

    async fn tick(&mut self, lease: Lease) -> Result<Rest, StoreError> {
        self.run(lease).await
    }
}
