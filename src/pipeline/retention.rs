//! The RetentionActor: forgets what is settled, once it is old enough ([`RetentionConfig`]).
//!
//! Promises: what is open never goes, nor what a later question needs, whatever its age: [`outbox::settled`] and
//! [`submission::forget`] say what that is. Rows go under the lease's fence, a small transaction at a time with a pause
//! behind each, so drain and poll never wait for more than one of them; what has to stay is only read, beside the fence.
//!
//! Left out on purpose: the tables that do not grow with what the shop does. State rows and sets of fields are as many
//! as variants and kinds of payloads; activations and offers of mapper modules are as many as people made and stay small
//! ([`crate::store::mapper`]); previews and states of OAuth consents are cleared where the next one begins. Giving space
//! back to the file system is the database's business.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use crate::app::App;
use crate::domain::retention::{RetentionConfig, cutoff};
use crate::runtime::leased::{Lease, LeasedJob};
use crate::runtime::periodic::Rest;
use crate::store::lease::Fence;
use crate::store::outbox::Place;
use crate::store::{StoreError, outbox, submission};

/// From the end of a pass to the next one.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// How often it looks whether this process has the lease by now.
const LEASE_EVERY: Duration = Duration::from_secs(60);
/// Between two chunks, so that whoever waits for the fence comes first.
const PAUSE: Duration = Duration::from_millis(200);
/// Intents of one chunk. Their index entries lie anywhere, so SQLite writes some pages for each of them.
const INTENTS: i64 = 1_000;
/// Submissions of one chunk; each has up to 5,000 records in it.
const SUBMISSIONS: i64 = 50;

/// The job of the RetentionActor.
#[derive(Debug)]
pub struct RetentionJob {
    app: Arc<App>,
    config: RetentionConfig,
    pass: Pass,
}

/// The pass under way; a restart or another holder begins a new one, which loses nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Pass {
    stage: Stage,
    intents: u64,
    submissions: u64,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The intents behind this place are next.
    Intents(Place),
    Submissions,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Intents(Place::START)
    }
}

impl RetentionJob {
    /// The retention of this pipeline.
    #[must_use]
    pub fn new(app: Arc<App>, config: RetentionConfig) -> Self {
        Self { app, config, pass: Pass::default() }
    }

    /// Answers how many went, and where the next chunk begins, if there is one.
    async fn forget_intents(&self, fence: &Fence, from: Place) -> Result<(u64, Option<Place>), StoreError> {
        let db = &self.app.db;
        let Some(before) = cutoff(self.config.intent_days, self.app.now()) else { return Ok((0, None)) };
        let mut tx = db.read().await?;
        let settled = outbox::settled(&mut tx, before, from, INTENTS).await?;
        drop(tx);
        if settled.seqs.is_empty() {
            return Ok((0, settled.next));
        }
        let mut tx = fence.begin(db, None).await?;
        let gone = outbox::forget(&mut tx, &settled.seqs).await?;
        tx.commit().await?;
        Ok((gone, settled.next))
    }

    /// Answers how many went, and whether that were all.
    async fn forget_submissions(&self, fence: &Fence) -> Result<(u64, bool), StoreError> {
        let Some(before) = cutoff(self.config.submission_days, self.app.now()) else { return Ok((0, true)) };
        let mut tx = fence.begin(&self.app.db, None).await?;
        let gone = submission::forget(&mut tx, before, SUBMISSIONS).await?;
        tx.commit().await?;
        Ok((gone, gone < SUBMISSIONS.unsigned_abs()))
    }
}

impl LeasedJob for RetentionJob {
    fn interval(&self) -> Duration {
        EVERY
    }

    fn idle(&mut self) -> Rest {
        self.pass = Pass::default();
        Rest::For(LEASE_EVERY)
    }

    /// Does one chunk.
    async fn tick(&mut self, lease: Lease) -> Result<Rest, StoreError> {
        let (gone, is_last) = match self.pass.stage {
            Stage::Intents(from) => {
                let (gone, next) = self.forget_intents(&lease.fence, from).await?;
                self.pass.stage = next.map_or(Stage::Submissions, Stage::Intents);
                self.pass.intents += gone;
                (gone, false)
            }
            Stage::Submissions => {
                let (gone, is_last) = self.forget_submissions(&lease.fence).await?;
                self.pass.submissions += gone;
                (gone, is_last)
            }
        };
        if !is_last {
            // What was only read was in nobody's way.
            return Ok(if gone > 0 { Rest::For(PAUSE) } else { Rest::Again });
        }
        let Pass { intents, submissions, .. } = std::mem::take(&mut self.pass);
        if intents + submissions > 0 {
            info!(intents, submissions, "old settled rows deleted");
        }
        Ok(Rest::Interval)
    }
}
