//! The LeaseActor: takes, renews and gives up the right to run the pipeline.
//!
//! Promises: at most one process runs drain, poll and sale windows on a database. A process that lost the lease stops
//! its pipeline, and commits nothing even before it notices the loss (see [`crate::store::lease`]). A renewal also
//! returns whether the settings, the credential or the mapper changed, so replicas learn of changes. Loading a module
//! for such a change does not delay renewals.
//! Left out on purpose: waiting for the lease. The next round tries again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::app::App;
use crate::failpoints::{Point, at};
use crate::mapping::active::NotFollowed;
use crate::pipeline::reask;
use crate::runtime::leased::Lease;
use crate::runtime::periodic::{Job, JobError, Rest};
use crate::store::lease::{self, Renewal};
use crate::store::{StoreError, limiter};

/// The job of the LeaseActor.
#[derive(Debug)]
pub struct LeaseJob {
    app: Arc<App>,
    seen: Option<Renewal>,
    /// At most one load of the active mapper; it ends with this job.
    following: JoinSet<()>,
    /// The last logged reason for not requesting the lease.
    told: Option<String>,
}

impl LeaseJob {
    /// Returns the lease job for this pipeline.
    #[must_use]
    pub fn new(app: Arc<App>) -> Self {
        Self { app, seen: None, following: JoinSet::new(), told: None }
    }

    async fn take(&mut self) -> Result<(), StoreError> {
        let app = &self.app;
        // A process that cannot run the active mapper leaves the lease to a replica that can.
        match app.active.follow().await {
            Ok(_) => self.told = None,
            Err(NotFollowed::Store(error)) => return Err(error),
            Err(NotFollowed::Unusable(why)) => {
                if self.told.as_ref() != Some(&why) {
                    warn!(why, "lease not requested: this process cannot run the active mapper");
                    self.told = Some(why);
                }
                return Ok(());
            }
        }
        // Counted from before the request: the local end of the lease is never later than the end in the database.
        let until = app.now() + self.ttl();
        let Some(fence) = lease::take(&app.db, &app.config.instance, self.ttl()).await? else {
            return Ok(());
        };
        at(Point::LeaseTaken).await;
        info!(epoch = fence.epoch, "lease taken: this process runs the pipeline");
        reask::compare(app, &fence).await?;
        let mut tx = app.db.read().await?;
        let budgets = limiter::load(&mut tx).await?;
        drop(tx);
        if let Err(error) = app.limiter.load(budgets) {
            warn!(%error, "stored budgets not loaded into the limiter; the next responses from Meta supply them");
        }
        app.lease.put(Some(Lease { fence, until }));
        app.wake.all();
        Ok(())
    }

    async fn renew(&mut self, held: Lease) -> Result<(), StoreError> {
        let app = &self.app;
        let until = app.now() + self.ttl();
        match lease::renew(&app.db, &held.fence, self.ttl()).await? {
            Some(renewal) => {
                at(Point::LeaseRenewed).await;
                app.lease.put(Some(Lease { until, ..held }));
                if self.seen.as_ref().is_some_and(|seen| seen.settings != renewal.settings) {
                    app.load_settings().await?;
                    app.wake.drain.nudge();
                }
                if renewal.mapper != **app.active.current().key() {
                    self.follow();
                }
                self.seen = Some(renewal);
            }
            None => {
                warn!(epoch = held.fence.epoch, "lease lost: another process runs the pipeline now");
                app.lease.give_up(&held.fence);
            }
        }
        Ok(())
    }

    /// Loads the active mapper in parallel to the renewals, unless a load is running. The drain loads it as well, and
    /// gives the lease up if the load fails; this load serves the API.
    fn follow(&mut self) {
        while self.following.try_join_next().is_some() {}
        if self.following.is_empty() {
            let app = Arc::clone(&self.app);
            self.following.spawn(async move {
                // A failure is logged where it occurs, and the next renewal tries again.
                let _ = app.active.follow().await;
                app.wake.drain.nudge();
            });
        }
    }

    fn ttl(&self) -> i64 {
        i64::try_from(self.app.config.lease.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Job for LeaseJob {
    fn interval(&self) -> Duration {
        self.app.config.lease / 6
    }

    async fn tick(&mut self) -> Result<Rest, JobError> {
        let done = match self.app.lease.current() {
            Some(held) => self.renew(held).await,
            None => self.take().await,
        };
        if let Err(error) = done {
            // The lease expires by itself while the database is unavailable; a restart of this actor would not repair
            // that.
            warn!(error = %crate::report::chain(&error), "lease query failed");
            if self.app.lease.current().is_some_and(|held| held.until <= self.app.now()) {
                self.app.lease.put(None);
            }
        }
        Ok(Rest::Interval)
    }
}
