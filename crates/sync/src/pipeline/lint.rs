//! The LintActor: compares variants with each other ([`crate::domain::lint`]) after the drain has changed what is known
//! of them.
//!
//! Promises: a pass costs the drain at most a twentieth of its time: after a pass this actor rests for twenty times as
//! long as the pass took. A pass reads one snapshot and holds no lock; its findings are written in small transactions
//! under the fence. Memory is bounded by `FOUND`; what is beyond it is left to the next pass.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::debug;

use crate::app::App;
use crate::runtime::leased::{Lease, LeasedJob};
use crate::runtime::periodic::Rest;
use crate::store::{StoreError, lint};

/// How many times the length of a pass the actor rests after it.
const REST: u32 = 20;
/// The shortest rest after a pass: a call at a time changes little.
const SHORTEST_REST: Duration = Duration::from_secs(1);
/// How often the actor looks when it is not woken.
const EVERY: Duration = Duration::from_secs(60);
/// Number of findings of one pass.
const FOUND: i64 = 50_000;
/// Number of findings in one transaction.
const CHUNK: usize = 2_000;

/// The job of the LintActor.
#[derive(Debug)]
pub struct LintJob {
    app: Arc<App>,
    /// What [`App::changes`] said when the last pass began. `None` before the first one.
    seen: Option<u64>,
}

impl LintJob {
    /// Returns the lint job for this pipeline.
    #[must_use]
    pub fn new(app: Arc<App>) -> Self {
        Self { app, seen: None }
    }
}

impl LeasedJob for LintJob {
    fn interval(&self) -> Duration {
        EVERY
    }

    fn idle(&mut self) -> Rest {
        // Another process may change the states meanwhile.
        self.seen = None;
        Rest::Interval
    }

    async fn tick(&mut self, lease: Lease) -> Result<Rest, StoreError> {
        let changes = self.app.changes.count();
        if self.seen == Some(changes) {
            return Ok(Rest::Interval);
        }
        let started = Instant::now();
        let mut tx = self.app.db.read_apart().await?;
        let found = lint::changed(&mut tx, FOUND).await?;
        drop(tx);
        for chunk in found.chunks(CHUNK) {
            let mut tx = lease.fence.begin(&self.app.db, None).await?;
            lint::write(&mut tx, chunk, self.app.now()).await?;
            tx.commit().await?;
        }
        // What was found is looked at again: another pass may find more, or a row that was held.
        self.seen = found.is_empty().then_some(changes);
        let rest = SHORTEST_REST.max(started.elapsed() * REST);
        debug!(found = found.len(), rest_ms = rest.as_millis(), "lint pass finished");
        Ok(Rest::Hold(rest))
    }
}
