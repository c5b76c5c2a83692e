//! Loading mapper modules: first in a child process ([`super::trial`]), then in this one, on a blocking thread.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasm_host::{Host, HostError, Limits};

use super::trial::{Program, Trial, Trials};
use super::{LoadedMapper, Refused};

/// Why no module was loaded.
#[derive(Debug, thiserror::Error)]
pub enum MapperGone {
    /// This process cannot run any module.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The thread ended unexpectedly.
    #[error("a mapper thread ended unexpectedly; please report it")]
    Thread,
}

/// Loads modules; clones share the engine and the limit on trials.
#[derive(Clone, Debug)]
pub struct Loaders {
    /// Created with the first module: an installation without modules has no cost for it.
    host: Arc<Mutex<Option<Host>>>,
    trials: Trials,
    follower: Arc<Semaphore>,
}

impl Loaders {
    /// Returns loaders whose trials run this program.
    #[must_use]
    pub fn new(program: Program) -> Self {
        Self { host: Arc::default(), trials: Trials::new(program), follower: Arc::new(Semaphore::new(1)) }
    }

    /// Loads a module that passes its trial, without a rehearsal.
    ///
    /// # Errors
    /// When this process cannot run any module. The inner error says what is wrong with the file.
    pub async fn load(&self, bytes: Vec<u8>) -> Result<Result<LoadedMapper, Refused>, MapperGone> {
        let bytes = bytes.into();
        match passes(self.trials.offered(&bytes, false).await).await {
            Ok(()) => self.load_here(bytes).await,
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// Loads a module that passes its trial and maps every sample there. This process loads it while the child maps the
    /// samples.
    ///
    /// # Errors
    /// Same as [`Loaders::load`].
    pub async fn load_rehearsed(&self, bytes: Vec<u8>) -> Result<Result<LoadedMapper, Refused>, MapperGone> {
        let bytes = bytes.into();
        let mut trial = match self.trials.offered(&bytes, true).await {
            Ok(trial) => trial,
            Err(refused) => return Ok(Err(refused)),
        };
        if let Err(refused) = trial.loaded().await {
            return Ok(Err(refused));
        }
        let (loaded, rehearsed) = tokio::join!(self.load_here(bytes), trial.rehearsed());
        let loaded = loaded?;
        Ok(rehearsed.and(loaded))
    }

    /// Tries a file and maps every sample in the child. Nothing is loaded here.
    ///
    /// # Errors
    /// What is wrong with the file, or why it was not tried.
    pub async fn try_out(&self, bytes: &Arc<[u8]>) -> Result<(), Refused> {
        let mut trial = self.trials.offered(bytes, true).await?;
        trial.loaded().await?;
        trial.rehearsed().await
    }

    /// Waits for the turn to load the active mapper.
    pub(super) async fn follower(&self) -> Result<Follower, MapperGone> {
        let turn = Arc::clone(&self.follower).acquire_owned().await.map_err(|_| MapperGone::Thread)?;
        Ok(Follower { loaders: self.clone(), _turn: turn })
    }

    /// Loads a module in this process: it takes from a tenth of a second to several seconds. Its cost is known, since
    /// the same bytes passed a trial.
    pub(super) async fn load_here(&self, bytes: Arc<[u8]>) -> Result<Result<LoadedMapper, Refused>, MapperGone> {
        let shared = Arc::clone(&self.host);
        let done = tokio::task::spawn_blocking(move || {
            let host = host(&shared)?;
            Ok(LoadedMapper::load(&host, &bytes).map_err(Refused::Load))
        });
        done.await.map_err(|_| MapperGone::Thread)?
    }
}

/// Waits until the child of a trial without a rehearsal has loaded its file.
async fn passes(trial: Result<Trial, Refused>) -> Result<(), Refused> {
    trial?.loaded().await
}

/// Returns the engine, and creates it first if there is none.
fn host(shared: &Mutex<Option<Host>>) -> Result<Host, HostError> {
    let mut host = shared.lock().unwrap_or_else(PoisonError::into_inner);
    match &*host {
        Some(host) => Ok(host.clone()),
        None => {
            let new = Host::new(Limits::default())?;
            *host = Some(new.clone());
            Ok(new)
        }
    }
}

/// The turn to load the active mapper: of several tasks that follow the database, one loads.
#[derive(Debug)]
pub struct Follower {
    loaders: Loaders,
    _turn: OwnedSemaphorePermit,
}

impl Follower {
    /// Loads a module: at once if it is known to pass a trial, else after one.
    ///
    /// # Errors
    /// Same as [`Loaders::load`].
    pub(super) async fn load(
        &self,
        bytes: Vec<u8>,
        has_passed: bool,
    ) -> Result<Result<LoadedMapper, Refused>, MapperGone> {
        let bytes = bytes.into();
        if !has_passed && let Err(refused) = passes(self.loaders.trials.active(&bytes)).await {
            return Ok(Err(refused));
        }
        self.loaders.load_here(bytes).await
    }
}
