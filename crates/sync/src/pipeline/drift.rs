//! The DriftActor: compares what Meta shows with what we hold to be true of it, and has repaired what may be repaired.
//!
//! Promises: one call to Meta a tick, within its share of the management allowance; while pushes wait it makes a fourth of
//! its calls. The cursor is our own id and stored with what was found up to it, so a restart or another holder of the lease
//! goes on. What is in motion is passed by, before the call and again in the transaction that records it
//! ([`Candidate::fitness`]): nothing that we did ourselves becomes a finding. A call that fails, or an answer that may not
//! be whole, says nothing about any item. A repair is an intent for the drain, and nothing else.
//! Memory is bounded by the items of one call.
//! Left out on purpose: items that Meta has and we do not.

mod look;
mod repair;

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info};

use crate::actors::token::TokenFault;
use crate::app::{Access, App};
use crate::clock::Millis;
use crate::domain::budget::{Admission, Bucket};
use crate::domain::drift::{Candidate, Fitness, Past, is_due, pace};
use crate::domain::intent::Lane;
use crate::domain::settings::{FeedMode, Settings};
use crate::runtime::leased::{Lease, LeasedJob};
use crate::runtime::periodic::Rest;
use crate::store::drift::{self, Sweep};
use crate::store::{self, StoreError, outbox};

/// How often the actor looks for work.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// The longest rest between two looks at the preconditions.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// The number of findings of another catalog that one tick forgets.
const FORGOTTEN: i64 = 2_000;
/// From this usage of the allowance on, in percent as Meta tells it, the sweep waits.
const MOST_TOLD: f64 = 50.0;
/// The rest after a call that failed; it doubles with each failure in a row.
const AFTER_FAILURE: crate::domain::backoff::Backoff =
    crate::domain::backoff::Backoff { start: Duration::from_secs(5), cap: Duration::from_secs(300) };
/// After this many failures in a row the items of the call are passed by as unknown: they may be what fails.
const FAILURES: u32 = 3;

/// The job of the DriftActor.
#[derive(Debug)]
pub struct DriftJob {
    app: Arc<App>,
    /// Calls that failed since the last one that did not.
    failures: u32,
    /// The last call, for the pace.
    called_at: Option<Millis>,
}

/// What a tick works with.
struct Tick {
    lease: Lease,
    settings: Arc<Settings>,
    catalog: String,
    grace: Millis,
    now: Millis,
}

impl DriftJob {
    /// Returns the drift job for this pipeline.
    #[must_use]
    pub fn new(app: Arc<App>) -> Self {
        Self { app, failures: 0, called_at: None }
    }

    /// Begins the next sweep when it is due, and returns the latest one.
    async fn sweep(&self, tick: &Tick) -> Result<Option<Sweep>, StoreError> {
        let app = &self.app;
        let mut tx = app.db.read().await?;
        let latest = drift::latest(&mut tx, &tick.catalog, 1).await?.into_iter().next();
        let every = tick.settings.drift_sweep_hours * 3_600_000;
        let past = latest.as_ref().map(|sweep| Past {
            started_at: sweep.started_at,
            is_over: sweep.finished_at.is_some(),
            looked: sweep.looked,
        });
        if !is_due(past.as_ref(), every, tick.grace, tick.now) {
            return Ok(latest);
        }
        drop(tx);
        if latest.is_none() && app.items_at_meta().await? == 0 {
            return Ok(None);
        }
        let mut tx = tick.lease.fence.begin(&app.db, Some(&tick.catalog)).await?;
        drift::begin(&mut tx, &tick.catalog, tick.now).await?;
        let sweep = drift::latest(&mut tx, &tick.catalog, 1).await?.into_iter().next();
        tx.commit().await?;
        info!(sweep = sweep.as_ref().map(|sweep| sweep.number), "drift sweep started");
        Ok(sweep)
    }

    fn fitness(&self, candidate: &Candidate, tick: &Tick) -> Fitness {
        candidate.fitness(&tick.catalog, tick.now, tick.grace)
    }

