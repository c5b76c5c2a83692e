//! The composition root: from a configuration to a running installation, in the order of start-up.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::info;

use crate::actors::drain::DrainJob;
use crate::actors::jitter;
use crate::actors::lease::LeaseJob;
use crate::actors::limiter::LimiterMemory;
use crate::actors::mapper_directory::MapperDirectoryJob;
use crate::actors::poll::PollJob;
use crate::actors::remap::RemapJob;
use crate::actors::retention::RetentionJob;
use crate::actors::runtime::{Nudger, periodic};
use crate::actors::sale_window::SaleWindowJob;
use crate::actors::tree::{Ended, Overdue, Tree, TreeError};
use crate::actors::vitals::VitalsBoard;
use crate::clock::SharedClock;
use crate::config::{Config, ConfigError};
use crate::domain::budget::LimiterRow;
use crate::graph::{GraphClient, GraphConfigError};
use crate::http::auth::Sessions;
use crate::http::{self, App};
use crate::ids;
use crate::pipeline::{Pipeline, PipelineConfig};
use crate::store::{Db, StoreError, connect, lease, limiter};
use crate::token_source::CredentialSource;

/// How long a shutdown waits for the call in flight.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(70);
/// How long a killed process may go on holding its lock.
const KILLED_WITHIN: Duration = Duration::from_secs(2);

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something in the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store.
    #[error("the store is not ready")]
    Store(#[from] StoreError),
    /// The Graph client.
    #[error("the Graph client is not ready")]
    Graph(#[from] GraphConfigError),
    /// The address.
    #[error("cannot listen on {address}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The actors.
    #[error("the actors did not start")]
    Tree(#[from] TreeError),
}

/// A running installation.
pub struct Service {
    /// Where the API listens.
    pub address: SocketAddr,
    /// What the actors share.
    pub pipeline: Arc<Pipeline>,
    /// How the actors are doing.
    pub board: VitalsBoard,
    tree: Option<Tree>,
    sessions: Option<Arc<Sessions>>,
    http_stop: oneshot::Sender<()>,
    http: JoinHandle<()>,
    /// Held for life: the lease on SQLite.
    lock: Option<File>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Service {
    /// Opens the store, starts the actors, then the API. `config.enabled = false` starts no actors.
    ///
    /// # Errors
    /// Says which part did not start; nothing is left running.
    pub async fn start(config: &Config, clock: SharedClock) -> Result<Self, StartError> {
        // Does not connect: people who sign in are not worth a service that does not start.
        let sessions = config.sessions()?.map(Arc::new);
        // The lock first: a second process must not touch the schema of a running one.
        let lock = match connect::sqlite_path(&config.database_url()) {
            Some(path) if config.enabled => Some(lock(&path).await?),
            _ => None,
        };
        let pipeline = Arc::new(build(config, clock).await?);
        pipeline.load_settings().await?;

        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|source| StartError::Listen { address: config.listen, source })?;
        let address = listener.local_addr().map_err(|source| StartError::Listen { address: config.listen, source })?;

        let board = VitalsBoard::new(Arc::clone(&pipeline.clock));
        let tree = if config.enabled { Some(start_actors(config, &pipeline, &board).await?) } else { None };

        if let Some(sessions) = &sessions {
            let sessions = Arc::clone(sessions);
            tokio::spawn(async move { sessions.try_out().await });
        }
        let app = App::new(Arc::clone(&pipeline), board.clone(), sessions.clone(), config, address);
        let (http_stop, stopped) = oneshot::channel::<()>();
        let head = app.limits.head;
        let http = tokio::spawn(http::serve::serve(listener, http::router(app), head, async {
            // A dropped sender stops the API as well.
            let _ = stopped.await;
        }));
        Ok(Self { address, pipeline, board, tree, sessions, http_stop, http, lock })
    }

    /// Resolves when the actors' supervisor ends although nobody asked; never without actors.
    pub async fn ended(&self) -> Ended {
        match &self.tree {
            Some(tree) => tree.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Stops the API, then the actors (the call in flight ends and is recorded), gives the lease back and closes the
    /// store.
    ///
    /// # Errors
    /// Names the actors that did not end in time.
    pub async fn shutdown(self) -> Result<(), Overdue> {
        let Self { pipeline, tree, sessions, http_stop, http, lock, .. } = self;
        let _ = http_stop.send(());
        if tokio::time::timeout(Duration::from_secs(10), http).await.is_err() {
            info!("some requests did not end in time");
        }
        let stopped = match tree {
            Some(tree) => tree.shutdown(SHUTDOWN_DEADLINE).await,
            None => Ok(()),
        };
        if let Some(held) = pipeline.lease.current() {
            pipeline.lease.put(None);
            if let Err(cause) = lease::release(&pipeline.db, &held.fence).await {
                info!(%cause, "the lease was not given back; it ends by itself");
            }
        }
        if let Some(sessions) = sessions {
            sessions.close().await;
        }
        pipeline.db.close().await;
        drop(lock);
        stopped
    }
}

/// Takes the lock of a SQLite database. A process that was killed a moment ago holds it until the system has cleared it
/// away, so another's lock is waited for, but not for long.
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

/// Opens the store with its key checked, and everything that only needs configuration.
///
/// # Errors
/// See [`StartError`].
pub async fn build(config: &Config, clock: SharedClock) -> Result<Pipeline, StartError> {
    let db: Db = connect::open(&config.database_url(), &config.store_options()).await?;
    let keyring = config.keyring()?;
    connect::check_key(&db, &keyring).await?;
    let graph = GraphClient::new(config.graph()?)?;
    let pipeline_config = PipelineConfig {
        instance: ids::instance(),
        s3_public_url: config.s3_public_url.clone(),
        lease: config.lease(),
    };
    Ok(Pipeline::new(db, keyring, graph, clock, pipeline_config))
}

/// The limiter's budgets as stored with the submissions.
struct StoredBudgets(Db);

#[ractor::async_trait]
impl LimiterMemory for StoredBudgets {
    async fn stored(&self) -> Result<Vec<LimiterRow>, StoreError> {
        let mut tx = self.0.read().await?;
        limiter::load(&mut tx).await
    }
}

async fn start_actors(config: &Config, pipeline: &Arc<Pipeline>, board: &VitalsBoard) -> Result<Tree, TreeError> {
    let clock = || Arc::clone(&pipeline.clock);
    let shared = || Arc::clone(pipeline);
    let source = Arc::new(CredentialSource(shared()));
    // The last to start is the first to stop: drain and poll end while what they ask is still there.
    let mut children = vec![
        pipeline.limiter.child(clock(), jitter::system(), config.limiter, Arc::new(StoredBudgets(pipeline.db.clone()))),
        pipeline.tokens.child(source, clock(), jitter::system()),
        pipeline.mapper.child(),
        pipeline.coalescer.child(pipeline.db.clone()),
        {
            let pipeline = shared();
            periodic(&pipeline.leaser.clone(), clock(), move || LeaseJob::new(Arc::clone(&pipeline)))
        },
        {
            let pipeline = shared();
            periodic(&pipeline.windows.clone(), clock(), move || SaleWindowJob::new(Arc::clone(&pipeline)))
        },
        {
            let pipeline = shared();
            periodic(&pipeline.remapper.clone(), clock(), move || RemapJob::new(Arc::clone(&pipeline)))
        },
        {
            // Nobody wakes it: nothing waits for what is forgotten.
            let (pipeline, retention) = (shared(), config.retention);
            let make = move || RetentionJob::new(Arc::clone(&pipeline), retention);
            periodic(&Nudger::new("retention"), clock(), make)
        },
        {
            let pipeline = shared();
            periodic(&pipeline.poll.clone(), clock(), move || PollJob::new(Arc::clone(&pipeline)))
        },
        {
            let pipeline = shared();
            periodic(&pipeline.drain.clone(), clock(), move || DrainJob::new(Arc::clone(&pipeline)))
        },
    ];
    if let Some(directory) = config.mapper_directory() {
        let pipeline = shared();
        let make = move || MapperDirectoryJob::new(Arc::clone(&pipeline), directory.clone());
        children.push(periodic(&shared().directory, clock(), make));
    }
    Tree::spawn(&pipeline.config.instance, board, children).await
}
