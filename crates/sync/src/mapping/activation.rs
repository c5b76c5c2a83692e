//! Changes of the active mapper: activate a module, roll back to the previous mapper, or reset to the built-in one.
//!
//! An activation, in order: digest, load, samples, one transaction, swap. The old mapper is active until the
//! transaction is committed, the new one afterwards; a process that dies in between starts with the mapper that the
//! database names. Replicas follow when they next read the database ([`ActiveMapper::follow`]).
//!
//! The API, the command line and the watched folder use this module; none of them needs running actors.

use std::sync::Arc;

use tracing::{error, info, warn};

use super::active::{ActiveMapper, NotFollowed, tried_by};
use super::loader::MapperGone;
use super::{LoadedMapper, Refused, digest};
use crate::clock::Millis;
use crate::domain::reask::Reason;
use crate::failpoints::{Point, at};
use crate::report::chain;
use crate::store::mapper::{self, BUILTIN, Mappers, StoredModule};
use crate::store::{StoreError, Tx, lease, reask};

/// The source of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `PUT /admin/meta/mapper`.
    Api,
    /// `meta-catalog mapper activate`.
    Cli,
    /// The watched folder.
    Directory,
    /// A rollback to the previous mapper.
    Rollback,
}

impl Source {
    /// Returns the word that the database stores.
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
    /// This process cannot load any module.
    #[error(transparent)]
    Gone(#[from] MapperGone),
    /// The module cannot become active.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The previous module is no longer stored, or its file is damaged; the text says what to do.
    #[error("{0}")]
    Lost(String),
    /// There is no previous mapper.
    #[error("there is no mapper to roll back to: the built-in mapper was always active")]
    NothingBefore,
    /// Another activation was committed first.
    #[error("another mapper was activated during the rollback; check which mapper is active, then roll back again")]
    Changed,
}

/// The result of an activation.
#[derive(Clone, Debug)]
pub struct Activated {
    /// The active and the previous mapper now.
    pub state: Mappers,
    /// `false` when the mapper was already active and no swap happened. A requested re-map begins in both cases.
    pub changed: bool,
    /// Number of variants that failed under another mapper and are tried again.
    pub requeued: u64,
}

type Result<T> = std::result::Result<T, ActivationError>;

/// Activates a module: loads it, maps every sample with it, and makes it the active mapper. With `remap`, every variant
/// is queued again.
///
/// # Errors
/// [`ActivationError::Refused`] when the module is refused or could not be tried; nothing has changed then. The other
/// variants when the database query fails or this process cannot load modules.
pub async fn activate(active: &ActiveMapper, bytes: Vec<u8>, source: Source, remap: bool) -> Result<Activated> {
    let digest = digest(&bytes);
    let loaded = match rehearse(active, &bytes).await? {
        Ok(loaded) => loaded,
        Err(refused) => {
            let why = refused.to_string();
            warn!(digest, why, "mapper module not activated");
            // A refusal that may pass is not stored; otherwise the watched folder would ignore the file.
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

/// Times that a file in the watched folder was too slow, or the service ended while it loaded it. After that many it is
/// refused.
const MOST_TRIES: i64 = 5;
/// No load in this process takes as long.
const LOADED_WITHIN: Millis = 60_000;

/// The result for a file found in the watched folder.
#[derive(Clone, Debug)]
pub enum Found {
    /// A file of this digest was offered before, from any source: it is not processed again. Holds why it was refused.
    Known(Option<String>),
    /// The module is the active mapper now.
    Activated(Box<Activated>),
    /// The module is refused, and the refusal is stored.
    Refused(String),
    /// The module would be refused, but the file may be incomplete.
    Torn(String),
    /// The module took too long on a machine that may be busy: it may be offered again.
    Slow(String),
    /// This machine failed: the module may be offered again.
    NotTried(String),
}

/// The state of a found file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The file may still be written to: no refusal is final.
    Young,
    /// The file is complete: a refusal is final, unless the file may be accepted at another time.
    Whole,
}

/// What is done with a refusal of a found file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// See [`Found::NotTried`].
    NotTried,
    /// See [`Found::Slow`].
    Slow,
    /// See [`Found::Torn`].
    Torn,
    /// See [`Found::Refused`].
    Final,
}

/// Returns what is done with the refusal of a file that was tried this often, this time included.
fn fate(refused: &Refused, standing: Standing, tries: i64) -> Fate {
    match standing {
        _ if refused.is_the_machines() => Fate::NotTried,
        _ if refused.may_pass() && tries < MOST_TRIES => Fate::Slow,
        Standing::Young if !refused.may_pass() => Fate::Torn,
        _ => Fate::Final,
    }
}

/// Activates the module in a file found in the watched folder, at most once ever: a restart must not undo a later
/// choice.
///
/// # Errors
/// When the database query fails, or this process cannot run any module.
pub async fn found(active: &ActiveMapper, bytes: Vec<u8>, standing: Standing) -> Result<Found> {
    const SOURCE: Source = Source::Directory;
    const TOO_OFTEN: &str = ". It was tried several times and is no longer retried automatically; activate it with \
                             `PUT /admin/meta/mapper` or `meta-catalog mapper activate`";
    let digest = digest(&bytes);
    let mut tx = active.db().read().await?;
    if let Some(offer) = mapper::offer(&mut tx, &digest).await? {
        return Ok(Found::Known(offer.refused));
    }
    drop(tx);
    let bytes: Arc<[u8]> = bytes.into();
    let mut tx = active.db().read().await?;
    let is_deadly = mapper::unfinished(&mut tx, &digest, active.now() - LOADED_WITHIN).await? >= MOST_TRIES;
    drop(tx);
    let tried = if is_deadly {
        Err(format!("the service ended each time when it loaded this file{TOO_OFTEN}"))
    } else if let Err(refused) = active.try_out(&bytes).await {
        let tries =
            if refused.may_pass() && !refused.is_the_machines() { begin_try(active, &digest).await? } else { 0 };
        match fate(&refused, standing, tries) {
            Fate::NotTried => return Ok(Found::NotTried(refused.to_string())),
            Fate::Slow => return Ok(Found::Slow(refused.to_string())),
            Fate::Torn => return Ok(Found::Torn(refused.to_string())),
            Fate::Final if refused.may_pass() => Err(format!("{refused}{TOO_OFTEN}")),
            Fate::Final => Err(refused.to_string()),
        }
    } else {
        at(Point::MapperRehearsed).await;
        // A file that passes its trial and ends this process nevertheless is not loaded at every start.
        begin_try(active, &digest).await?;
        let loaded = active.load_tried(Arc::clone(&bytes)).await;
        let mut tx = active.db().write().await?;
        mapper::discount_try(&mut tx, &digest).await?;
        tx.commit().await?;
        match loaded? {
            Ok(loaded) => Ok(Arc::new(loaded)),
            Err(refused) if refused.is_the_machines() => return Ok(Found::NotTried(refused.to_string())),
            Err(refused) => Err(refused.to_string()),
        }
    };
    let mut tx = active.db().write().await?;
    let refused = tried.as_ref().err().map(String::as_str);
    if !mapper::claimed(&mut tx, &digest, SOURCE.as_str(), refused, active.now()).await? {
        // Another replica was faster.
        let offer = mapper::offer(&mut tx, &digest).await?;
        return Ok(Found::Known(offer.and_then(|offer| offer.refused)));
    }
    let loaded = match tried {
        Ok(loaded) => loaded,
        Err(why) => {
            tx.commit().await?;
            return Ok(Found::Refused(why));
        }
    };
    keep(active, &mut tx, &loaded, &bytes).await?;
    lease::hold_pipeline(&mut tx).await?;
    let activated = finish(active, tx, loaded, SOURCE, None).await?;
    Ok(Found::Activated(Box::new(activated)))
}

async fn begin_try(active: &ActiveMapper, digest: &str) -> Result<i64> {
    let mut tx = active.db().write().await?;
    let tries = mapper::begin_try(&mut tx, digest, active.now()).await?;
    tx.commit().await?;
    Ok(tries)
}

/// Returns a mapper that answered every sample, or why it was refused.
async fn rehearse(active: &ActiveMapper, bytes: &[u8]) -> Result<std::result::Result<Arc<LoadedMapper>, Refused>> {
    let loaded = active.load_rehearsed(bytes.to_vec()).await?;
    at(Point::MapperRehearsed).await;
    Ok(loaded.map(Arc::new))
}

async fn keep(active: &ActiveMapper, tx: &mut Tx, loaded: &LoadedMapper, bytes: &[u8]) -> Result<()> {
    let module = StoredModule { digest: loaded.key(), name: loaded.name(), version: loaded.version(), bytes };
    mapper::keep(tx, &module, active.now()).await?;
    Ok(mapper::passed(tx, loaded.key(), &tried_by(), active.now()).await?)
}

/// Activates the built-in mapper.
///
/// # Errors
/// When the database query fails.
pub async fn reset(active: &ActiveMapper, source: Source, remap: bool) -> Result<Activated> {
    let remap = count(active, remap).await?;
    let mut tx = active.db().write().await?;
    lease::hold_pipeline(&mut tx).await?;
    finish(active, tx, Arc::new(LoadedMapper::builtin()), source, remap).await
}

/// Activates the mapper that was active before the current one. Rolling back twice restores the current mapper.
///
/// # Errors
/// [`ActivationError::NothingBefore`], [`ActivationError::Lost`], [`ActivationError::Refused`] and
/// [`ActivationError::Changed`] say why the rollback is impossible; nothing has changed then.
pub async fn rollback(active: &ActiveMapper, remap: bool) -> Result<Activated> {
    let mut tx = active.db().read().await?;
    let (present, previous) = mapper::activations(&mut tx).await?;
    let present = present.ok_or(ActivationError::NothingBefore)?;
    let target = previous.map_or_else(|| BUILTIN.to_owned(), |previous| previous.mapper);
    let bytes = if target == BUILTIN { None } else { Some(mapper::bytes(&mut tx, &target).await?) };
    // A load takes long and may wait for another load, so no connection is held during it.
    drop(tx);
    let loaded = match bytes {
        None => LoadedMapper::builtin(),
        Some(None) => {
            let why =
                format!("the file of the module {target} is no longer stored; activate the module again from its file");
            return Err(ActivationError::Lost(why));
        }
        // The module is rehearsed again: it is the same, but the service may be newer.
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
    // The activations are compared, not their mappers: a change and its reversal count as a change as well.
    if mapper::activations(&mut tx).await?.0.is_none_or(|now| now.id != present.id) {
        return Err(ActivationError::Changed);
    }
    finish(active, tx, Arc::new(loaded), Source::Rollback, remap).await
}

/// Returns the number of variants that a re-map queues; `None` without a re-map. They are counted before the pipeline
/// is held.
async fn count(active: &ActiveMapper, remap: bool) -> Result<Option<i64>> {
    if !remap {
        return Ok(None);
    }
    let mut tx = active.db().read().await?;
    Ok(Some(reask::count(&mut tx, Reason::Remap).await?))
}

/// Commits the activation and swaps the mapper in. `remap` is the number of variants to queue again; `None` without a
/// re-map.
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
    // The database decides, not `loaded`: of two concurrent activations, the one committed last is active, and each
    // reads the database again after its swap. A committed activation is final, even if the swap fails.
    match active.follow_with(Some(loaded)).await {
        Ok(_) => {}
        // The lease holder checks with every tick, and gives the lease up while it cannot run the mapper.
        Err(NotFollowed::Store(cause)) => {
            error!(cause = chain(&cause), "activated mapper not swapped in yet; the swap is retried");
        }
        // The failure is shown in `/status`, and the load is retried.
        Err(NotFollowed::Unusable(_)) => {}
    }
    at(Point::MapperSwapped).await;
    Ok(Activated { state, changed: requeued.is_some(), requeued: requeued.unwrap_or(0) })
}

/// Queues every variant again with the active mapper; payloads that differ are sent.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::trial::Death;

    #[test]
    fn a_file_that_is_always_too_slow_has_a_last_try() {
        let slow = Refused::Died(Death::LoadTime);
        let fates: Vec<Fate> = (1..=MOST_TRIES).map(|tries| fate(&slow, Standing::Whole, tries)).collect();
        assert_eq!(fates, [Fate::Slow, Fate::Slow, Fate::Slow, Fate::Slow, Fate::Final]);
    }

    #[test]
    fn a_refusal_is_final_when_it_is_the_file_s_and_the_file_is_whole() {
        let (bad, machine) = (Refused::Died(Death::Memory), Refused::Died(Death::NotRun("x".into())));
        assert_eq!(fate(&bad, Standing::Whole, 1), Fate::Final);
        assert_eq!(fate(&bad, Standing::Young, 1), Fate::Torn);
        for standing in [Standing::Young, Standing::Whole] {
            assert_eq!(fate(&machine, standing, MOST_TRIES), Fate::NotTried);
        }
    }
}
