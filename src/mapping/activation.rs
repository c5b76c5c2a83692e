//! Changing the active mapper: activating a module, rolling back to the mapper before, or resetting to the built-in
//! mapper.
//!
//! An activation, in order: digest, load, samples, one transaction, swap. The old mapper is active until the
//! transaction is committed, the new one afterwards; a process that dies in between starts with the mapper that the
//! store names. Replicas follow when they next read the store ([`ActiveMapper::follow`]).
//!
//! The API, the command line and the watched folder use this module; it does not need running actors.

use std::sync::Arc;

use tracing::{error, info, warn};

use super::active::{ActiveMapper, NotFollowed};
use super::loader::MapperGone;
use super::{LoadedMapper, Refused, digest};
use crate::domain::reask::Reason;
use crate::failpoints::{Point, at};
use crate::report::chain;
use crate::store::mapper::{self, BUILTIN, Mappers, StoredModule};
use crate::store::{StoreError, Tx, lease, reask};

/// The origin of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `PUT /admin/meta/mapper`.
    Api,
    /// `meta-catalog mapper activate`.
    Cli,
    /// The watched folder.
    Directory,
    /// A rollback to the mapper before.
    Rollback,
}

impl Source {
    /// Returns the word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Cli => "cli",
            Self::Directory => "directory",
            Self::Rollback => "rollback",
        }
    }
}

/// Why the active mapper was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// The database query failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No module can be loaded in this process.
    #[error(transparent)]
    Gone(#[from] MapperGone),
    /// The module cannot become active.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The file of the module before is no longer stored, or is damaged; says what to do.
    #[error("{0}")]
    Lost(String),
    /// There is no mapper before the active one.
    #[error("there is no mapper to roll back to: the built-in mapper was always active")]
    NothingBefore,
    /// Another activation was committed first.
    #[error("another mapper was activated meanwhile; check which one is active, then roll back again")]
    Changed,
}

/// The result of an activation.
#[derive(Clone, Debug)]
pub struct Activated {
    /// Which mapper is active now.
    pub state: Mappers,
    /// False when the mapper was already active: nothing was swapped. A requested re-map begins nevertheless.
    pub changed: bool,
    /// Variants that had failed under another mapper and are tried again.
    pub requeued: u64,
}

type Result<T> = std::result::Result<T, ActivationError>;

/// Activates a module: loads it, asks it for every sample, and makes it the active mapper. With `remap`, every variant
/// is asked for again.
///
/// # Errors
/// [`ActivationError::Refused`] when the module is refused or could not be tried; nothing is changed then.
pub async fn activate(active: &ActiveMapper, bytes: Vec<u8>, source: Source, remap: bool) -> Result<Activated> {
    let digest = digest(&bytes);
    let loaded = match rehearse(active, &bytes).await? {
        Ok(loaded) => loaded,
        Err(refused) => {
            let why = refused.to_string();
            warn!(digest, why, "mapper module not activated");
            // A refusal that may pass is not recorded; otherwise the watched folder would ignore the file from then on.
            if !refused.may_pass() {
                let mut tx = active.db().write().await?;
                mapper::offered(&mut tx, &digest, source.as_str(), Some(&why), active.now()).await?;
                tx.commit().await?;
            }
            return Err(refused.into());
        }
    };
    let remap = count(active, remap).await?;
    let mut tx = active.db().write().await?;
    mapper::offered(&mut tx, &digest, source.as_str(), None, active.now()).await?;
    keep(active, &mut tx, &loaded, &bytes).await?;
    lease::hold_pipeline(&mut tx).await?;
    finish(active, tx, loaded, source, remap).await
}

/// The result for a file that was found in the watched folder.
#[derive(Clone, Debug)]
pub enum Found {
    /// A file with this digest was offered before, from any source: it is ignored.
    Known,
    /// The module is now the active mapper.
    Activated(Box<Activated>),
    /// The module is refused, and the refusal is recorded.
    Refused(String),
    /// The module would be refused, but its file may not be complete yet.
    Torn(String),
    /// The module took too long, perhaps because this machine was busy: it may be offered again.
    Slow(String),
    /// This machine failed: the module may be offered again.
    NotTried(String),
}

