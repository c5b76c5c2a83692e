//! The PollActor: asks Meta what became of each submission, and records the verdict.
//!
//! Promises: a verdict changes only rows that still wait for its handle; under an incomplete error list nothing
//! unnamed becomes synced; a handle times out only after an answer past its age, so a night of downtime costs nothing;
//! handles that never end do not starve the others (those asked longest ago come first). Handles of a catalog that is
//! no longer selected are polled where they belong.
//! Left out on purpose: sending anything again. A row that has to be sent again gets a fresh intent.

mod verdict;

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};

use super::drain::answer;
use super::runtime::{Job, JobError, Rest};
use crate::domain::budget::{Answer, Bucket};
use crate::domain::settings::{Pacing, Settings};
use crate::domain::verdict::Verdict;
use crate::failpoints::{Point, at};
use crate::graph::{ErrorClass, GraphFailure};
use crate::pipeline::{Access, HeldLease, Pipeline};
use crate::store::submission::{self, Submission};
use crate::store::{self, StoreError};

/// How often a handle is asked for when calls are paced by budget.
const BUDGET_POLL: Duration = Duration::from_secs(2);
/// After this many answers that do not know the handle, it is lost.
const UNKNOWN_HANDLE_ANSWERS: i64 = 3;

/// The job of the PollActor.
#[derive(Debug)]
pub struct PollJob {
    pipeline: Arc<Pipeline>,
}

/// Whether to go on with the next handle.
enum Next {
    Go,
    Stop(Rest),
}

impl PollJob {
    /// A poll on this pipeline.
    #[must_use]
    pub fn new(pipeline: Arc<Pipeline>) -> Self {
        Self { pipeline }
    }

    async fn run(&self) -> Result<Rest, StoreError> {
        let pipeline = &self.pipeline;
        let Some(lease) = pipeline.lease.current() else { return Ok(Rest::Interval) };
        let settings = pipeline.load_settings().await?;
        let budget = settings.pacing() == Pacing::Budget;
        let before = if budget { pipeline.now() - BUDGET_POLL.as_millis() as i64 / 2 } else { pipeline.now() };
        let mut tx = pipeline.db.read().await?;
        let limit = i64::try_from(settings.whole("handles_per_poll_tick")).unwrap_or(1);
        let due = submission::due(&mut tx, before, limit).await?;
        drop(tx);
        let pending = !due.is_empty();
        if pending {
            let Some(app) = pipeline.app(&settings).await? else { return Ok(Rest::Interval) };
            let token = match pipeline.tokens.get().await {
                Ok(token) => token,
                Err(fault) => {
                    debug!(%fault, "no poll");
                    return Ok(Rest::Interval);
                }
            };
            let access = Access { app, token };
            for call in due {
                if let Next::Stop(rest) = self.poll(&lease, &settings, &access, call).await? {
                    return Ok(rest);
                }
            }
        }
        Ok(if budget && pending { Rest::For(BUDGET_POLL) } else { Rest::Interval })
    }

    async fn poll(
        &self,
        lease: &HeldLease,
        settings: &Settings,
        access: &Access,
        call: Submission,
    ) -> Result<Next, StoreError> {
        let pipeline = &self.pipeline;
        let Some(handle) = call.handle.clone() else { return Ok(Next::Go) };
        match pipeline.limiter.ask(&call.catalog_id, Bucket::Management).await {
            Ok(Answer::Permit) => {}
            Ok(Answer::ClosedUntil(until)) => {
                let wait = u64::try_from(until - pipeline.now()).unwrap_or(0).max(10);
                return Ok(Next::Stop(Rest::For(Duration::from_millis(wait))));
            }
            Err(error) => {
                debug!(%error, "no permit");
                return Ok(Next::Stop(Rest::For(Duration::from_secs(1))));
            }
        }
        at(Point::PollAsking).await;
        let answered = pipeline.graph.batch_status(access.caller(), &call.catalog_id, &handle).await;
        at(Point::PollAnswered).await;
        let report = match &answered {
            Ok(answer) => answer::report_success(&answer.usage, &call.catalog_id),
            Err(failure) => answer::report_failure(failure, &call.catalog_id),
        };
        if let Err(error) =
            pipeline.limiter.report(&call.catalog_id, Bucket::Management, report.percent, report.verdict)
        {
            debug!(%error, "the limiter did not hear of the poll");
        }
        match answered {
            Ok(answer) => match answer.status {
                Some(status) => {
                    let judged = verdict::judge_status(&status, &call);
                    debug!(submission = call.id, state = ?status.state, "poll");
                    let errors = verdict::kept(&status);
                    self.apply(lease, settings, access, &call, &handle, judged, Some(errors)).await?;
                }
                None => self.unknown_handle(lease, settings, access, &call, &handle).await?,
            },
            Err(failure) => return self.failed(lease, settings, access, &call, &handle, failure).await,
        }
        Ok(Next::Go)
    }

