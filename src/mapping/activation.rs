//! Changing the active mapper: activate a module, go back to the one before, or to the built-in.
//!
//! An activation, in order: digest, load, samples, one transaction, swap. Until the transaction is committed the old
//! mapper is active, afterwards the new one; a process that dies in between starts with what the store says. Replicas
//! follow when they next read the store ([`ActiveMapper::follow`]).
//!
//! The API, the command line and the watched folder come here; none needs the actors to run.

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

/// Where a module came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `PUT /admin/meta/mapper`.
    Api,
    /// `meta-catalog mapper activate`.
    Cli,
    /// The watched folder.
    Directory,
    /// Back to the one before.
    Rollback,
}

impl Source {
    /// The word in the store.
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
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No module can be loaded here.
    #[error(transparent)]
    Gone(#[from] MapperGone),
    /// The module cannot become active.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The module before is not there any more, or damaged; says what to do.
    #[error("{0}")]
    Lost(String),
    /// There is no mapper before.
    #[error("there is no mapper to roll back to: no other mapper than the built-in one was ever active")]
    NothingBefore,
    /// Another activation was committed first.
    #[error("another mapper was activated during the rollback; check which mapper is active, then roll back again")]
    Changed,
}

/// The result of an activation.
#[derive(Clone, Debug)]
pub struct Activated {
    /// Which mapper is active now.
    pub state: Mappers,
    /// False when it was active already: nothing was swapped. A requested re-map begins all the same.
    pub changed: bool,
    /// Variants that had failed under another mapper, and are tried again.
    pub requeued: u64,
}

type Result<T> = std::result::Result<T, ActivationError>;

/// Activates a module: loads it, asks it for every sample, and makes it the active mapper. With `remap`, every variant
/// is asked for again.
///
/// # Errors
/// [`ActivationError::Refused`] says why the module is refused or could not be tried; nothing has changed then.
pub async fn activate(active: &ActiveMapper, bytes: Vec<u8>, source: Source, remap: bool) -> Result<Activated> {
    let digest = digest(&bytes);
    let loaded = match rehearse(active, &bytes).await? {
        Ok(loaded) => loaded,
        Err(refused) => {
            let why = refused.to_string();
            warn!(digest, why, "mapper module not activated");
            // What may pass is not remembered, or the watched folder would leave the file.
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
    /// A file of this digest was offered before, from anywhere: it is not acted on again.
    Known,
    /// It is the active mapper now.
    Activated(Box<Activated>),
    /// It is refused, and remembered as such.
    Refused(String),
    /// It would be refused, and may not be whole yet.
    Torn(String),
    /// It took too long on a machine that may be busy: it may be offered again.
    Slow(String),
    /// This machine failed: it may be offered again.
    NotTried(String),
}

/// What is known of a file that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may still be written: no refusal is final.
    Young,
    /// It is not written any more: a refusal is final, unless the file may do better another time.
    Whole,
    /// It was too slow often enough: one that is too slow again is refused for good.
    LastTry,
}

/// Activates the module in a file that was found in the watched folder, once and never again: a restart must not undo
/// what was chosen since.
///
/// # Errors
/// When the store does not answer, or no module can run here.
pub async fn found(active: &ActiveMapper, bytes: Vec<u8>, standing: Standing) -> Result<Found> {
    const SOURCE: Source = Source::Directory;
    const TOO_OFTEN: &str = ". It was tried several times, a minute apart, and is no longer retried automatically; activate \
                             it with `PUT /admin/meta/mapper` or `meta-catalog mapper activate`";
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

/// A mapper that answered every sample, or why it does not.
async fn rehearse(active: &ActiveMapper, bytes: &[u8]) -> Result<std::result::Result<Arc<LoadedMapper>, Refused>> {
    let loaded = active.load_rehearsed(bytes.to_vec()).await?;
    at(Point::MapperRehearsed).await;
    Ok(loaded.map(Arc::new))
}

async fn keep(active: &ActiveMapper, tx: &mut Tx, loaded: &LoadedMapper, bytes: &[u8]) -> Result<()> {
    let module = StoredModule { digest: loaded.key(), name: loaded.name(), version: loaded.version(), bytes };
    Ok(mapper::keep(tx, &module, active.now()).await?)
}

/// Goes back to the built-in mapper.
///
/// # Errors
/// When the store does not answer.
pub async fn reset(active: &ActiveMapper, source: Source, remap: bool) -> Result<Activated> {
    let remap = count(active, remap).await?;
    let mut tx = active.db().write().await?;
    lease::hold_pipeline(&mut tx).await?;
    finish(active, tx, Arc::new(LoadedMapper::builtin()), source, remap).await
}

/// Goes back to the mapper before the active one. A second rollback restores the present one.
///
/// # Errors
/// [`ActivationError::NothingBefore`], [`ActivationError::Lost`] and [`ActivationError::Refused`] say why it cannot;
/// nothing has changed then.
pub async fn rollback(active: &ActiveMapper, remap: bool) -> Result<Activated> {
    let mut tx = active.db().read().await?;
    let (present, previous) = mapper::activations(&mut tx).await?;
    let present = present.ok_or(ActivationError::NothingBefore)?;
    let target = previous.map_or_else(|| BUILTIN.to_owned(), |previous| previous.mapper);
    let bytes = if target == BUILTIN { None } else { Some(mapper::bytes(&mut tx, &target).await?) };
    // Loading takes long, and may wait for another load: not with a connection in hand.
    drop(tx);
    let loaded = match bytes {
        None => LoadedMapper::builtin(),
        Some(None) => {
            let why =
                format!("the file of the module {target} is no longer stored; activate the module again from its file");
            return Err(ActivationError::Lost(why));
        }
        // Samples again: the module is the same, but the service may be a newer one.
        Some(Some(bytes)) => active.load_rehearsed(bytes).await??,
    };
    if **loaded.key() != *target {
        return Err(ActivationError::Lost(format!(
            "the stored file of the module {target} is damaged: its digest does not match; activate the module again \
             from its file"
        )));
    }
    let remap = count(active, remap).await?;
    let mut tx = active.db().write().await?;
    lease::hold_pipeline(&mut tx).await?;
    // By the activation, not by its mapper: there and back again is a change as well.
    if mapper::activations(&mut tx).await?.0.is_none_or(|now| now.id != present.id) {
        return Err(ActivationError::Changed);
    }
    finish(active, tx, Arc::new(loaded), Source::Rollback, remap).await
}

/// How many variants a re-map asks for, if one is wanted; counted before the pipeline is held.
async fn count(active: &ActiveMapper, remap: bool) -> Result<Option<i64>> {
    if !remap {
        return Ok(None);
    }
    let mut tx = active.db().read().await?;
    Ok(Some(reask::count(&mut tx, Reason::Remap).await?))
}

/// Commits the activation and swaps. With `remap`, that many variants are asked for again.
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
    // Through the store's word, not `loaded`: of two activations at once, the one committed last counts, and each reads
    // the store again after its swap. What is committed is done, whatever the swap does.
    match active.follow_with(Some(loaded)).await {
        Ok(_) => {}
        // The lease holder looks with every tick, and gives the lease up as long as it cannot.
        Err(NotFollowed::Store(cause)) => {
            error!(cause = chain(&cause), "activated mapper not swapped in yet; the swap is retried");
        }
        // Shown in `/status`, and tried again.
        Err(NotFollowed::Unusable(_)) => {}
    }
    at(Point::MapperSwapped).await;
    Ok(Activated { state, changed: requeued.is_some(), requeued: requeued.unwrap_or(0) })
}

/// Asks for every variant again, with the mapper that is active: what it says differently is sent.
///
/// # Errors
/// When the store does not answer.
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
