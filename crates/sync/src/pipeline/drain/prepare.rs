//! The preconditions of a tick before it reads the outbox: settings, connection, token, an open channel, and the
//! mapper.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::DrainJob;
use crate::actors::token::TokenFault;
use crate::app::{Access, App};
use crate::clock::Millis;
use crate::domain::breaker::Gate;
use crate::domain::budget::{Admission, Bucket};
use crate::domain::channel::Channel;
use crate::domain::outcome::Problem;
use crate::domain::settings::{FeedMode, Settings};
use crate::mapping::LoadedMapper;
use crate::mapping::active::NotFollowed;
use crate::runtime::leased::Lease;
use crate::runtime::periodic::Rest;
use crate::runtime::slots::CallError;
use crate::store::{self, Deposed, StoreError, Tx};

/// The longest time before its permit at which a call is made ready: what it contains grows old meanwhile.
const LONGEST_MAKING_MS: Millis = 2_000;
/// The longest pause before a held tick checks its preconditions again.
const LONGEST_HOLD: Duration = Duration::from_secs(5);

/// The data of a tick that may call Meta.
pub(super) struct Tick {
    pub(super) lease: Lease,
    pub(super) settings: Arc<Settings>,
    pub(super) map_settings: Arc<mapper_core::MapSettings>,
    pub(super) catalog: String,
    pub(super) access: Access,
    pub(super) channel: Channel,
    pub(super) preview: bool,
    /// The mapper of the whole tick: the tick can record its decisions only while this mapper is active.
    pub(super) mapper: Arc<LoadedMapper>,
    pub(super) now: Millis,
}

impl Tick {
    /// Begins a transaction that records the decisions of this tick.
    pub(super) async fn begin_decided(&self, app: &App) -> Result<Tx, StoreError> {
        self.lease.fence.begin_decided(&app.db, &self.catalog, self.settings.version, self.mapper.key()).await
    }
}

impl Tick {
    /// Checks, without a database query, whether the decisions of this tick can still be recorded as far as this
    /// process knows.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when the lease, the settings or the mapper have changed.
    pub(super) fn still_counts(&self, app: &App) -> Result<(), StoreError> {
        let is_ours = app.lease.current().is_some_and(|lease| lease.fence == self.lease.fence);
        let changed = match () {
            () if !is_ours => Deposed::Lease,
            () if app.settings.current().version != self.settings.version => Deposed::Settings,
            () if app.active.current().key() != self.mapper.key() => Deposed::Mapper,
            () => return Ok(()),
        };
        Err(StoreError::Deposed(changed))
    }
}

impl DrainJob {
    /// Returns the data that a tick needs, or how long to pause when a precondition fails.
    pub(super) async fn prepare(&mut self, lease: Lease) -> Result<Result<Tick, Rest>, StoreError> {
        let app = &self.app;
        let now = app.now();
        self.begun = Instant::now();
        let settings = app.load_settings().await?;
        if !settings.sync_enabled || !settings.feed_configured() {
            return Ok(Err(Rest::Interval));
        }
        let Some(credentials) = app.app_credentials(&settings).await? else { return Ok(Err(Rest::Interval)) };
        let mut tx = app.db.read().await?;
        let mut channel = store::channel::load(&mut tx).await?;
        // Read before the token: a fault may be attributed to a credential that was replaced, but never to its
        // successor.
        let version = store::credential::version(&mut tx).await?;
        drop(tx);
        let token = match app.tokens.get().await {
            Ok(token) => token,
            Err(fault) => return self.without_token(&lease, channel, version, &fault).await.map(Err),
        };
        let catalog = settings.catalog_id.clone();
        let preview = settings.feed_mode == FeedMode::Preview;
        if !preview {
            // A problem that names a credential ends only with another credential.
            match channel.problem_credential {
                Some(_) if channel.is_stopped_for(token.version) => return Ok(Err(Rest::Interval)),
                Some(_) => {
                    channel.clear_problem();
                    let mut tx = lease.fence.begin(&app.db, None).await?;
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
            // Only a check: a permit taken now and kept until there are records to send would add to the next permit. The
            // records are made ready while the time of the next call comes near, or their making would delay each call.
            let ready_by = now + self.making_ms;
            match app.limiter.peek(&catalog, Bucket::Batch).await {
                Ok(Admission::ClosedUntil(until)) if until <= ready_by => {}
                answer => {
                    if let Err(rest) = permitted(answer, ready_by) {
                        return Ok(Err(rest));
                    }
                }
            }
        }
        let mapper = match app.active.follow().await {
            Ok(mapper) => mapper,
            Err(NotFollowed::Store(error)) => return Err(error),
            Err(error) => return Ok(Err(self.give_lease_up(&lease, &error).await)),
        };
        let map_settings = Arc::new(settings.mapper.with(&app.config.s3_public_url));
        let access = Access { credentials, token };
        Ok(Ok(Tick { lease, settings, map_settings, catalog, access, channel, preview, mapper, now }))
    }

    /// Takes the permit for a call that is ready. Waits for one that is due in a moment.
    pub(super) async fn permit(&self, tick: &Tick) -> Result<(), Rest> {
        let limiter = &self.app.limiter;
        let answer = limiter.ask(&tick.catalog, Bucket::Batch).await;
        let now = self.app.now();
        match answer {
            Ok(Admission::ClosedUntil(until)) if until - now <= LONGEST_MAKING_MS => {
                tokio::time::sleep(Duration::from_millis(u64::try_from(until - now).unwrap_or(0))).await;
                permitted(limiter.ask(&tick.catalog, Bucket::Batch).await, self.app.now())
            }
            answer => permitted(answer, now),
        }
    }

    /// Notes how long the call took to be made ready.
    pub(super) fn made_ready(&mut self) {
        self.making_ms =
            Millis::try_from(self.begun.elapsed().as_millis()).unwrap_or(Millis::MAX).min(LONGEST_MAKING_MS);
    }

    /// Gives the lease up, because another replica may be able to run the active mapper.
    async fn give_lease_up(&self, lease: &Lease, why: &NotFollowed) -> Rest {
        warn!(%why, "lease given up");
        self.app.lease.give_up(&lease.fence);
        if let Err(error) = store::lease::release(&self.app.db, &lease.fence).await {
            warn!(%error, "lease release failed; the lease expires by itself");
        }
        Rest::Interval
    }

    async fn without_token(
        &self,
        lease: &Lease,
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
            warn!(code, problem = problem.message, "calls to Meta stopped: no usable token");
            channel.note_problem(problem, version);
            let mut tx = lease.fence.begin(&self.app.db, None).await?;
            store::channel::save(&mut tx, &channel, self.app.now()).await?;
            tx.commit().await?;
        }
        Ok(Rest::Interval)
    }
}

/// Converts the limiter's answer: permitted, or how long to pause.
fn permitted(answer: Result<Admission, CallError>, now: Millis) -> Result<(), Rest> {
    match answer {
        Ok(Admission::Permit) => Ok(()),
        Ok(Admission::ClosedUntil(until)) => Err(hold(until, now)),
        Err(error) => {
            debug!(%error, "permit request failed");
            Err(Rest::For(Duration::from_secs(1)))
        }
    }
}

/// Pauses until `until`, but at most [`LONGEST_HOLD`] at a time: a newly selected catalog or a repaired connection must
/// not wait longer.
fn hold(until: Millis, now: Millis) -> Rest {
    let wait = Duration::from_millis(u64::try_from(until - now).unwrap_or(0).max(10));
    Rest::Hold(wait.min(LONGEST_HOLD))
}
