//! Loading mapper modules: one at a time in this process, on a blocking thread.

use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasm_host::{Host, HostError, Limits};

use super::{LoadedMapper, Refused};

/// Why nothing was loaded.
#[derive(Debug, thiserror::Error)]
pub enum MapperGone {
    /// No module can run in this process at all.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The thread was lost.
    #[error("a mapper thread ended unexpectedly; please report it")]
    Thread,
}

/// Hands out the one loader; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Loaders {
    /// Made with the first module: an installation without modules pays nothing for it.
    host: Arc<OnceLock<Host>>,
    one: Arc<Semaphore>,
}

impl Default for Loaders {
    fn default() -> Self {
        Self { host: Arc::default(), one: Arc::new(Semaphore::new(1)) }
    }
}

impl Loaders {
    /// Waits for the loader.
    pub(super) async fn take(&self) -> Result<Loader, MapperGone> {
        let permit = Arc::clone(&self.one).acquire_owned().await.map_err(|_| MapperGone::Thread)?;
        Ok(Loader { host: Arc::clone(&self.host), permit })
    }
}

/// The loader: nothing else loads a module while this exists.
#[derive(Debug)]
pub struct Loader {
    host: Arc<OnceLock<Host>>,
    permit: OwnedSemaphorePermit,
}

impl Loader {
    /// Loads a module, which takes from a tenth of a second to several.
    ///
    /// # Errors
    /// When no module can run here. The inner error says what is wrong with the file.
    pub async fn load(self, bytes: Vec<u8>) -> Result<Result<LoadedMapper, Refused>, MapperGone> {
        self.run(move |host| Ok(LoadedMapper::load(host, &bytes)?)).await
    }

    /// Loads a module and asks it for every sample.
    ///
    /// # Errors
    /// As [`Loader::load`].
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
                    // One thread at a time is here.
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
