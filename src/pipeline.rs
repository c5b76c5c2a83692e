//! What the pipeline's actors share: the store, the Graph client, the lease and the ways to each other.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use secrecy::SecretString;

use crate::actors::coalescer::Coalescer;
use crate::actors::limiter::Limiter;
use crate::actors::mapper::Mapper;
use crate::actors::runtime::Nudger;
use crate::actors::token::{StoredToken, Tokens};
use crate::clock::{Millis, SharedClock};
use crate::domain::settings::Settings;
use crate::graph::{AppCredentials, Caller, GraphClient};
use crate::store::lease::Fence;
use crate::store::seal::Keyring;
use crate::store::{self, Db, StoreError};

/// What does not change while the service runs.
#[derive(Clone, Debug)]
pub struct PipelineConfig {
    /// This process, in the lease row and in actor names.
    pub instance: String,
    /// Prefix of bare image keys.
    pub s3_public_url: String,
    /// How long a lease lasts without renewal; more than three Graph timeouts fit into none of it.
    pub lease: Duration,
}

/// Shared by the actors and the HTTP API.
pub struct Pipeline {
    /// The store.
    pub db: Db,
    /// Opens and seals secrets.
    pub keyring: Keyring,
    /// Calls Meta.
    pub graph: GraphClient,
    /// The time.
    pub clock: SharedClock,
    /// What does not change.
    pub config: PipelineConfig,
    /// The right to write, while this process has it.
    pub lease: LeaseCell,
    /// The settings as last read.
    pub settings: SettingsCell,
    /// Budgets.
    pub limiter: Limiter,
    /// The access token.
    pub tokens: Tokens,
    /// Reads the outbox.
    pub coalescer: Coalescer,
    /// Runs the active mapper.
    pub mapper: Mapper,
    /// Wakes the drain.
    pub drain: Nudger,
    /// Wakes the poll.
    pub poll: Nudger,
    /// Wakes the sale windows.
    pub windows: Nudger,
    /// Wakes the re-map.
    pub remapper: Nudger,
    /// Wakes the watch over the folder of mapper modules.
    pub directory: Nudger,
    /// Wakes the lease.
    pub leaser: Nudger,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Pipeline {
    /// Puts the pieces together; the actors are started by [`crate::service`].
    #[must_use]
    pub fn new(db: Db, keyring: Keyring, graph: GraphClient, clock: SharedClock, config: PipelineConfig) -> Self {
        Self {
            db,
            keyring,
            graph,
            clock,
            config,
            lease: LeaseCell::default(),
            settings: SettingsCell::default(),
            limiter: Limiter::new(),
            tokens: Tokens::new(),
            coalescer: Coalescer::new(),
            mapper: Mapper::new(),
            drain: Nudger::new("drain"),
            poll: Nudger::new("poll"),
            windows: Nudger::new("sale-window"),
            remapper: Nudger::new("remap"),
            directory: Nudger::new("mapper-directory"),
            leaser: Nudger::new("lease"),
        }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Reads the settings and remembers them.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn load_settings(&self) -> Result<Arc<Settings>, StoreError> {
        let mut tx = self.db.read().await?;
        let settings = Arc::new(store::settings::load(&mut tx).await?);
        self.settings.put(Arc::clone(&settings));
        Ok(settings)
    }

    /// The app's id and secret; none when either is blank.
    ///
    /// # Errors
    /// When the store does not answer or the secret does not open.
    pub async fn app(&self, settings: &Settings) -> Result<Option<AppCredentials>, StoreError> {
        let mut tx = self.db.read().await?;
        let secret: Option<SecretString> = store::settings::app_secret(&mut tx, &self.keyring).await?;
        let app_id = settings.text("app_id");
        Ok(secret.filter(|_| !app_id.is_empty()).map(|app_secret| AppCredentials { app_id, app_secret }))
    }
}

/// What every Graph call about the catalog needs.
#[derive(Clone, Debug)]
pub struct Access {
    /// The app.
    pub app: AppCredentials,
    /// The token, with the version of its credential.
    pub token: Arc<StoredToken>,
}

impl Access {
    /// As the Graph client takes it.
    #[must_use]
    pub fn caller(&self) -> Caller<'_> {
        Caller { app: &self.app, token: &self.token.token }
    }
}

/// The lease while this process holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLease {
    /// What every pipeline transaction is fenced with.
    pub fence: Fence,
    /// By our clock, counted from before it was asked for: never later than the server's end.
    pub until: Millis,
}

/// The lease, shared.
#[derive(Debug, Default)]
pub struct LeaseCell(RwLock<Option<HeldLease>>);

impl LeaseCell {
    /// The lease, if this process holds it.
    #[must_use]
    pub fn current(&self) -> Option<HeldLease> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes it; only the lease actor does so, and the end of the service.
    pub fn put(&self, lease: Option<HeldLease>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = lease;
    }

    /// This one is over, says whoever was told so. One that was taken since is another one, and stays.
    pub fn give_up(&self, fence: &Fence) {
        let mut cell = self.0.write().unwrap_or_else(PoisonError::into_inner);
        cell.take_if(|held| held.fence == *fence);
    }
}

/// The settings as last read, shared; reading them costs no query.
#[derive(Debug, Default)]
pub struct SettingsCell(RwLock<Arc<Settings>>);

impl SettingsCell {
    /// The settings as last read; the defaults before that.
    #[must_use]
    pub fn current(&self) -> Arc<Settings> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers newer settings; older ones are ignored.
    pub fn put(&self, settings: Arc<Settings>) {
        let mut cell = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if settings.version >= cell.version {
            *cell = settings;
        }
    }
}
