//! The active mapper of this process: which mapper runs, loading another one, and following the database.
//!
//! The database says which mapper is active; [`ActiveMapper::follow`] makes this mapper the running one. Replicas
//! thereby learn of an activation elsewhere, and a restarted process of an activation before its restart.
//! Promises: the lease holder runs the mapper that the database names or gives the lease up. A module that does not
//! load (its file is damaged, this version of the service does not support its world, or this machine cannot run
//! modules) is retried only once a minute, and `/status` says what to do. Of several concurrent followers, one loads
//! the module. No database connection is held during the load.
//! Left out on purpose: which mapper should be active ([`super::activation`]) and mapping itself
//! ([`crate::actors::mapper`]).

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tracing::{error, info};

use super::loader::{Follower, Loaders, MapperGone};
use super::trial::Program;
use super::{LoadedMapper, Refused, digest};
use crate::clock::{Millis, SharedClock};
use crate::failpoints::{Point, at};
use crate::report::chain;
use crate::store::mapper::{self, BUILTIN};
use crate::store::{Db, StoreError};

/// Returns what a file passed a trial by: this version of the service on this kind of machine. It is loaded there without
/// another trial.
pub(super) fn tried_by() -> String {
    format!("{} {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH)
}

/// The minimum time before a module that did not load is compiled again.
const TRY_AGAIN_MS: Millis = 60_000;

/// Why the active mapper does not run in this process.
#[derive(Debug, thiserror::Error)]
pub enum NotFollowed {
    /// The database query failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The active module cannot run in this process; the text says what to do.
    #[error("{0}")]
    Unusable(String),
}

/// A mapper that this process could not load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    key: String,
    since: Millis,
    /// The message for operators: what is wrong and what to do.
    pub message: String,
}

