//! Loading mapper modules: one at a time in this process, on a blocking thread.

use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasm_host::{Host, HostError, Limits};

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

/// Gives out the only loader of this process; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Loaders {
    /// Created with the first module: an installation without modules has no cost for it.
    host: Arc<OnceLock<Host>>,
    one: Arc<Semaphore>,
}

impl Default for Loaders {
    fn default() -> Self {
        Self { host: Arc::default(), one: Arc::new(Semaphore::new(1)) }
    }
}

impl Loaders {
    /// Waits until the loader is free and returns it.
    pub(super) async fn take(&self) -> Result<Loader, MapperGone> {
        let permit = Arc::clone(&self.one).acquire_owned().await.map_err(|_| MapperGone::Thread)?;
        Ok(Loader { host: Arc::clone(&self.host), permit })
    }
}

/// The exclusive right to load modules: no other load runs while this exists.
#[derive(Debug)]
pub struct Loader {
    host: Arc<OnceLock<Host>>,
    permit: OwnedSemaphorePermit,
}

impl Loader {
    /// Loads a module, which takes from a tenth of a second to several seconds.
    ///
    /// # Errors
    /// When this process cannot run any module. The inner error says what is wrong with the file.
    pub async fn load(self, bytes: Vec<u8>) -> Result<Result<LoadedMapper, Refused>, MapperGone> {
        self.run(move |host| Ok(LoadedMapper::load(host, &bytes)?)).await
    }

    /// Loads a module and maps every sample with it.
    ///
    /// # Errors
    /// Same as [`Loader::load`].
    pub async fn load_rehearsed(self, bytes: Vec<u8>) -> Result<Result<LoadedMapper, Refused>, MapperGone> {
        let rehearsed = move |host: &Host| {
            let mapper = LoadedMapper::load(host, &bytes)?;
            mapper.rehearse()?;
            Ok(mapper)
        };
        self.run(rehearsed).await
    }

    async fn run<T: Send + 'static>(self, work: impl FnOnce(&Host) -> T + Send + 'static) -> Result<T, MapperGone> {
        let Self { host: shared, permit } = self;
        let done = tokio::task::spawn_blocking(move || {
            let host = match shared.get() {
                Some(host) => host,
                None => {
                    let host = Host::new(Limits::default())?;
                    // The permit ensures that only one thread at a time runs this.
                    shared.get_or_init(|| host)
                }
            };
            let done = work(host);
            drop(permit);
            Ok(done)
        });
        done.await.map_err(|_| MapperGone::Thread)?
    }
}