/// What is known about a file in the watched folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The file may still be written: no refusal is final.
    Young,
    /// The file is no longer written: a refusal is final, unless it may pass another time.
    Whole,
    /// The module was too slow several times: if it is too slow again, it is refused permanently.
    LastTry,
}

/// Activates the module in a file that was found in the watched folder, at most once per digest: a restart must not
/// undo a later choice.
///
/// # Errors
/// When the database query fails, or no module can run in this process.
pub async fn found(active: &ActiveMapper, bytes: Vec<u8>, standing: Standing) -> Result<Found> {
    const SOURCE: Source = Source::Directory;
    const TOO_OFTEN: &str = ". It was tried several times, one minute apart, and is no longer tried automatically; offer it \
                             again with `PUT /admin/meta/mapper` or `meta-catalog mapper activate`";
    let digest = digest(&bytes);
    let mut tx = active.db().read().await?;
    if mapper::was_offered(&mut tx, &digest).await? {
        return Ok(Found::Known);
    }
    drop(tx);
    let loaded = match rehearse(active, &bytes).await? {
        Ok(loaded) => loaded,
        Err(refused) if refused.is_the_machines() => return Ok(Found::NotTried(refused.to_string())),
        Err(refused) if refused.may_pass() && standing != Standing::LastTry => {
            return Ok(Found::Slow(refused.to_string()));
        }
        Err(refused) if !refused.may_pass() && standing == Standing::Young => {
            return Ok(Found::Torn(refused.to_string()));
        }
        Err(refused) => {
            let mut why = refused.to_string();
            if refused.may_pass() {
                why.push_str(TOO_OFTEN);
            }
            let mut tx = active.db().write().await?;
            let claimed = mapper::claimed(&mut tx, &digest, SOURCE.as_str(), Some(&why), active.now()).await?;
            tx.commit().await?;
            return Ok(if claimed { Found::Refused(why) } else { Found::Known });
        }
    };
    let mut tx = active.db().write().await?;
    if !mapper::claimed(&mut tx, &digest, SOURCE.as_str(), None, active.now()).await? {
        return Ok(Found::Known);
    }
    keep(active, &mut tx, &loaded, &bytes).await?;
    lease::hold_pipeline(&mut tx).await?;
    let activated = finish(active, tx, loaded, SOURCE, None).await?;
    Ok(Found::Activated(Box::new(activated)))
}

/// Loads a mapper and asks it for every sample; the inner error says why it is refused.
async fn rehearse(active: &ActiveMapper, bytes: &[u8]) -> Result<std::result::Result<Arc<LoadedMapper>, Refused>> {
    let loaded = active.load_rehearsed(bytes.to_vec()).await?;
    at(Point::MapperRehearsed).await;
    Ok(loaded.map(Arc::new))
}

async fn keep(active: &ActiveMapper, tx: &mut Tx, loaded: &LoadedMapper, bytes: &[u8]) -> Result<()> {
    let module = StoredModule { digest: loaded.key(), name: loaded.name(), version: loaded.version(), bytes };
    Ok(mapper::keep(tx, &module, active.now()).await?)
}

/// Activates the built-in mapper again.
///
/// # Errors
/// When the database query fails.
pub async fn reset(active: &ActiveMapper, source: Source, remap: bool) -> Result<Activated> {
    let remap = count(active, remap).await?;
    let mut tx = active.db().write().await?;
    lease::hold_pipeline(&mut tx).await?;
    finish(active, tx, Arc::new(LoadedMapper::builtin()), source, remap).await
}