/// Holds the mapper that runs in this process; clones share it.
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
    /// Returns a holder that starts with the built-in mapper. `trial` is the program that tries modules.
    #[must_use]
    pub fn new(db: Db, clock: SharedClock, trial: Program) -> Self {
        Self {
            db,
            clock,
            loaded: Arc::new(ArcSwap::from_pointee(LoadedMapper::builtin())),
            unusable: Arc::default(),
            loaders: Loaders::new(trial),
        }
    }

    /// Returns the database that names the active mapper.
    pub(super) fn db(&self) -> &Db {
        &self.db
    }

    /// Returns the current time.
    pub(super) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Returns the mapper that runs now.
    #[must_use]
    pub fn current(&self) -> Arc<LoadedMapper> {
        self.loaded.load_full()
    }

    /// Returns the active mapper that this process cannot run; `None` when the active mapper runs.
    #[must_use]
    pub fn unusable(&self) -> Option<Unusable> {
        self.unusable.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_unusable(&self, unusable: Option<Unusable>) {
        *self.unusable.lock().unwrap_or_else(PoisonError::into_inner) = unusable;
    }

    /// Loads a module that passes its trial and maps every sample.
    ///
    /// # Errors
    /// When this process cannot run any module. The inner error says what is wrong with the file.
    pub async fn load_rehearsed(&self, bytes: Vec<u8>) -> Result<Result<LoadedMapper, Refused>, MapperGone> {
        self.loaders.load_rehearsed(bytes).await
    }

    /// Tries a file in a child process; see [`Loaders::try_out`].
    pub(super) async fn try_out(&self, bytes: &Arc<[u8]>) -> Result<(), Refused> {
        self.loaders.try_out(bytes).await
    }

    /// Loads a file that passed its trial.
    pub(super) async fn load_tried(&self, bytes: Arc<[u8]>) -> Result<Result<LoadedMapper, Refused>, MapperGone> {
        self.loaders.load_here(bytes).await
    }

    async fn note_passed(&self, key: &str) -> Result<(), StoreError> {
        let mut tx = self.db.write().await?;
        mapper::passed(&mut tx, key, &tried_by(), self.now()).await?;
        tx.commit().await
    }

    /// Waits for the turn to load the active mapper. The caller must not hold a resource that the task whose turn it is
    /// may need, such as a database connection.
    ///
    /// # Errors
    /// When a mapper thread ended unexpectedly.
    pub async fn follower(&self) -> Result<Follower, MapperGone> {
        self.loaders.follower().await
    }

    /// Makes the active mapper of the database the running one and returns it.
    ///
    /// # Errors
    /// When the database query fails, or the active module cannot run in this process.
    pub async fn follow(&self) -> Result<Arc<LoadedMapper>, NotFollowed> {
        self.follow_with(None).await
    }

    /// Same as [`ActiveMapper::follow`], with a loaded mapper that is probably the active one.
    ///
    /// # Errors
    /// Same as [`ActiveMapper::follow`].
    pub async fn follow_with(&self, at_hand: Option<Arc<LoadedMapper>>) -> Result<Arc<LoadedMapper>, NotFollowed> {
        let wanted = self.wanted().await?;
        // Checked before the known unusable mapper: a repaired module arrives this way.
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
        let follower = match self.loaders.follower().await {
            Ok(follower) => follower,
            Err(gone) => return Err(self.cannot(wanted, &chain(&gone))),
        };
        // The task before may have loaded the mapper, or found that it does not load; and another
        // mapper may be active now.
        let wanted = self.wanted().await?;
        if let Some(known) = self.known(&wanted) {
            return known;
        }
        let loaded = self.load(&follower, &wanted).await?;
        if self.wanted().await? != wanted {
            // Another mapper was activated during the load, and is probably swapped in: the loaded one must not replace
            // it.
            return Box::pin(self.follow()).await;
        }
        match loaded {
            Ok(mapper) => self.swap_checked(Arc::new(mapper)).await,
            Err(why) => Err(self.cannot(wanted, &why)),
        }
    }

    /// Returns the key of the active mapper from the database.
    async fn wanted(&self) -> Result<String, StoreError> {
        let mut tx = self.db.read().await?;
        mapper::active(&mut tx).await
    }

    /// Returns the result for this mapper as far as it is known without a load; `None` when a load is needed.
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

    /// Swaps the mapper in and reads the database again: another mapper may have been activated and swapped in since
    /// the last read. The last task to swap is also the last to read, so the process ends with the mapper that the
    /// database names.
    async fn swap_checked(&self, mapper: Arc<LoadedMapper>) -> Result<Arc<LoadedMapper>, NotFollowed> {
        if self.current().key() != mapper.key() {
            info!(mapper = mapper.name(), version = mapper.version(), digest = %mapper.digest(), "mapper swapped");
            self.loaded.store(Arc::clone(&mapper));
        }
        self.set_unusable(None);
        if self.wanted().await? == **mapper.key() { Ok(mapper) } else { Box::pin(self.follow()).await }
    }

    /// Records that the active mapper does not run in this process.
    fn cannot(&self, wanted: String, why: &str) -> NotFollowed {
        let message = format!(
            "the active mapper module {} does not run in this process: {why}. Nothing is sent until a mapper runs; \
             activate another module, roll back to the previous one, or reset to the built-in mapper",
            &wanted[..wanted.len().min(12)]
        );
        error!(mapper = wanted, why, "active mapper does not run in this process");
        self.set_unusable(Some(Unusable { key: wanted, since: self.now(), message: message.clone() }));
        NotFollowed::Unusable(message)
    }

    /// Loads the mapper of this key. The inner error says why it does not load.
    async fn load(&self, follower: &Follower, key: &str) -> Result<Result<LoadedMapper, String>, StoreError> {
        if key == BUILTIN {
            return Ok(Ok(LoadedMapper::builtin()));
        }
        let mut tx = self.db.read().await?;
        let bytes = mapper::bytes(&mut tx, key).await?;
        let has_passed = mapper::has_passed(&mut tx, key, &tried_by()).await?;
        drop(tx);
        let Some(bytes) = bytes else { return Ok(Err("its file is not in the database".into())) };
        let found = digest(&bytes);
        if found != key {
            // It never passed a trial, and its key would differ from the key of its activation.
            return Ok(Err(format!(
                "its stored file is damaged (SHA-256 {found}); activate the module again from its file to repair it"
            )));
        }
        // A module was rehearsed at its activation and is not rehearsed again: a take-over of the lease must not wait
        // for a rehearsal.
        let loaded = match follower.load(bytes, has_passed).await {
            Ok(Ok(mapper)) => mapper,
            Ok(Err(refused)) => return Ok(Err(refused.to_string())),
            Err(gone) => return Ok(Err(chain(&gone))),
        };
        if !has_passed && let Err(cause) = self.note_passed(key).await {
            info!(
                cause = chain(&cause),
                "passed trial of the active module not recorded; the next start tries it again"
            );
        }
        Ok(Ok(loaded))
    }
}
