//! The ReaskActor: asks for many variants again, chunk by chunk.
//!
//! Promises: the cursor is stored with each chunk, so a restart continues where the re-ask was; a re-ask is never more
//! than three calls ahead of the drain ([`Pace`]), so a change in the shop waits for at most that. Payloads that Meta
//! already holds are not sent: the drain compares hashes. A process whose built-in mapper or prefix of image keys
//! differs from that of the process before begins a re-ask on its own.
//! Left out on purpose: when any other re-ask is needed. The transaction that needs it begins it
//! ([`crate::store::reask::begin`]).

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use crate::app::App;
use crate::domain::reask::{Pace, Reason};
use crate::failpoints::{Point, at};
use crate::mapping::builtin_digest;
use crate::runtime::leased::{Lease, LeasedJob};
use crate::runtime::periodic::Rest;
use crate::store::reask::MadeWith;
use crate::store::{self, StoreError, outbox};

/// How often the actor checks whether there is work, or room for more intents.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The job of the ReaskActor.
#[derive(Debug)]
pub struct ReaskJob {
    app: Arc<App>,
    /// The epoch in which `compare` last checked what payloads are made with.
    compared_in: Option<i64>,
}

impl ReaskJob {
    /// Creates the re-ask job of this installation.
    #[must_use]
    pub fn new(app: Arc<App>) -> Self {
        Self { app, compared_in: None }
    }

    /// Begins a re-ask if payloads are made with something else than before. Checked once per take-over, because what
    /// they are made with does not change while the process runs.
    async fn compare(&mut self, lease: &Lease) -> Result<(), StoreError> {
        if self.compared_in == Some(lease.fence.epoch) {
            return Ok(());
        }
        let app = &self.app;
        let now = made_with(app);
        let mut tx = lease.fence.begin(&app.db, None).await?;
        let before = store::reask::made_with(&mut tx).await?;
        if before.as_ref() != Some(&now) {
            store::reask::begin(&mut tx, Reason::MapperUpgrade, None, app.now()).await?;
            info!(
                digest = now.builtin_digest,
                "payloads are made differently since the last start; re-ask of every variant begun"
            );
            store::reask::note_made_with(&mut tx, &now).await?;
            tx.commit().await?;
        }
        self.compared_in = Some(lease.fence.epoch);
        Ok(())
    }
}

/// Returns what this process makes payloads with.
#[must_use]
pub fn made_with(app: &App) -> MadeWith {
    MadeWith { builtin_digest: builtin_digest().to_owned(), s3_public_url: app.config.s3_public_url.clone() }
}

impl LeasedJob for ReaskJob {
    fn interval(&self) -> Duration {
        LOOK_EVERY
    }

    async fn tick(&mut self, lease: Lease) -> Result<Rest, StoreError> {
        self.compare(&lease).await?;
        let app = &self.app;
        let pace = Pace::of(app.settings.current().batch_size);
        let mut tx = app.db.read().await?;
        let Some(reask) = store::reask::next(&mut tx).await? else { return Ok(Rest::Interval) };
        if outbox::has_live(&mut tx, pace.backlog).await? {
            return Ok(Rest::Interval);
        }
        let total = match reask.total {
            Some(_) => None,
            None => Some(store::reask::count(&mut tx, reask.reason).await?),
        };
        drop(tx);
        let mut tx = lease.fence.begin(&app.db, None).await?;
        if let Some(total) = total {
            store::reask::counted(&mut tx, &reask, total).await?;
        }
        let more = store::reask::step(&mut tx, &reask, pace.step, app.now()).await?;
        at(Point::ReaskWriting).await;
        tx.commit().await?;
        at(Point::ReaskWritten).await;
        if !more {
            info!(reason = reask.reason.as_str(), "re-ask finished: every variant queued");
        }
        app.work_arrived();
        Ok(if more { Rest::Again } else { Rest::Interval })
    }
}