/// Activates the mapper before the active one. Rolling back twice restores the current mapper.
///
/// # Errors
/// [`ActivationError::NothingBefore`], [`ActivationError::Lost`], [`ActivationError::Refused`] or
/// [`ActivationError::Changed`]; nothing is changed then.
pub async fn rollback(active: &ActiveMapper, remap: bool) -> Result<Activated> {
    let mut tx = active.db().read().await?;
    let (present, previous) = mapper::activations(&mut tx).await?;
    let present = present.ok_or(ActivationError::NothingBefore)?;
    let target = previous.map_or_else(|| BUILTIN.to_owned(), |previous| previous.mapper);
    let bytes = if target == BUILTIN { None } else { Some(mapper::bytes(&mut tx, &target).await?) };
    // Loading takes long and may wait for another load, so no connection is held during it.
    drop(tx);
    let loaded = match bytes {
        None => LoadedMapper::builtin(),
        Some(None) => {
            let why = format!("the file of the module {target} is no longer stored; activate it again");
            return Err(ActivationError::Lost(why));
        }
        // The samples are asked again: the module is unchanged, but the service may be a newer version.
        Some(Some(bytes)) => active.load_rehearsed(bytes).await??,
    };
    if **loaded.key() != *target {
        return Err(ActivationError::Lost(format!(
            "the stored file of the module {target} is damaged: its digest differs; activate the module again from its file"
        )));
    }
    let remap = count(active, remap).await?;
    let mut tx = active.db().write().await?;
    lease::hold_pipeline(&mut tx).await?;
    // Compared by activation id, not by mapper: switching away and back is a change as well.
    if mapper::activations(&mut tx).await?.0.is_none_or(|now| now.id != present.id) {
        return Err(ActivationError::Changed);
    }
    finish(active, tx, Arc::new(loaded), Source::Rollback, remap).await
}

/// Returns how many variants a re-map asks for, if one is requested; counted before the pipeline's lease row is locked.
async fn count(active: &ActiveMapper, remap: bool) -> Result<Option<i64>> {
    if !remap {
        return Ok(None);
    }
    let mut tx = active.db().read().await?;
    Ok(Some(reask::count(&mut tx, Reason::Remap).await?))
}

/// Commits the activation and swaps. With `remap`, this many variants are asked for again.
async fn finish(
    active: &ActiveMapper,
    mut tx: Tx,
    loaded: Arc<LoadedMapper>,
    source: Source,
    remap: Option<i64>,
) -> Result<Activated> {
    let now = active.now();
    let requeued = mapper::activate(&mut tx, loaded.key(), loaded.digest(), source.as_str(), now).await?;
    if let Some(total) = remap {
        reask::begin(&mut tx, Reason::Remap, Some(total), now).await?;
    }
    let state = mapper::mappers(&mut tx).await?;
    at(Point::MapperActivating).await;
    tx.commit().await?;
    at(Point::MapperActivated).await;
    if requeued.is_some() {
        info!(mapper = loaded.name(), version = loaded.version(), digest = %loaded.digest(), "mapper activated");
    }
    // The swap uses the store's active mapper, not `loaded`: of two concurrent activations, the one committed last
    // counts, and each reads the store again after its swap. The committed activation is valid, whatever the swap does.
    match active.follow_with(Some(loaded)).await {
        Ok(_) => {}
        // The lease holder checks the store with every tick, and gives the lease up as long as it cannot swap.
        Err(NotFollowed::Store(cause)) => {
            error!(cause = chain(&cause), "activated mapper not swapped in yet; tried again");
        }
        // Reported in `/status`, and tried again.
        Err(NotFollowed::Unusable(_)) => {}
    }
    at(Point::MapperSwapped).await;
    Ok(Activated { state, changed: requeued.is_some(), requeued: requeued.unwrap_or(0) })
}

/// Asks for every variant again with the active mapper: every payload that differs is sent.
///
/// # Errors
/// When the database query fails.
pub async fn remap(active: &ActiveMapper) -> Result<Mappers> {
    let mut tx = active.db().read().await?;
    let total = reask::count(&mut tx, Reason::Remap).await?;
    drop(tx);
    let mut tx = active.db().write().await?;
    reask::begin(&mut tx, Reason::Remap, Some(total), active.now()).await?;
    let state = mapper::mappers(&mut tx).await?;
    tx.commit().await?;
    Ok(state)
}
