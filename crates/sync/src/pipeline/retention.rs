//! The RetentionActor: deletes settled rows that are old enough ([`RetentionConfig`]).
//!
//! Promises: open intents and submissions are never deleted, and neither are rows that a later query needs, whatever their age:
//! [`outbox::settled`] and [`submission::forget`] define these rows. Rows are deleted under the lease's fence in small
//! transactions with a pause after each, so drain and poll never wait for more than one of them. Rows that stay are
//! only read, outside the fence. The bodies of calls go with their submissions, and earlier when there are too many.
//!
//! Left out on purpose: the tables that do not grow with the activity of the shop. The number of state rows and sets of
//! fields is bounded by the number of variants and kinds of payloads. Activations and offers of mapper modules are made
//! by people and stay few ([`crate::store::mapper`]). Previews and states of OAuth consents are cleared when the next
//! one begins; only the session tokens of logins that were not completed go with a pass. Returning space to the file system is left to the database.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use crate::app::App;
use crate::domain::retention::{AUDIT_ROWS, BODIES, BODY_BYTES, RetentionConfig, cutoff};
use crate::runtime::leased::{Lease, LeasedJob};
use crate::runtime::periodic::Rest;
use crate::store::lease::Fence;
use crate::store::outbox::Place;
use crate::store::sent_body::{self, Room};
use crate::store::{StoreError, audit, oauth_state, outbox, submission};

/// The time from the end of a pass to the next pass.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// How often the job checks whether this process has the lease.
const LEASE_EVERY: Duration = Duration::from_secs(60);
/// The pause between two chunks, so that actors that wait for the fence run first.
const PAUSE: Duration = Duration::from_millis(200);
/// Number of intents in one chunk. Their index entries are scattered, so SQLite writes several pages for each intent.
const INTENTS: i64 = 1_000;
/// Number of submissions in one chunk; each contains up to 5,000 records.
const SUBMISSIONS: i64 = 50;

/// Number of actions of the audit trail in one chunk.
const ACTIONS: i64 = 1_000;

/// The job of the RetentionActor.
#[derive(Debug)]
pub struct RetentionJob {
    app: Arc<App>,
    config: RetentionConfig,
    pass: Pass,
}

/// The current pass. A restart or another lease holder begins a new pass, which loses nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Pass {
    stage: Stage,
    intents: u64,
    submissions: u64,
    actions: u64,
    bodies: u64,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The intents after this place are next.
    Intents(Place),
    Submissions,
    Audit,
    Bodies,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Intents(Place::START)
    }
}

impl RetentionJob {
    /// Returns the retention job for this pipeline.
    #[must_use]
    pub fn new(app: Arc<App>, config: RetentionConfig) -> Self {
        Self { app, config, pass: Pass::default() }
    }

    /// Deletes one chunk of intents. Returns the number of deleted rows and the start of the next chunk; `None` when
    /// there is no further chunk.
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

    /// Deletes one chunk of submissions. Returns the number of deleted rows and whether this was the last chunk.
    async fn forget_submissions(&self, fence: &Fence) -> Result<(u64, bool), StoreError> {
        let Some(before) = cutoff(self.config.submission_days, self.app.now()) else { return Ok((0, true)) };
        let mut tx = fence.begin(&self.app.db, None).await?;
        let gone = submission::forget(&mut tx, before, SUBMISSIONS).await?;
        tx.commit().await?;
        Ok((gone, gone < SUBMISSIONS.unsigned_abs()))
    }

    /// Deletes one chunk of the audit trail. Returns the number of deleted rows and whether this was the last chunk.
    async fn forget_actions(&self, fence: &Fence) -> Result<(u64, bool), StoreError> {
        let before = cutoff(self.config.audit_days, self.app.now());
        let mut tx = fence.begin(&self.app.db, None).await?;
        let gone = audit::forget(&mut tx, before, AUDIT_ROWS, ACTIONS).await?;
        tx.commit().await?;
        Ok((gone, gone < ACTIONS.unsigned_abs()))
    }

    /// Deletes one chunk of the bodies for which there is no room or no submission. Returns as
    /// [`Self::forget_submissions`].
    async fn forget_bodies(&self, fence: &Fence) -> Result<(u64, bool), StoreError> {
        let db = &self.app.db;
        let mut tx = db.read().await?;
        let room = Room { bytes: BODY_BYTES, bodies: BODIES };
        let surplus = sent_body::surplus(&mut tx, room, SUBMISSIONS).await?;
        drop(tx);
        if surplus.is_empty() {
            return Ok((0, true));
        }
        let mut tx = fence.begin(db, None).await?;
        let gone = sent_body::forget(&mut tx, &surplus).await?;
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

    /// Deletes one chunk.
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
                if is_last {
                    self.pass.stage = Stage::Audit;
                }
                (gone, false)
            }
            Stage::Audit => {
                let (gone, is_last) = self.forget_actions(&lease.fence).await?;
                self.pass.actions += gone;
                if is_last {
                    self.pass.stage = Stage::Bodies;
                }
                (gone, false)
            }
            Stage::Bodies => {
                let (gone, is_last) = self.forget_bodies(&lease.fence).await?;
                self.pass.bodies += gone;
                (gone, is_last)
            }
        };
        if !is_last {
            // A chunk that was only read blocked no other actor.
            return Ok(if gone > 0 { Rest::For(PAUSE) } else { Rest::Again });
        }
        let mut tx = lease.fence.begin(&self.app.db, None).await?;
        oauth_state::forget_expired(&mut tx, self.app.now()).await?;
        tx.commit().await?;
        let Pass { intents, submissions, actions, bodies, .. } = std::mem::take(&mut self.pass);
        if intents + submissions + actions + bodies > 0 {
            info!(intents, submissions, actions, bodies, "old settled rows deleted");
        }
        Ok(Rest::Interval)
    }
}
