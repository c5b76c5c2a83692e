//! The active mapper of this process: which one it runs, loading another one, and following the store.
//!
//! The store says which mapper is active; [`ActiveMapper::follow`] makes it the one that runs here. So replicas learn of an
//! activation elsewhere, and a process of its own before a restart.
//! Promises: the holder of the lease runs the store's mapper or gives the lease up. A module that does not load (its file
//! is damaged, this version of the service does not serve its world, or no module can run on this machine) is tried again
//! only once a minute, and `/status` says what to do. Of several that follow at once, one loads. No connection to the
//! database is held meanwhile.
//! Left out on purpose: which mapper should be active ([`super::activation`]) and mapping itself
//! ([`crate::actors::mapper`]).

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tracing::{error, info};

use super::loader::{Loader, Loaders, MapperGone};
use super::{LoadedMapper, Refused};
use crate::clock::{Millis, SharedClock};
use crate::failpoints::{Point, at};
use crate::report::chain;
use crate::store::mapper::{self, BUILTIN};
use crate::store::{Db, StoreError};

/// A module that did not load is not compiled again before this.
const TRY_AGAIN_MS: Millis = 60_000;

/// Why the store's mapper does not run here.
#[derive(Debug, thiserror::Error)]
pub enum NotFollowed {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The active module cannot run here; says what to do.
    #[error("{0}")]
    Unusable(String),
}

/// A mapper that this process could not load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    key: String,
    since: Millis,
    /// For operators: what is wrong and what to do.
    pub message: String,
}

/// Holds the mapper that runs here; clones share it.
#[derive(Clone)]
pub struct ActiveMapper {
    db: Db,
    clock: SharedClock,
    loaded: Arc<ArcSwap<LoadedMapper>>,
    unusable: Arc<Mutex<Option<Unusable>>>,
    loaders: Loaders,
}

impl std::fmt::Debug for ActiveMapper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ActiveMapper").field("current", &self.current().digest()).finish_non_exhaustive()
    }
}

impl ActiveMapper {
    /// Starts with the built-in mapper.
    #[must_use]
    pub fn new(db: Db, clock: SharedClock) -> Self {
        Self {
            db,
            clock,
            loaded: Arc::new(ArcSwap::from_pointee(LoadedMapper::builtin())),
            unusable: Arc::default(),
            loaders: Loaders::default(),
        }
    }

    /// The store that names the active mapper.
    pub(super) fn db(&self) -> &Db {
        &self.db
    }

    /// Now.
    pub(super) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// The mapper that runs now.
    #[must_use]
    pub fn current(&self) -> Arc<LoadedMapper> {
        self.loaded.load_full()
    }

