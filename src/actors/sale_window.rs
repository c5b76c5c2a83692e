//! The SaleWindowActor: a timer. When a sale starts or ends, the variant's payload changes without any event; the drain
//! left the instant with the variant's state, and here an intent is made of it.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::runtime::{Job, JobError, Rest};
use crate::domain::settings::Pacing;
use crate::failpoints::{Point, at};
use crate::pipeline::Pipeline;
use crate::store::{StoreError, sync_state};

/// How late a sale may end at Meta on our account; the drain's interval comes on top.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Variants of one transaction: at midnight, half a catalog may be due at once.
const CHUNK: i64 = 5_000;

/// The job of the SaleWindowActor.
#[derive(Debug)]
pub struct SaleWindowJob {
    pipeline: Arc<Pipeline>,
}

impl SaleWindowJob {
    /// The sale windows of this pipeline.
    #[must_use]
    pub fn new(pipeline: Arc<Pipeline>) -> Self {
        Self { pipeline }
    }

    async fn run(&self) -> Result<Rest, StoreError> {
        let Some(lease) = self.pipeline.lease.current() else { return Ok(Rest::Interval) };
        let now = self.pipeline.now();
        let mut tx = self.pipeline.db.read().await?;
        let due = sync_state::windows_due(&mut tx, now).await?;
        drop(tx);
        if !due {
            return Ok(Rest::Interval);
        }
        let mut tx = lease.fence.begin(&self.pipeline.db, None).await?;
        let queued = sync_state::open_windows(&mut tx, CHUNK, now).await?;
        at(Point::WindowOpening).await;
        tx.commit().await?;
        at(Point::WindowOpened).await;
        info!(queued, "sales that started or ended");
        if self.pipeline.settings.current().pacing() == Pacing::Budget {
            self.pipeline.drain.nudge();
        }
        Ok(if queued < CHUNK.unsigned_abs() { Rest::Interval } else { Rest::Again })
    }
}

impl Job for SaleWindowJob {
    fn interval(&self) -> Duration {
        LOOK_EVERY
    }

    async fn tick(&mut self) -> Result<Rest, JobError> {
        match self.run().await {
            Ok(rest) => Ok(rest),
            Err(StoreError::Deposed(_)) => Ok(Rest::Interval),
            Err(error) => Err(error.into()),
        }
    }
}
