//! What actors and use cases share: the store, the Graph client, the lease, and the handles to each other.
//!
//! Left out on purpose: starting anything ([`crate::startup`]).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use meta_graph::{AppCredentials, Caller, GraphClient};
use secrecy::SecretString;

use crate::actors::coalescer::Coalescer;
use crate::actors::limiter::Limiter;
use crate::actors::mapper::Mapper;
use crate::actors::token::{StoredToken, Tokens};
use crate::clock::{Millis, SharedClock};
use crate::domain::settings::{Pacing, Settings};
use crate::domain::state::SyncStatus;
use crate::mapping::active::ActiveMapper;
use crate::mapping::trial::Program;
use crate::runtime::cached::Cached;
use crate::runtime::leased::LeaseCell;
use crate::runtime::periodic::Nudger;
use crate::store::issues::Found;
use crate::store::items::Totals;
use crate::store::outbox::Backlog;
use crate::store::seal::Keyring;
use crate::store::{self, Db, StoreError, Tx};

/// Configuration that does not change while the service runs.
#[derive(Clone, Debug)]
pub struct AppConfig {
    /// The name of this process in the lease row and in actor names.
    pub instance: String,
    /// Prefix of bare image keys.
    pub s3_public_url: String,
    /// The address for Meta's notifications. `None` where Meta cannot reach it.
    pub webhook_url: Option<String>,
    /// How long a lease lasts without renewal. It is longer than a Graph timeout.
    pub lease: Duration,
    /// The program that tries mapper modules.
    pub trial: Program,
}

/// Shared by the actors, the use cases and the HTTP API.
pub struct App {
    /// The store.
    pub db: Db,
    /// Opens and seals secrets.
    pub keyring: Keyring,
    /// The client for calls to Meta.
    pub graph: GraphClient,
    /// The clock.
    pub clock: SharedClock,
    /// When this process started.
    pub started_at: Millis,
    /// The fixed configuration.
    pub config: AppConfig,
    /// The lease, while this process holds it.
    pub lease: LeaseCell,
    /// The settings as last loaded.
    pub settings: SettingsCell,
    /// The mapper that this process runs.
    pub active: ActiveMapper,
    /// The handle to the rate limiter.
    pub limiter: Limiter,
    /// The handle to the access token.
    pub tokens: Tokens,
    /// The handle that reads the outbox.
    pub coalescer: Coalescer,
    /// The handle that runs mappers.
    pub mapper: Mapper,
    /// How often states were recorded.
    pub changes: Changes,
    /// See [`App::totals`].
    totals: Cached<Totals>,
    /// See [`App::eligible_totals`].
    eligible_totals: Cached<Totals>,
    /// See [`App::backlog`].
    backlog: Cached<Backlog>,
    /// See [`App::issues`].
    issues: Cached<Arc<Found>>,
    /// Held by the one action on many variants that this process carries out at a time.
    pub bulk: tokio::sync::Mutex<()>,
    /// Wakes the actors that run on their own.
    pub wake: Wake,
}

/// Wakes the actors that run on their own. An actor that is never woken is not listed.
#[derive(Clone, Debug)]
pub struct Wake {
    /// The drain.
    pub drain: Nudger,
    /// The poll.
    pub poll: Nudger,
    /// The sale windows.
    pub sale_window: Nudger,
    /// The re-asks.
    pub reask: Nudger,
    /// The lint pass.
    pub lint: Nudger,
    /// The drift sweep.
    pub drift: Nudger,
    /// The subscription to Meta's notifications.
    pub webhook: Nudger,
    /// The actor that watches the mapper folder.
    pub mapper_directory: Nudger,
}

/// Counts how often this process recorded states. Losing the count on a restart is harmless: the lint pass begins anew.
#[derive(Debug, Default)]
pub struct Changes(AtomicU64);

impl Changes {
    /// Returns the count.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Default for Wake {
    fn default() -> Self {
        Self {
            drain: Nudger::new("drain"),
            poll: Nudger::new("poll"),
            sale_window: Nudger::new("sale-window"),
            reask: Nudger::new("reask"),
            lint: Nudger::new("lint"),
            drift: Nudger::new("drift"),
            webhook: Nudger::new("webhook"),
            mapper_directory: Nudger::new("mapper-directory"),
        }
    }
}

impl Wake {
    /// Wakes all of them.
    pub fn all(&self) {
        let Self { drain, poll, sale_window, reask, lint, drift, webhook, mapper_directory } = self;
        for nudger in [drain, poll, sale_window, reask, lint, drift, webhook, mapper_directory] {
            nudger.nudge();
        }
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("config", &self.config).finish_non_exhaustive()
    }
}