    /// The active mapper that this process cannot run, if there is one.
    #[must_use]
    pub fn unusable(&self) -> Option<Unusable> {
        self.unusable.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_unusable(&self, unusable: Option<Unusable>) {
        *self.unusable.lock().unwrap_or_else(PoisonError::into_inner) = unusable;
    }

    /// Loads a module and asks it for every sample.
    ///
    /// # Errors
    /// When no module can run here. The inner error says what is wrong with the file.
    pub async fn load_rehearsed(&self, bytes: Vec<u8>) -> Result<Result<LoadedMapper, Refused>, MapperGone> {
        self.loaders.take().await?.load_rehearsed(bytes).await
    }

    /// Waits for the one loader of this process. The caller must not hold what the present user of the loader may need,
    /// such as a connection to the database.
    ///
    /// # Errors
    /// When the loader is lost.
    pub async fn loader(&self) -> Result<Loader, MapperGone> {
        self.loaders.take().await
    }

    /// Makes the store's active mapper the one that runs here, and returns it.
    ///
    /// # Errors
    /// When the store does not answer, or its module cannot run here.
    pub async fn follow(&self) -> Result<Arc<LoadedMapper>, NotFollowed> {
        self.follow_with(None).await
    }

    /// As [`ActiveMapper::follow`], with a mapper at hand that is probably the one.
    ///
    /// # Errors
    /// As [`ActiveMapper::follow`].
    pub async fn follow_with(&self, at_hand: Option<Arc<LoadedMapper>>) -> Result<Arc<LoadedMapper>, NotFollowed> {
        let wanted = self.wanted().await?;
        // Before what is known to be unusable: a repaired module comes this way.
        if let Some(mapper) = at_hand.filter(|mapper| **mapper.key() == *wanted) {
            at(Point::MapperFollowing).await;
            return self.swap_checked(mapper).await;
        }
        if let Some(known) = self.known(&wanted) {
            return known;
        }
        if wanted == BUILTIN {
            return self.swap_checked(Arc::new(LoadedMapper::builtin())).await;
        }
        let loader = match self.loaders.take().await {
            Ok(loader) => loader,
            Err(gone) => return Err(self.cannot(wanted, &chain(&gone))),
        };
        // The loader's user before may have loaded it, or found that it does not load; and another may be active by now.
        let wanted = self.wanted().await?;
        if let Some(known) = self.known(&wanted) {
            return known;
        }
        let loaded = self.load(loader, &wanted).await?;
        if self.wanted().await? != wanted {
            // Another was activated meanwhile, and probably swapped in: what was loaded must not take its place.
            return Box::pin(self.follow()).await;
        }
        match loaded {
            Ok(mapper) => self.swap_checked(Arc::new(mapper)).await,
            Err(why) => Err(self.cannot(wanted, &why)),
        }
    }

    /// The key of the mapper that the store says is active.
    async fn wanted(&self) -> Result<String, StoreError> {
        let mut tx = self.db.read().await?;
        mapper::active(&mut tx).await
    }

    /// What is known of this mapper without loading it.
    fn known(&self, wanted: &str) -> Option<Result<Arc<LoadedMapper>, NotFollowed>> {
        let current = self.current();
        if **current.key() == *wanted {
            self.set_unusable(None);
            return Some(Ok(current));
        }
        let unusable = self.unusable().filter(|unusable| unusable.key == wanted)?;
        let rests = unusable.since..unusable.since + TRY_AGAIN_MS;
        rests.contains(&self.now()).then_some(Err(NotFollowed::Unusable(unusable.message)))
    }

    /// Swaps, and reads the store again: another may have been activated, and swapped in, since it was read. The last to
    /// swap is the last to read, so the process ends with the mapper that the store names.
    async fn swap_checked(&self, mapper: Arc<LoadedMapper>) -> Result<Arc<LoadedMapper>, NotFollowed> {
        if self.current().key() != mapper.key() {
            info!(mapper = mapper.name(), version = mapper.version(), digest = %mapper.digest(), "mapper swapped");
            self.loaded.store(Arc::clone(&mapper));
        }
        self.set_unusable(None);
        if self.wanted().await? == **mapper.key() { Ok(mapper) } else { Box::pin(self.follow()).await }
    }

    /// Notes that the active mapper does not run here.
    fn cannot(&self, wanted: String, why: &str) -> NotFollowed {
        let message = format!(
            "the active mapper module {} does not run in this process: {why}. Nothing is sent until a mapper runs; activate \
             another module, roll back to the previous one, or reset to the built-in mapper",
            &wanted[..wanted.len().min(12)]
        );
        error!(mapper = wanted, why, "active mapper does not run in this process");
        self.set_unusable(Some(Unusable { key: wanted, since: self.now(), message: message.clone() }));
        NotFollowed::Unusable(message)
    }

    /// The mapper of this key, or why it does not load.
    async fn load(&self, loader: Loader, key: &str) -> Result<Result<LoadedMapper, String>, StoreError> {
        if key == BUILTIN {
            return Ok(Ok(LoadedMapper::builtin()));
        }
        let mut tx = self.db.read().await?;
        let bytes = mapper::bytes(&mut tx, key).await?;
        drop(tx);
        let Some(bytes) = bytes else { return Ok(Err("its file is not in the database".into())) };
        // A module that was rehearsed when it was activated is not rehearsed again: a take-over should not wait for it.
        Ok(match loader.load(bytes).await {
            Ok(Ok(mapper)) if **mapper.key() == *key => Ok(mapper),
            // It would have another name than the one it was activated by, and never count as the active one.
            Ok(Ok(mapper)) => Err(format!(
                "its stored file is damaged (SHA-256 {}); activate the module again from its file to repair it",
                mapper.key()
            )),
            Ok(Err(refused)) => Err(refused.to_string()),
            Err(gone) => Err(chain(&gone)),
        })
    }
}
