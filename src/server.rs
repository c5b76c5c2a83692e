//! The composition root of the process: the service of `catalog-sync` and the HTTP API in front of it.

mod descriptors;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use catalog_sync::clock::SharedClock;
use catalog_sync::config::{Config, ConfigError, StopWithin};
use catalog_sync::runtime::tree::{Ended, Overdue};
use catalog_sync::startup::{Service, StartError};
use catalog_sync::store::better_auth::BetterAuthDb;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::info;

use crate::http::auth::Sessions;
use crate::http::session::SessionRules;
use crate::http::{self, Api, Limits, Site};
use crate::page;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The service did not start.
    #[error(transparent)]
    Service(#[from] StartError),
    /// The limit of open files is too low.
    #[error(
        "this process may open {limit} files (`ulimit -n`) and needs at least {least}; raise the limit: `nofile` in docs/operations.md says how"
    )]
    Descriptors {
        /// The limit.
        limit: u64,
        /// The lowest that is enough.
        least: u64,
    },
    /// The address cannot be used.
    #[error("cannot listen on {address}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// A running installation with its API.
#[derive(Debug)]
pub struct Server {
    /// Where the API listens.
    pub address: SocketAddr,
    /// The service behind the API.
    pub service: Service,
    sessions: Option<Arc<Sessions>>,
    stop: oneshot::Sender<()>,
    stop_within: StopWithin,
    requests: JoinHandle<()>,
}

impl Server {
    /// Opens the database, starts the actors, then the API.
    ///
    /// # Errors
    /// When a part does not start; nothing is left running then.
    pub async fn start(config: &Config, clock: SharedClock) -> Result<Self, ServerError> {
        let limits = limits(config)?;
        // Does not connect: a failure of the sign-in database must not prevent the start of the service.
        let sessions = sessions(config)?.map(Arc::new);
        let mut service = Service::open(config, clock).await?;
        let failed = |source| ServerError::Listen { address: config.listen, source };
        let listener = http::serve::listen(config.listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        service.start_actors(config).await?;

        if let Some(sessions) = &sessions {
            let sessions = Arc::clone(sessions);
            tokio::spawn(async move { sessions.try_out().await });
        }
        let site = Site {
            enabled: config.enabled,
            api_url: config.public_api_url.clone().unwrap_or_else(|| format!("http://{address}")),
            admin_url: config.public_admin_url.clone(),
            allowed_origins: config.http.allowed_origins.clone(),
        };
        let mut api = Api::new(Arc::clone(&service.app), service.board.clone(), sessions.clone(), site);
        let (stop, stopped) = oneshot::channel::<()>();
        api.limits = limits;
        info!(connections = limits.connections, "most connections to the API at once");
        let requests =
            tokio::spawn(http::serve::serve(listener, http::router(api, page::routes(limits)), limits, async {
                // A dropped sender stops the API as well.
                let _ = stopped.await;
            }));
        Ok(Self { address, service, sessions, stop, stop_within: config.stop_within(), requests })
    }

    /// Resolves when the actors' supervisor ends without a request to stop; never resolves without actors.
    pub async fn ended(&self) -> Ended {
        self.service.ended().await
    }

    /// Stops the API, then the service, each within its share of the time for a stop.
    ///
    /// # Errors
    /// When actors do not end in time; names them.
    pub async fn shutdown(self) -> Result<(), Overdue> {
        let Self { service, sessions, stop, stop_within, requests, .. } = self;
        let _ = stop.send(());
        // It ends within the limit for requests, unless a thread hangs; then its connections end with the process. A panic
        // in it has closed them.
        if tokio::time::timeout(stop_within.requests + stop_within.closing, requests).await.is_err() {
            info!("the API does not end; the actors are stopped");
        }
        let stopped = service.shutdown().await;
        if let Some(sessions) = sessions
            && tokio::time::timeout(stop_within.closing, sessions.close()).await.is_err()
        {
            info!("the database of sessions not closed in time");
        }
        stopped
    }
}

/// Returns the limits of requests and connections.
///
/// # Errors
/// When the limit of open files is too low.
fn limits(config: &Config) -> Result<Limits, ServerError> {
    Ok(Limits {
        connections: descriptors::connections(&config.http, config.database_pool)?,
        head: Duration::from_secs(config.http.idle_seconds),
        write: Duration::from_secs(config.http.write_seconds),
        stop: config.stop_within().requests,
        ..Limits::default()
    })
}

/// Returns how people sign in; `None` when neither a secret nor a database of Better-Auth is configured. Does not
/// connect, but must be called inside the runtime.
///
/// # Errors
/// When only one of them is configured, or one is not usable.
fn sessions(config: &Config) -> Result<Option<Sessions>, ConfigError> {
    let section = &config.sessions;
    let Some((secret, location)) = section.parts()? else { return Ok(None) };
    let rules = SessionRules {
        secret: secret.clone(),
        cookie_name: section.cookie_name.clone(),
        raw_bearer: section.raw_bearer,
        impersonation_may_manage: section.impersonation_may_manage,
        roles: section.roles.clone(),
    };
    Ok(Some(Sessions::new(rules, BetterAuthDb::open(location, &section.names))))
}
