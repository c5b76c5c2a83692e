//! The RetentionActor: deletes settled rows once they are old enough ([`RetentionConfig`]).
//!
//! Promises: open rows are never deleted, nor rows that a later operation needs, whatever their age:
//! [`outbox::settled`] and [`submission::forget`] define which rows these are. Rows are deleted under the lease's
//! fence, in small transactions with a pause after each, so drain and poll never wait for more than one of them; rows
//! that have to stay are only read, outside the fence.
//!
//! Left out on purpose: the tables that do not grow with the shop's activity. The number of state rows and sets of
//! fields is bounded by the variants and the kinds of payloads; activations and offers of mapper modules are made by
//! people and stay few and small ([`crate::store::mapper`]); previews and states of OAuth consents are deleted when the
//! next one begins. Returning space to the file system is left to the database.

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

/// The time from the end of a pass to the next one.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// How often the actor checks whether this process has the lease.
const LEASE_EVERY: Duration = Duration::from_secs(60);
/// The pause between two chunks, so that transactions that wait for the fence come first.
const PAUSE: Duration = Duration::from_millis(200);
/// Intents per chunk. Their index entries are scattered, so SQLite writes several pages for each of them.
const INTENTS: i64 = 1_000;
/// Submissions per chunk; each contains up to 5,000 records.
const SUBMISSIONS: i64 = 50;

/// The job of the RetentionActor.
#[derive(Debug)]
pub struct RetentionJob {
    app: Arc<App>,
    config: RetentionConfig,
    pass: Pass,
}

/// The current pass; a restart or another lease holder begins a new one, which loses nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Pass {
    stage: Stage,
    intents: u64,
    submissions: u64,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The intents after this place are next.
    Intents(Place),
    Submissions,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Intents(Place::START)
    }
}

impl RetentionJob {
    /// Creates the retention of this pipeline.
    #[must_use]
    pub fn new(app: Arc<App>, config: RetentionConfig) -> Self {
        Self { app, config, pass: Pass::default() }
    }

    /// Returns the number of deleted intents, and where the next chunk begins; `None` when there is none.
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

    /// Returns the number of deleted submissions, and whether no more are left.
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

    /// Processes one chunk.
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
            // A chunk that was only read blocked nothing.
            return Ok(if gone > 0 { Rest::For(PAUSE) } else { Rest::Again });
        }
        let Pass { intents, submissions, .. } = std::mem::take(&mut self.pass);
        if intents + submissions > 0 {
            info!(intents, submissions, "settled rows deleted");
        }
        Ok(Rest::Interval)
    }
}
