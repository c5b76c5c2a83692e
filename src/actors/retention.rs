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

use serde::Deserialize;
use tracing::info;

use super::runtime::{Job, JobError, Rest};
use crate::clock::Millis;
use crate::pipeline::Pipeline;
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

const DAY_MS: Millis = 24 * 60 * 60 * 1_000;

/// How long what is settled is kept, in days; 0 = for ever.
///
/// A day is the least: by then a process that stood still during a call has told of it ([`submission::note_late`]), and
/// nobody counts the deletes of the last hour any more ([`submission::implicit_deletes_since`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Processed intents of the outbox, from when they were processed.
    pub intent_days: u32,
    /// Submissions with their records and errors, from their verdict.
    pub submission_days: u32,
}

impl RetentionConfig {
    /// The longest time that can be asked for; longer is 0.
    pub const MAX_DAYS: u32 = 3_650;
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { intent_days: 30, submission_days: 7 }
    }
}

/// Before when something is too old; none when it is kept for ever.
fn cutoff(days: u32, now: Millis) -> Option<Millis> {
    (days > 0).then(|| now.saturating_sub(Millis::from(days).saturating_mul(DAY_MS)))
}

/// The job of the RetentionActor.
#[derive(Debug)]
pub struct RetentionJob {
    pipeline: Arc<Pipeline>,
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
    pub fn new(pipeline: Arc<Pipeline>, config: RetentionConfig) -> Self {
        Self { pipeline, config, pass: Pass::default() }
    }

    /// Does one chunk.
    async fn run(&mut self) -> Result<Rest, StoreError> {
        let Some(lease) = self.pipeline.lease.current() else {
            self.pass = Pass::default();
            return Ok(Rest::For(LEASE_EVERY));
        };
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
            info!(intents, submissions, "settled long enough ago, so forgotten");
        }
        Ok(Rest::Interval)
    }

    /// Answers how many went, and where the next chunk begins, if there is one.
    async fn forget_intents(&self, fence: &Fence, from: Place) -> Result<(u64, Option<Place>), StoreError> {
        let db = &self.pipeline.db;
        let Some(before) = cutoff(self.config.intent_days, self.pipeline.now()) else { return Ok((0, None)) };
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
        let Some(before) = cutoff(self.config.submission_days, self.pipeline.now()) else { return Ok((0, true)) };
        let mut tx = fence.begin(&self.pipeline.db, None).await?;
        let gone = submission::forget(&mut tx, before, SUBMISSIONS).await?;
        tx.commit().await?;
        Ok((gone, gone < SUBMISSIONS.unsigned_abs()))
    }
}

impl Job for RetentionJob {
    fn interval(&self) -> Duration {
        EVERY
    }

    async fn tick(&mut self) -> Result<Rest, JobError> {
        match self.run().await {
            Ok(rest) => Ok(rest),
            Err(StoreError::Deposed(_)) => {
                self.pass = Pass::default();
                Ok(Rest::For(LEASE_EVERY))
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_too_old_when_it_is_kept_for_ever() {
        assert_eq!(cutoff(0, Millis::MAX), None);
        assert_eq!(cutoff(1, DAY_MS + 5), Some(5));
    }
}
