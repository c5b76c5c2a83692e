//! The composition root: from a configuration to the running actors, in the order of start-up.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meta_graph::{GraphClient, GraphConfigError};
use secrecy::ExposeSecret as _;
use tracing::info;

use crate::actors::limiter::LimiterMemory;
use crate::app::{App, AppConfig};
use crate::clock::SharedClock;
use crate::config::{Config, ConfigError, StopWithin};
use crate::domain::budget::LimiterRow;
use crate::ids;
use crate::mapping::trial::Program;
use crate::pipeline::token_source::CredentialSource;
use crate::pipeline::{self, PipelineConfig};
use crate::runtime::jitter;
use crate::runtime::tree::{Ended, Overdue, Tree, TreeError};
use crate::runtime::vitals::VitalsBoard;
use crate::store::seal::{Keyring, SealError};
use crate::store::{Db, StoreError, connect, lease, limiter, private, reask, sealed};

/// How long a killed process may still hold its lock.
const KILLED_WITHIN: Duration = Duration::from_secs(2);

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database cannot be opened.
    #[error("opening the database failed")]
    Store(#[source] StoreError),
    /// The configured keys are not those of the database.
    #[error(transparent)]
    Seal(SealError),
    /// The Graph client cannot be set up.
    #[error("setting up the Graph client failed")]
    Graph(#[from] GraphConfigError),
    /// The actors did not start.
    #[error("the actors did not start")]
    Tree(#[from] TreeError),
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Seal(error) => Self::Seal(error),
            error => Self::Store(error),
        }
    }
}

/// An open installation and its actors. It has no HTTP API.
pub struct Service {
    /// The state that the actors share.
    pub app: Arc<App>,
    /// The vitals of the actors.
    pub board: VitalsBoard,
    tree: Option<Tree>,
    stop_within: StopWithin,
    /// Held for the life of the process: the lease on SQLite.
    lock: Option<File>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("instance", &self.app.config.instance).finish_non_exhaustive()
    }
}

impl Service {
    /// Works like [`Service::open`], then starts the actors.
    ///
    /// # Errors
    /// When a part does not start; nothing is left running then.
    pub async fn start(config: &Config, clock: SharedClock) -> Result<Self, StartError> {
        let mut service = Self::open(config, clock).await?;
        service.start_actors(config).await?;
        Ok(service)
    }

    /// Opens the database and loads what the actors need.
    ///
    /// # Errors
    /// When the configuration or the database is not usable.
    pub async fn open(config: &Config, clock: SharedClock) -> Result<Self, StartError> {
        // The lock is taken first: a second process must not change the schema of a running one.
        let lock = match connect::sqlite_path(&config.database_url()) {
            Some(path) if config.enabled => Some(lock(&path).await?),
            _ => None,
        };
        let app = Arc::new(build(config, clock).await?);
        app.load_settings().await?;
        note_first_made_with(&app).await?;
        let board = VitalsBoard::new(Arc::clone(&app.clock));
        Ok(Self { app, board, tree: None, stop_within: config.stop_within(), lock })
    }

    /// Starts the actors. `config.enabled = false` starts none.
    ///
    /// # Errors
    /// When an actor does not start; none is left running then.
    pub async fn start_actors(&mut self, config: &Config) -> Result<(), StartError> {
        if config.enabled {
            self.tree = Some(start_actors(config, &self.app, &self.board).await?);
        }
        Ok(())
    }

