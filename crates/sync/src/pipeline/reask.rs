//! The ReaskActor: queues many variants again, chunk by chunk.
//!
//! Promises: the cursor is stored with each chunk, so a re-ask continues at the same place after a restart. A re-ask is
//! never more than three calls ahead of the drain ([`Pace`]), so its intents are mapped with what is true when they are
//! sent. They go to the bulk lane: no change of the shop waits for them.
//! Payloads that Meta already has are not sent: the drain compares hashes. A process whose built-in mapper or image key
//! prefix differs from that of the previous process starts a re-ask by itself, and so do names that changed.
//! Left out on purpose: the other reasons for a re-ask. The transaction that needs a re-ask begins it
//! ([`crate::store::reask::begin`]).

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use crate::app::App;
use crate::domain::intent::Lane;
use crate::domain::reask::{Pace, Reason};
use crate::failpoints::{Point, at};
use crate::mapping::builtin_digest;
use crate::runtime::leased::{Lease, LeasedJob};
use crate::runtime::periodic::Rest;
use crate::store::lease::Fence;
use crate::store::reask::{MadeWith, Step};
use crate::store::{self, StoreError, outbox};

/// How often the job checks for a re-ask and for room in the outbox.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The job of the ReaskActor.
#[derive(Debug)]
pub struct ReaskJob {
    app: Arc<App>,
}

impl ReaskJob {
    /// Returns the re-ask job for this installation.
    #[must_use]
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

/// Begins a re-ask if the payload inputs of this process differ from those of the process before it. Runs at each
/// take-over of the lease, before the first call: a process that dies after a call leaves the record of its inputs.
///
/// # Errors
/// When the database query fails.
pub(super) async fn compare(app: &App, fence: &Fence) -> Result<(), StoreError> {
    let now = made_with(app);
    let mut tx = fence.begin(&app.db, None).await?;
    let before = store::reask::made_with(&mut tx).await?;
    if before.as_ref() != Some(&now) {
        store::reask::begin(&mut tx, Reason::MapperUpgrade, None, app.now()).await?;
        info!(digest = now.builtin_digest, "re-ask started: the built-in mapper or the image key prefix changed");
        store::reask::note_made_with(&mut tx, &now).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Returns the inputs from which this process makes payloads.
#[must_use]
pub fn made_with(app: &App) -> MadeWith {
    MadeWith { builtin_digest: builtin_digest().to_owned(), s3_public_url: app.config.s3_public_url.clone() }
}

impl LeasedJob for ReaskJob {
    fn interval(&self) -> Duration {
        LOOK_EVERY
    }

    async fn tick(&mut self, lease: Lease) -> Result<Rest, StoreError> {
        let app = &self.app;
        let pace = Pace::of(app.settings.current().batch_size);
        let mut tx = app.db.read().await?;
        if store::reask::is_renamed(&mut tx).await? {
            drop(tx);
            let mut begun = lease.fence.begin(&app.db, None).await?;
            store::reask::begin(&mut begun, Reason::Renamed, None, app.now()).await?;
            begun.commit().await?;
            info!("re-ask started: a vendor, brand, category or option was renamed");
            tx = app.db.read().await?;
        }
        let Some(reask) = store::reask::next(&mut tx).await? else { return Ok(Rest::Interval) };
        if outbox::has_live(&mut tx, Lane::Bulk, pace.backlog).await? {
            return Ok(Rest::Interval);
        }
        let total = match reask.total {
            Some(_) => None,
            None => Some(store::reask::count(&mut tx, reask.reason).await?),
        };
        drop(tx);
        let mut tx = lease.fence.begin(&app.db, None).await?;
        let step = store::reask::step(&mut tx, &reask, total, pace.step, app.now()).await?;
        at(Point::ReaskWriting).await;
        tx.commit().await?;
        at(Point::ReaskWritten).await;
        if step == Step::Done {
            info!(reason = reask.reason.as_str(), "re-ask finished: every variant queued");
        }
        app.work_arrived();
        Ok(if step == Step::More { Rest::Again } else { Rest::Interval })
    }
}
