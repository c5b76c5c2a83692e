//! The RemapActor: asks for every variant again after a mapper was swapped, chunk by chunk.
//!
//! Promises: the cursor is stored with each chunk, so a restart goes on where it was; the backlog is kept short, so a
//! re-map of a million variants never stands before a change of the shop by more than `BACKLOG` intents. What the new
//! mapper says as the old one did is not sent: the drain compares hashes.
//! Left out on purpose: deciding when a re-map is wanted ([`crate::admin::mapper`]).

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::runtime::{Job, JobError, Rest};
use crate::domain::settings::Pacing;
use crate::failpoints::{Point, at};
use crate::pipeline::Pipeline;
use crate::store::{StoreError, mapper, outbox};

/// Variants of one transaction.
const CHUNK: i64 = 1_000;
/// Live intents above which it waits for the drain.
const BACKLOG: i64 = 20_000;
/// How often it looks whether there is something to do, or room for more.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The job of the RemapActor.
#[derive(Debug)]
pub struct RemapJob {
    pipeline: Arc<Pipeline>,
}

impl RemapJob {
    /// The re-maps of this pipeline.
    #[must_use]
    pub fn new(pipeline: Arc<Pipeline>) -> Self {
        Self { pipeline }
    }

    async fn run(&self) -> Result<Rest, StoreError> {
        let pipeline = &self.pipeline;
        let Some(lease) = pipeline.lease.current() else { return Ok(Rest::Interval) };
        let mut tx = pipeline.db.read().await?;
        let Some(remap) = mapper::remap(&mut tx).await?.filter(|remap| remap.finished_at.is_none()) else {
            return Ok(Rest::Interval);
        };
        if outbox::has_live(&mut tx, BACKLOG).await? {
            return Ok(Rest::Interval);
        }
        drop(tx);
        let mut tx = lease.fence.begin(&pipeline.db, None).await?;
        let more = mapper::step_remap(&mut tx, &remap, CHUNK, pipeline.now()).await?;
        at(Point::RemapWriting).await;
        tx.commit().await?;
        at(Point::RemapWritten).await;
        if !more {
            info!(queued = remap.queued, "every variant was asked for again");
        }
        if pipeline.settings.current().pacing() == Pacing::Budget {
            pipeline.drain.nudge();
        }
        Ok(if more { Rest::Again } else { Rest::Interval })
    }
}

impl Job for RemapJob {
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
