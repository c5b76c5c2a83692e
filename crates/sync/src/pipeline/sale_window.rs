//! The SaleWindowActor: a timer. When a sale starts or ends, the variant's payload changes without an event. The drain
//! stored this instant with the variant's state, and this actor queues an intent for it.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use crate::app::App;
use crate::failpoints::{Point, at};
use crate::runtime::leased::{Lease, LeasedJob};
use crate::runtime::periodic::Rest;
use crate::store::{StoreError, sync_state};

/// The maximum delay that this actor adds to the end of a sale at Meta; the drain's interval is added to it.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Number of variants in one transaction: at midnight, half a catalog may be due at once.
const CHUNK: i64 = 5_000;

/// The job of the SaleWindowActor.
#[derive(Debug)]
pub struct SaleWindowJob {
    app: Arc<App>,
}

impl SaleWindowJob {
    /// Returns the sale window job for this pipeline.
    #[must_use]
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

impl LeasedJob for SaleWindowJob {
    fn interval(&self) -> Duration {
        LOOK_EVERY
    }

    async fn tick(&mut self, lease: Lease) -> Result<Rest, StoreError> {
        let now = self.app.now();
        let mut tx = self.app.db.read().await?;
        let due = sync_state::windows_due(&mut tx, now).await?;
        drop(tx);
        if !due {
            return Ok(Rest::Interval);
        }
        let mut tx = lease.fence.begin(&self.app.db, None).await?;
        let queued = sync_state::open_windows(&mut tx, CHUNK, now).await?;
        at(Point::WindowOpening).await;
        tx.commit().await?;
        at(Point::WindowOpened).await;
        info!(queued, "intents queued for sales that started or ended");
        self.app.work_arrived();
        Ok(if queued < CHUNK.unsigned_abs() { Rest::Interval } else { Rest::Again })
    }
}
