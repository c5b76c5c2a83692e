//! What a tick needs before it reads the outbox: settings, connection, token, a channel that is open, and the mapper.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use super::DrainJob;
use crate::actors::runtime::Rest;
use crate::actors::slots::CallError;
use crate::actors::token::TokenFault;
use crate::clock::Millis;
use crate::domain::breaker::Gate;
use crate::domain::budget::{Answer, Bucket};
use crate::domain::outcome::Problem;
use crate::domain::settings::{FeedMode, Settings};
use crate::mapping::Running;
use crate::mapping::follow::{NotFollowed, follow};
use crate::pipeline::{Access, HeldLease, Pipeline};
use crate::store::channel::Channel;
use crate::store::{self, Deposed, StoreError, Tx};

/// The longest a tick is put off unseen.
const LONGEST_HOLD: Duration = Duration::from_secs(5);

/// Everything a tick that may call Meta knows.
pub(super) struct Tick {
    pub(super) lease: HeldLease,
    pub(super) settings: Arc<Settings>,
    pub(super) map_settings: Arc<mapper_core::MapSettings>,
    pub(super) catalog: String,
    pub(super) access: Access,
    pub(super) channel: Channel,
    pub(super) preview: bool,
    /// The mapper of the whole tick: what it records counts only while this one is active.
    pub(super) mapper: Arc<Running>,
    pub(super) now: Millis,
}

impl Tick {
    /// Begins a transaction that records what this tick decided.
    pub(super) async fn begin_decided(&self, pipeline: &Pipeline) -> Result<Tx, StoreError> {
        self.lease.fence.begin_decided(&pipeline.db, &self.catalog, self.settings.version, self.mapper.key()).await
    }
}

impl Tick {
    /// Whether what this tick decides can still be recorded, as far as this process knows: a look that costs nothing.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when the lease, the settings or the mapper are others by now.
    pub(super) fn still_counts(&self, pipeline: &Pipeline) -> Result<(), StoreError> {
        let is_ours = pipeline.lease.current().is_some_and(|lease| lease.fence == self.lease.fence);
        let changed = match () {
            () if !is_ours => Deposed::Lease,
            () if pipeline.settings.current().version != self.settings.version => Deposed::Settings,
            () if pipeline.mapper.running().key() != self.mapper.key() => Deposed::Mapper,
            () => return Ok(()),
        };
        Err(StoreError::Deposed(changed))
    }
}

impl DrainJob {
    /// What a call needs, or how long to rest without it.
    pub(super) async fn prepare(&mut self, lease: HeldLease) -> Result<Result<Tick, Rest>, StoreError> {
        let pipeline = &self.pipeline;
        let now = pipeline.now();
        let settings = pipeline.load_settings().await?;
        if !settings.flag("sync_enabled") || !settings.feed_configured() {
            return Ok(Err(Rest::Interval));
        }
        let Some(app) = pipeline.app(&settings).await? else { return Ok(Err(Rest::Interval)) };
        let mut tx = pipeline.db.read().await?;
        let mut channel = store::channel::load(&mut tx).await?;
        // Before the token: a fault may be put down to a credential that has gone, never to the one that follows it.
        let version = store::credential::version(&mut tx).await?;
        drop(tx);
        let token = match pipeline.tokens.get().await {
            Ok(token) => token,
            Err(fault) => return self.without_token(&lease, channel, version, &fault).await.map(Err),
        };
        let catalog = settings.text("catalog_id");
        let preview = settings.feed_mode() == FeedMode::Preview;
        if !preview {
            // A problem that names a credential waits for another one.
            match channel.problem_credential {
                Some(version) if version == token.version => return Ok(Err(Rest::Interval)),
                Some(_) => {
                    (channel.problem, channel.problem_credential) = (None, None);
                    let mut tx = lease.fence.begin(&pipeline.db, None).await?;
                    store::channel::save(&mut tx, &channel, now).await?;
                    tx.commit().await?;
                }
                None => {}
            }
            match channel.breaker.ask(now) {
                Gate::Go | Gate::Probe => {}
                Gate::OpenUntil(until) => return Ok(Err(hold(until, now))),
                Gate::Probing => return Ok(Err(Rest::Interval)),
            }
            // Only a look: a permit that lay around until there is something to send would come on top of the next.
            if let Err(rest) = permitted(pipeline.limiter.peek(&catalog, Bucket::Batch).await, now) {
                return Ok(Err(rest));
            }
        }
        let mapper = match follow(pipeline).await {
            Ok(mapper) => mapper,
            Err(NotFollowed::Store(error)) => return Err(error),
            Err(error) => return Ok(Err(self.give_lease_up(&lease, &error).await)),
        };
        let map_settings = Arc::new(settings.map_settings(&pipeline.config.s3_public_url));
        let access = Access { app, token };
        Ok(Ok(Tick { lease, settings, map_settings, catalog, access, channel, preview, mapper, now }))
    }

    /// Another replica may be able to run the active mapper.
    async fn give_lease_up(&self, lease: &HeldLease, why: &NotFollowed) -> Rest {
        warn!(%why, "the lease is given up");
        self.pipeline.lease.give_up(&lease.fence);
        if let Err(error) = store::lease::release(&self.pipeline.db, &lease.fence).await {
            warn!(%error, "the lease was not given back; it ends by itself");
        }
        Rest::Interval
    }

    async fn without_token(
        &self,
        lease: &HeldLease,
        mut channel: Channel,
        version: Option<i64>,
        fault: &TokenFault,
    ) -> Result<Rest, StoreError> {
        let code = match fault {
            TokenFault::NotConnected => return Ok(Rest::Interval),
            TokenFault::Superseded | TokenFault::Unavailable { .. } => return Ok(Rest::For(Duration::from_secs(5))),
            TokenFault::Expired { .. } => "meta_token_expired",
            TokenFault::Dead { .. } => "meta_token_dead",
        };
        let problem = Problem { code: code.into(), message: fault.to_string() };
        let known = channel.problem.as_ref().is_some_and(|known| known.code == problem.code);
        if !known || channel.problem_credential != version {
            warn!(code, message = problem.message, "no calls to Meta");
            (channel.problem, channel.problem_credential) = (Some(problem), version);
            let mut tx = lease.fence.begin(&self.pipeline.db, None).await?;
            store::channel::save(&mut tx, &channel, self.pipeline.now()).await?;
            tx.commit().await?;
        }
        Ok(Rest::Interval)
    }
}

/// The limiter's word, as far as this tick is concerned.
pub(super) fn permitted(answer: Result<Answer, CallError>, now: Millis) -> Result<(), Rest> {
    match answer {
        Ok(Answer::Permit) => Ok(()),
        Ok(Answer::ClosedUntil(until)) => Err(hold(until, now)),
        Err(error) => {
            debug!(%error, "no permit");
            Err(Rest::For(Duration::from_secs(1)))
        }
    }
}

/// Waits until then, but looks again now and then: another catalog or a mended connection need not wait.
fn hold(until: Millis, now: Millis) -> Rest {
    let wait = Duration::from_millis(u64::try_from(until - now).unwrap_or(0).max(10));
    Rest::Hold(wait.min(LONGEST_HOLD))
}