    /// Resolves when the actors' supervisor ends without a request to stop; never resolves without actors.
    pub async fn ended(&self) -> Ended {
        match &self.tree {
            Some(tree) => tree.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Stops the actors (the call in flight ends and is recorded), releases the lease and closes the database.
    ///
    /// # Errors
    /// When actors do not end in time; names them.
    pub async fn shutdown(self) -> Result<(), Overdue> {
        let Self { app, tree, lock, stop_within, .. } = self;
        let stopped = match tree {
            Some(tree) => tree.shutdown(stop_within.actors).await,
            None => Ok(()),
        };
        let close = async {
            if let Some(held) = app.lease.current() {
                app.lease.put(None);
                if let Err(cause) = lease::release(&app.db, &held.fence).await {
                    info!(%cause, "lease not released; it expires");
                }
            }
            app.db.close().await;
        };
        // Closing waits for every connection to come back, also one of a request that does not end.
        if tokio::time::timeout(stop_within.closing, close).await.is_err() {
            info!("database not closed in time");
        }
        drop(lock);
        stopped
    }
}

/// Takes the lock of a SQLite database. A process that was just killed holds the lock until the system has cleaned up,
/// so the lock of another process is waited for, but only briefly.
async fn lock(path: &Path) -> Result<File, StoreError> {
    let began = Instant::now();
    loop {
        match connect::lock_sqlite(path) {
            Err(StoreError::Held(_)) if began.elapsed() < KILLED_WITHIN => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            done => return done,
        }
    }
}

/// Opens the database, checks that the keys open everything that is sealed in it, and builds everything that needs only the configuration.
///
/// # Errors
/// See [`StartError`].
pub async fn build(config: &Config, clock: SharedClock) -> Result<App, StartError> {
    let keyring = keyring(config)?;
    let db = open_store(config).await?;
    sealed::check_key(&db, &keyring).await?;
    let graph = GraphClient::new(config.graph()?)?;
    let app_config = AppConfig {
        instance: ids::instance(),
        s3_public_url: config.s3_public_url.clone(),
        webhook_url: config.webhook_url(),
        lease: config.lease(),
        trial: config.trial_program.clone().map_or_else(Program::itself, Program::at),
    };
    Ok(App::new(db, keyring, graph, clock, app_config))
}

/// Opens the database and brings its schema up to date.
///
/// # Errors
/// When the database cannot be opened.
pub async fn open_store(config: &Config) -> Result<Db, StoreError> {
    connect::open(&config.database_url(), &store_options(config)).await
}

/// Returns the options for opening the database.
#[must_use]
pub fn store_options(config: &Config) -> connect::Options {
    connect::Options { pool: config.database_pool, lease: config.lease() }
}

/// Returns the sealing keys. On SQLite without a configured key, a key file beside the database is used, which
/// only its owner may read, and created when it is missing; a PostgreSQL database is shared, so its key has to be configured.
///
/// # Errors
/// When the key is missing or not usable.
pub fn keyring(config: &Config) -> Result<Keyring, ConfigError> {
    if let Some(key) = &config.key {
        return Ok(Keyring::parse(key)?);
    }
    let Some(database) = connect::sqlite_path(&config.database_url()) else {
        return Err(ConfigError::Value {
            name: "META_CATALOG_KEY",
            problem:
                "PostgreSQL needs a configured key that all replicas share; make one with `openssl rand -base64 32`"
                    .into(),
        });
    };
    let path = database.with_extension("key");
    let failed = |error| ConfigError::Key { path: path.clone(), error };
    let text = match private::read_key(&path).map_err(failed)? {
        Some(text) => text,
        None => {
            let key = Keyring::generate()?;
            match private::write_key(&path, key.expose_secret()) {
                Ok(()) => key,
                // Another process, such as a command beside the service, made one at the same time.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    private::read_key(&path).map_err(failed)?.unwrap_or(key)
                }
                Err(error) => return Err(failed(error)),
            }
        }
    };
    Ok(Keyring::parse(&text)?)
}

/// Makes sure that no process runs the pipeline of this installation. On SQLite none can start while the returned file
/// is open; on PostgreSQL a process that was killed counts until its lease ends.
///
/// # Errors
/// [`StoreError::Held`] when one runs.
pub async fn not_running(config: &Config, db: &Db) -> Result<Option<File>, StoreError> {
    if let Some(path) = connect::sqlite_path(&config.database_url()) {
        return connect::lock_sqlite(&path).map(Some);
    }
    if lease::is_held(&mut db.read().await?).await? {
        return Err(StoreError::Held(format!(
            "a meta-catalog process holds the lease of this database; stop every replica first, and after a crash wait \
             {} s",
            config.lease_seconds
        )));
    }
    Ok(None)
}

/// Records what payloads are made with, so that a new installation has nothing to ask for again at its first take-over.
async fn note_first_made_with(app: &App) -> Result<(), StoreError> {
    let mut tx = app.db.write().await?;
    reask::note_first_made_with(&mut tx, &pipeline::reask::made_with(app)).await?;
    tx.commit().await
}

/// The limiter's budgets as stored in the database.
struct StoredBudgets(Db);

#[ractor::async_trait]
impl LimiterMemory for StoredBudgets {
    async fn stored(&self) -> Result<Vec<LimiterRow>, StoreError> {
        let mut tx = self.0.read().await?;
        limiter::load(&mut tx).await
    }
}

async fn start_actors(config: &Config, app: &Arc<App>, board: &VitalsBoard) -> Result<Tree, TreeError> {
    let clock = || Arc::clone(&app.clock);
    let source = Arc::new(CredentialSource(Arc::clone(app)));
    // The last to start is the first to stop: drain and poll end while the actors that they call still run.
    let mut children = vec![
        app.limiter.child(clock(), jitter::system(), config.limiter, Arc::new(StoredBudgets(app.db.clone()))),
        app.tokens.child(source, clock(), jitter::system()),
        app.mapper.child(),
        app.coalescer.child(app.db.clone()),
    ];
    let pipeline = PipelineConfig { retention: config.retention, mapper_directory: config.mapper_directory() };
    children.extend(pipeline::children(app, pipeline, &jitter::system()));
    Tree::spawn(&app.config.instance, board, children).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgres_needs_a_configured_key() {
        let mut config = Config::default();
        config.set_database_url("postgres://u:hunter2@h/d".into());
        assert!(matches!(keyring(&config), Err(ConfigError::Value { name: "META_CATALOG_KEY", .. })));
    }

    #[test]
    fn the_key_file_is_private_and_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::default();
        config.data_dir = folder.path().into();
        let first = keyring(&config).expect("made");
        let again = keyring(&config).expect("read");
        assert_eq!(first.sealing_key(), again.sealing_key());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode =
                std::fs::metadata(folder.path().join("meta-catalog.key")).expect("a key file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