    /// Returns how long to rest before the next call; `None` when it may be made now.
    async fn paced(&self, tick: &Tick) -> Result<Option<Rest>, StoreError> {
        let app = &self.app;
        let wait = |until: Millis| {
            let wait = Duration::from_millis(u64::try_from(until - app.now()).unwrap_or(0).max(10));
            Some(Rest::Hold(wait.min(LONGEST_REST)))
        };
        let Ok(usage) = app.limiter.usage(&tick.catalog).await else { return Ok(wait(tick.now + 1_000)) };
        let Some((_, usage)) = usage.into_iter().find(|(bucket, _)| *bucket == Bucket::Management) else {
            return Ok(None);
        };
        // Meta counts processor time too. The polls share this allowance, and without verdicts nothing newer is sent.
        if usage.told_percent.is_some_and(|percent| percent >= MOST_TOLD) {
            return Ok(wait(tick.now + 5_000));
        }
        let mut tx = app.db.read().await?;
        let a_call = i64::try_from(tick.settings.batch_size).unwrap_or(i64::MAX);
        let mut pushes_wait = false;
        for lane in Lane::ALL {
            pushes_wait = pushes_wait || outbox::has_live(&mut tx, lane, a_call).await?;
        }
        drop(tx);
        let pace = pace(usage.period, tick.settings.drift_budget_percent, pushes_wait);
        if let Some(called_at) = self.called_at.filter(|at| *at <= tick.now) {
            let next = called_at.saturating_add(Millis::try_from(pace.as_millis()).unwrap_or(Millis::MAX));
            if next > tick.now {
                return Ok(wait(next));
            }
        }
        match app.limiter.peek(&tick.catalog, Bucket::Management).await {
            Ok(Admission::Permit) => Ok(None),
            Ok(Admission::ClosedUntil(until)) => Ok(wait(until)),
            Err(_) => Ok(wait(tick.now + 1_000)),
        }
    }

    /// Returns the token and the app's credentials, unless no call is to be made now.
    async fn access(&self, settings: &Settings) -> Result<Option<Access>, StoreError> {
        let app = &self.app;
        let Some(credentials) = app.app_credentials(settings).await? else { return Ok(None) };
        let mut tx = app.db.read().await?;
        let channel = store::channel::load(&mut tx).await?;
        drop(tx);
        // While Meta does not take what we send, it is not asked how it looks.
        if channel.breaker.failures() > 0 {
            return Ok(None);
        }
        match app.tokens.get().await {
            Ok(token) if channel.is_stopped_for(token.version) => Ok(None),
            Ok(token) => Ok(Some(Access { credentials, token })),
            Err(TokenFault::NotConnected) => Ok(None),
            Err(fault) => {
                debug!(%fault, "drift sweep waits: no usable token");
                Ok(None)
            }
        }
    }
}

impl LeasedJob for DriftJob {
    fn interval(&self) -> Duration {
        LOOK_EVERY
    }

    async fn tick(&mut self, lease: Lease) -> Result<Rest, StoreError> {
        let app = Arc::clone(&self.app);
        let settings = app.load_settings().await?;
        if !settings.sync_enabled || !settings.feed_configured() || settings.feed_mode == FeedMode::Preview {
            return Ok(Rest::Interval);
        }
        let tick = Tick {
            lease,
            catalog: settings.catalog_id.clone(),
            grace: settings.drift_grace_minutes * 60_000,
            now: app.now(),
            settings,
        };
        let mut tx = app.db.read().await?;
        let has_others = drift::has_others(&mut tx, &tick.catalog).await?;
        drop(tx);
        if has_others {
            let mut tx = tick.lease.fence.begin(&app.db, Some(&tick.catalog)).await?;
            drift::leave_others(&mut tx, &tick.catalog, FORGOTTEN, tick.now).await?;
            tx.commit().await?;
            return Ok(Rest::Again);
        }
        repair::run(&app, &tick).await?;
        let sweep = self.sweep(&tick).await?;
        let mut tx = app.db.read().await?;
        let again = drift::findings::due(&mut tx, &tick.catalog, tick.now, look::MOST).await?;
        drop(tx);
        let Some(sweep) = sweep else { return Ok(Rest::Interval) };
        if sweep.finished_at.is_some() && again.is_empty() {
            return Ok(Rest::Interval);
        }
        let Some(access) = self.access(&tick.settings).await? else { return Ok(Rest::Interval) };
        if let Some(rest) = self.paced(&tick).await? {
            return Ok(rest);
        }
        self.look(&tick, &access, sweep, again).await
    }
}
