//! The HistoryActor: writes what happened in each minute, for the operator's page.
//!
//! Promises: a minute is counted from what the database holds, so a restart or another lease holder loses none, and every
//! replica reads the same. The number of open intents is the one that `/status` shows; it is taken outside the fence. The
//! transaction under the fence reads two index ranges and writes a few rows.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::domain::history::{self, KEPT};
use crate::runtime::leased::{Lease, LeasedJob};
use crate::runtime::periodic::Rest;
use crate::store::history::Waiting;
use crate::store::{self, StoreError, outbox};

/// How often the actor looks for the lease.
const LEASE_EVERY: Duration = Duration::from_secs(15);

/// The job of the HistoryActor.
#[derive(Debug)]
pub struct HistoryJob {
    app: Arc<App>,
}

impl HistoryJob {
    /// Returns the history job for this pipeline.
    #[must_use]
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

impl LeasedJob for HistoryJob {
    fn interval(&self) -> Duration {
        LEASE_EVERY
    }

    async fn tick(&mut self, lease: Lease) -> Result<Rest, StoreError> {
        let app = &self.app;
        let mut tx = app.db.read().await?;
        let last = store::history::last(&mut tx).await?;
        let oldest = outbox::oldest_live(&mut tx).await?;
        drop(tx);
        let now = app.now();
        if let Some(minutes) = history::due(last, now) {
            let oldest_age = oldest.map(|at| (now - at).max(0));
            let waiting = Waiting { backlog: app.backlog().await?.live, oldest_age };
            let mut tx = lease.fence.begin(&app.db, None).await?;
            store::history::write(&mut tx, &minutes, waiting).await?;
            store::history::forget(&mut tx, minutes.end() + 1 - KEPT).await?;
            tx.commit().await?;
        }
        Ok(Rest::For(history::wait(app.now())))
    }
}