    #[expect(clippy::too_many_arguments, reason = "one verdict with everything it rests on")]
    async fn apply(
        &self,
        lease: &HeldLease,
        settings: &Settings,
        access: &Access,
        call: &Submission,
        handle: &str,
        judged: Verdict,
        errors: Option<serde_json::Value>,
    ) -> Result<(), StoreError> {
        let pipeline = &self.pipeline;
        let age_limit = i64::try_from(settings.whole("handle_poll_max_age_minutes")).unwrap_or(1440) * 60_000;
        let judged = match judged {
            Verdict::Open if pipeline.now() - call.submitted_at > age_limit => {
                Verdict::NotRun { reason: "poll_timeout" }
            }
            other => other,
        };
        if judged == Verdict::Open {
            let mut tx = lease.fence.begin(&pipeline.db, None).await?;
            submission::polled(&mut tx, &call.id, false, pipeline.now()).await?;
            return tx.commit().await;
        }
        let absent = verdict::absent_deletes(pipeline, access, call, &judged).await;
        verdict::record(pipeline, &lease.fence, settings, call, handle, &judged, &absent, errors).await?;
        info!(submission = call.id, rows = call.rows.len(), verdict = verdict::name(&judged), "verdict");
        if settings.pacing() == Pacing::Budget {
            pipeline.drain.nudge();
        }
        Ok(())
    }

    /// Meta does not know the handle. Said often enough, it never will.
    async fn unknown_handle(
        &self,
        lease: &HeldLease,
        settings: &Settings,
        access: &Access,
        call: &Submission,
        handle: &str,
    ) -> Result<(), StoreError> {
        if call.poll_faults + 1 >= UNKNOWN_HANDLE_ANSWERS {
            let judged = Verdict::NotRun { reason: "unknown_handle" };
            return self.apply(lease, settings, access, call, handle, judged, None).await;
        }
        let mut tx = lease.fence.begin(&self.pipeline.db, None).await?;
        submission::polled(&mut tx, &call.id, true, self.pipeline.now()).await?;
        tx.commit().await
    }

    async fn failed(
        &self,
        lease: &HeldLease,
        settings: &Settings,
        access: &Access,
        call: &Submission,
        handle: &str,
        failure: GraphFailure,
    ) -> Result<Next, StoreError> {
        warn!(submission = call.id, %failure, "poll failed");
        match failure.class() {
            ErrorClass::BadRequest => {
                self.unknown_handle(lease, settings, access, call, handle).await?;
                Ok(Next::Go)
            }
            ErrorClass::Transient | ErrorClass::Unknown | ErrorClass::ReduceData | ErrorClass::CatalogGone => {
                let mut tx = lease.fence.begin(&self.pipeline.db, None).await?;
                submission::polled(&mut tx, &call.id, false, self.pipeline.now()).await?;
                tx.commit().await?;
                Ok(Next::Go)
            }
            ErrorClass::Throttled(_) => Ok(Next::Stop(Rest::Interval)),
            ErrorClass::TokenDead(_)
            | ErrorClass::Permission
            | ErrorClass::PolicyBlocked
            | ErrorClass::AccountState(_)
            | ErrorClass::AppRejected => {
                let mut tx = lease.fence.begin(&self.pipeline.db, None).await?;
                let mut channel = store::channel::load(&mut tx).await?;
                channel.problem = Some(answer::problem(&failure));
                channel.problem_credential = Some(access.token.version);
                store::channel::save(&mut tx, &channel, self.pipeline.now()).await?;
                tx.commit().await?;
                Ok(Next::Stop(Rest::Interval))
            }
        }
    }
}

impl Job for PollJob {
    fn interval(&self) -> Duration {
        Duration::from_secs(self.pipeline.settings.current().whole("poll_interval_seconds"))
    }

    async fn tick(&mut self) -> Result<Rest, JobError> {
        match self.run().await {
            Ok(rest) => Ok(rest),
            Err(StoreError::Deposed(deposed)) => {
                warn!(%deposed, "nothing was committed");
                self.pipeline.lease.put(None);
                self.pipeline.leaser.nudge();
                Ok(Rest::Interval)
            }
            Err(error) => Err(error.into()),
        }
    }
}