impl App {
    /// Assembles the parts. [`crate::startup`] starts the actors.
    #[must_use]
    pub fn new(db: Db, keyring: Keyring, graph: GraphClient, clock: SharedClock, config: AppConfig) -> Self {
        Self {
            active: ActiveMapper::new(db.clone(), SharedClock::clone(&clock), config.trial.clone()),
            db,
            keyring,
            graph,
            started_at: clock.now(),
            clock,
            config,
            lease: LeaseCell::new(Nudger::new("lease")),
            settings: SettingsCell::default(),
            limiter: Limiter::new(),
            tokens: Tokens::new(),
            coalescer: Coalescer::new(),
            mapper: Mapper::new(),
            changes: Changes::default(),
            totals: Cached::default(),
            eligible_totals: Cached::default(),
            backlog: Cached::default(),
            issues: Cached::default(),
            bulk: tokio::sync::Mutex::default(),
            wake: Wake::default(),
        }
    }

    /// Returns the numbers of everything. At a million variants they are up to half a minute old. No connection is held by
    /// callers that wait for the same count.
    ///
    /// # Errors
    /// When the database query fails.
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        self.counted(&self.totals, async |tx| store::items::totals(tx).await).await
    }

    /// Returns the number of items that are at Meta or on their way, with the promises of [`App::totals`].
    ///
    /// # Errors
    /// When the database query fails.
    pub async fn items_at_meta(&self) -> Result<i64, StoreError> {
        let states = self.totals().await?.states;
        Ok([SyncStatus::Synced, SyncStatus::Submitted].iter().filter_map(|status| states.get(status)).sum())
    }

    /// Returns the numbers of the eligible variants, with the promises of [`App::totals`].
    ///
    /// # Errors
    /// When the database query fails.
    pub async fn eligible_totals(&self) -> Result<Totals, StoreError> {
        self.counted(&self.eligible_totals, async |tx| store::items::eligible_totals(tx).await).await
    }

    /// Returns the numbers of open intents, with the promises of [`App::totals`].
    ///
    /// # Errors
    /// When the database query fails.
    pub async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.counted(&self.backlog, async |tx| store::outbox::backlog(tx).await).await
    }

    /// Returns what is wrong, in groups, with the promises of [`App::totals`].
    ///
    /// # Errors
    /// When the database query fails.
    pub async fn issues(&self) -> Result<Arc<Found>, StoreError> {
        self.counted(&self.issues, async |tx| store::issues::find(tx).await.map(Arc::new)).await
    }

    /// Returns the kept number, or counts.
    async fn counted<T: Clone>(
        &self,
        kept: &Cached<T>,
        count: impl AsyncFnOnce(&mut Tx) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let count = async {
            let mut tx = self.db.read().await?;
            let began = Instant::now();
            let counted = count(&mut tx).await?;
            Ok((counted, began.elapsed()))
        };
        kept.get(count).await
    }

    /// Called after states were recorded: what is compared across variants may differ.
    pub fn states_changed(&self) {
        self.changes.0.fetch_add(1, Ordering::SeqCst);
        self.wake.lint.nudge();
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Loads the settings and caches them.
    ///
    /// # Errors
    /// When the database query fails.
    pub async fn load_settings(&self) -> Result<Arc<Settings>, StoreError> {
        let mut tx = self.db.read().await?;
        let settings = Arc::new(store::settings::load(&mut tx).await?);
        self.settings.put(Arc::clone(&settings));
        Ok(settings)
    }

    /// Returns the app's id and secret, or `None` when either is blank.
    ///
    /// # Errors
    /// When the database query fails or the secret cannot be decrypted.
    pub async fn app_credentials(&self, settings: &Settings) -> Result<Option<AppCredentials>, StoreError> {
        let mut tx = self.db.read().await?;
        let secret: Option<SecretString> = store::settings::app_secret(&mut tx, &self.keyring).await?;
        let app_id = settings.app_id.clone();
        Ok(secret.filter(|_| !app_id.is_empty()).map(|app_secret| AppCredentials { app_id, app_secret }))
    }

    /// Reports that work is waiting. A drain that is paced by budget looks at once; one on an interval looks at its
    /// next tick.
    pub fn work_arrived(&self) {
        if self.settings.current().drain_pacing == Pacing::Budget {
            self.wake.drain.nudge();
        }
    }
}

/// What every Graph call about the catalog needs.
#[derive(Clone, Debug)]
pub struct Access {
    /// The app's id and secret.
    pub credentials: AppCredentials,
    /// The token, with the version of its credential.
    pub token: Arc<StoredToken>,
}

impl Access {
    /// Returns the form that the Graph client takes.
    #[must_use]
    pub fn caller(&self) -> Caller<'_> {
        Caller { app: &self.credentials, token: &self.token.token }
    }
}

/// The settings as last loaded, shared. Reading them needs no query.
#[derive(Debug, Default)]
pub struct SettingsCell(RwLock<Arc<Settings>>);

impl SettingsCell {
    /// Returns the settings as last loaded, or the defaults before that.
    #[must_use]
    pub fn current(&self) -> Arc<Settings> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Caches newer settings. Older ones are ignored.
    pub fn put(&self, settings: Arc<Settings>) {
        let mut cell = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if settings.version >= cell.version {
            *cell = settings;
        }
    }
}
