//! Which mapper is active, and changing it: activate a module, go back to the one before, or to the built-in.
//!
//! An activation, in order: digest, load, samples, one transaction, swap. Until the transaction is committed the old
//! mapper is active, afterwards the new one; a process that dies in between starts with what the store says. Replicas
//! follow with their next look at the store ([`crate::mapping::follow`]).
//!
//! The API, the command line and the watched directory come here; none needs the actors to run.

mod view;

use std::sync::Arc;

use serde::Serialize;
use tracing::{error, info, warn};
use utoipa::ToSchema;

use super::Fault;
use crate::failpoints::{Point, at};
use crate::mapping::follow::{NotFollowed, follow_with};
use crate::mapping::{self, Refused, Running};
use crate::pipeline::Pipeline;
use crate::report::chain;
use crate::store::mapper::{self, BUILTIN, StoredModule};
use crate::store::{Tx, lease};
use view::load;
pub use view::{MapperState, MapperView, RefusedView, RemapView};

/// Where a module came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `PUT /admin/meta/mapper`.
    Api,
    /// `meta-catalog mapper activate`.
    Cli,
    /// The watched directory.
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

/// What came of an activation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activated {
    /// Which mapper is active now.
    #[serde(flatten)]
    pub state: MapperState,
    /// False when it was active already: nothing was swapped. A re-map that was asked for begins all the same.
    pub changed: bool,
    /// Variants that had failed under another mapper, and are tried again.
    pub requeued: u64,
}

/// Reads it.
///
/// # Errors
/// When the store does not answer.
pub async fn state(pipeline: &Pipeline) -> Result<MapperState, Fault> {
    let mut tx = pipeline.db.read().await?;
    Ok(load(&mut tx).await?)
}

/// Activates a module: loads it, asks it for every sample, and makes it the active mapper. With `remap`, every variant
/// is asked for again.
///
/// # Errors
/// [`Fault::Module`] says why the module is refused, [`Fault::NotTried`] why this machine cannot tell; nothing has
/// changed then.
pub async fn activate(pipeline: &Pipeline, bytes: Vec<u8>, source: Source, remap: bool) -> Result<Activated, Fault> {
    let digest = mapping::digest(&bytes);
    let running = match rehearse(pipeline, &bytes).await? {
        Ok(running) => running,
        Err(refused) => {
            let why = refused.to_string();
            warn!(digest, why, "mapper module not activated");
            // What may pass is not remembered, or the watched directory would leave the file.
            if !refused.may_pass() {
                let mut tx = pipeline.db.write().await?;
                mapper::offered(&mut tx, &digest, source.as_str(), Some(&why), pipeline.now()).await?;
                tx.commit().await?;
            }
            return Err(refused.into());
        }
    };
    let remap = count(pipeline, remap).await?;
    let mut tx = pipeline.db.write().await?;
    mapper::offered(&mut tx, &digest, source.as_str(), None, pipeline.now()).await?;
    keep(pipeline, &mut tx, &running, &bytes).await?;
    lease::hold_pipeline(&mut tx).await?;
    finish(pipeline, tx, running, source, remap).await
}

/// What became of a file that nobody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A file of this digest was offered before, from anywhere: it is not acted on again.
    Known,
    /// It is the active mapper now.
    Activated(Box<Activated>),
    /// It is refused, and remembered as such.
    Refused(String),
    /// It would be refused, and may not be whole yet.
    Torn(String),
    /// It cannot be told what it is worth, since it took too long on a machine that may be busy: it may be offered again.
    Slow(String),
    /// It cannot be told what it is worth, since this machine failed: it may be offered again.
    NotTried(String),
}

/// What is known of a file that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may still be written: no refusal is final.
    Young,
    /// It is not written any more: a refusal is final, unless the file may do better another time.
    Whole,
    /// It was too slow often enough: one that is so again is refused for good, and not compiled for ever.
    LastTry,
}

/// Activates the module in a file that was found in the watched directory, once and never again: a restart must not
/// undo what was chosen since.
///
/// # Errors
/// When the store does not answer, or no module can run here.
pub async fn found(pipeline: &Pipeline, bytes: Vec<u8>, standing: Standing) -> Result<Found, Fault> {
    const SOURCE: Source = Source::Directory;
    const TOO_OFTEN: &str = ". It was tried several times, a minute apart, and is not tried by itself any more; offer it \
                             again with `PUT /admin/meta/mapper` or `meta-catalog mapper activate`";
    let digest = mapping::digest(&bytes);
    let mut tx = pipeline.db.read().await?;
    if mapper::was_offered(&mut tx, &digest).await? {
        return Ok(Found::Known);
    }
    drop(tx);
    let running = match rehearse(pipeline, &bytes).await? {
        Ok(running) => running,
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
            let mut tx = pipeline.db.write().await?;
            let claimed = mapper::claimed(&mut tx, &digest, SOURCE.as_str(), Some(&why), pipeline.now()).await?;
            tx.commit().await?;
            return Ok(if claimed { Found::Refused(why) } else { Found::Known });
        }
    };
    let mut tx = pipeline.db.write().await?;
    if !mapper::claimed(&mut tx, &digest, SOURCE.as_str(), None, pipeline.now()).await? {
        return Ok(Found::Known);
    }
    keep(pipeline, &mut tx, &running, &bytes).await?;
    lease::hold_pipeline(&mut tx).await?;
    let activated = finish(pipeline, tx, running, SOURCE, None).await?;
    Ok(Found::Activated(Box::new(activated)))
}

/// A mapper that answered every sample, or why it does not.
async fn rehearse(pipeline: &Pipeline, bytes: &[u8]) -> Result<Result<Arc<Running>, Refused>, Fault> {
    let loaded = pipeline.mapper.load_rehearsed(bytes.to_vec()).await?;
    at(Point::MapperRehearsed).await;
    Ok(loaded.map(Arc::new))
}

async fn keep(pipeline: &Pipeline, tx: &mut Tx, running: &Running, bytes: &[u8]) -> Result<(), Fault> {
    let module = StoredModule { digest: running.key(), name: running.name(), version: running.version(), bytes };
    Ok(mapper::keep(tx, &module, pipeline.now()).await?)
}

/// Goes back to the built-in mapper.
///
/// # Errors
/// When the store does not answer.
pub async fn reset(pipeline: &Pipeline, source: Source, remap: bool) -> Result<Activated, Fault> {
    let remap = count(pipeline, remap).await?;
    let mut tx = pipeline.db.write().await?;
    lease::hold_pipeline(&mut tx).await?;
    finish(pipeline, tx, Arc::new(Running::builtin()), source, remap).await
}

/// Goes back to the mapper before the active one. Twice is back again.
///
/// # Errors
/// [`Fault::NotFound`] when there was none; [`Fault::Module`] when it does not run any more; [`Fault::NotTried`] when this
/// machine cannot tell; nothing has changed then.
pub async fn rollback(pipeline: &Pipeline, remap: bool) -> Result<Activated, Fault> {
    let nothing = || Fault::NotFound("there is no mapper to go back to: the built-in one was always active".into());
    let mut tx = pipeline.db.read().await?;
    let (active, previous) = mapper::activations(&mut tx).await?;
    let active = active.ok_or_else(nothing)?;
    let target = previous.map_or_else(|| BUILTIN.to_owned(), |previous| previous.mapper);
    let bytes = if target == BUILTIN { None } else { Some(mapper::bytes(&mut tx, &target).await?) };
    // Loading takes long, and may wait for others who load: not with a connection in hand.
    drop(tx);
    let running = match bytes {
        None => Running::builtin(),
        Some(None) => {
            let why = format!("the file of the module {target} is not kept any more; activate it again");
            return Err(Fault::Module(why));
        }
        // Samples again: the module is the same, but the service may be a newer one.
        Some(Some(bytes)) => pipeline.mapper.load_rehearsed(bytes).await??,
    };
    if **running.key() != *target {
        return Err(Fault::Module(format!(
            "the stored file of the module {target} is damaged: it is not the one of that digest; activate it again from \
             its file"
        )));
    }
    let remap = count(pipeline, remap).await?;
    let mut tx = pipeline.db.write().await?;
    lease::hold_pipeline(&mut tx).await?;
    // By the activation, not by its mapper: there and back again is a change as well.
    if mapper::activations(&mut tx).await?.0.is_none_or(|now| now.id != active.id) {
        return Err(Fault::Changed("another mapper was activated meanwhile; look at it, then roll back again"));
    }
    finish(pipeline, tx, Arc::new(running), Source::Rollback, remap).await
}

/// How many variants a re-map has to ask for, if one is wanted; before the pipeline is held.
async fn count(pipeline: &Pipeline, remap: bool) -> Result<Option<i64>, Fault> {
    if !remap {
        return Ok(None);
    }
    let mut tx = pipeline.db.read().await?;
    Ok(Some(mapper::count_variants(&mut tx).await?))
}

/// Commits the activation and swaps. With `remap`, that many variants are asked for again.
async fn finish(
    pipeline: &Pipeline,
    mut tx: Tx,
    running: Arc<Running>,
    source: Source,
    remap: Option<i64>,
) -> Result<Activated, Fault> {
    let now = pipeline.now();
    let requeued = mapper::activate(&mut tx, running.key(), running.digest(), source.as_str(), now).await?;
    if let Some(total) = remap {
        mapper::begin_remap(&mut tx, total, now).await?;
    }
    let state = load(&mut tx).await?;
    at(Point::MapperActivating).await;
    tx.commit().await?;
    at(Point::MapperActivated).await;
    if requeued.is_some() {
        info!(mapper = running.name(), version = running.version(), digest = %running.digest(), "mapper activated");
    }
    // Through the store's word, not `running`: of two activations at once, the one committed last counts, and whoever
    // swaps looks at the store again afterwards. What is committed is done, whatever comes of the swap.
    match follow_with(pipeline, Some(running)).await {
        Ok(_) => {}
        // The lease holder looks with every tick, and gives the lease up as long as it cannot.
        Err(NotFollowed::Store(cause)) => {
            error!(cause = chain(&cause), "the mapper that was activated is not swapped yet; tried again");
        }
        // Told in `/status`, and tried again.
        Err(NotFollowed::Unusable(_)) => {}
    }
    at(Point::MapperSwapped).await;
    pipeline.remapper.nudge();
    super::work_arrived(pipeline);
    Ok(Activated { state, changed: requeued.is_some(), requeued: requeued.unwrap_or(0) })
}

/// Asks for every variant again, with the mapper that is active: what it says differently is sent.
///
/// # Errors
/// When the store does not answer.
pub async fn remap(pipeline: &Pipeline) -> Result<MapperState, Fault> {
    let mut tx = pipeline.db.read().await?;
    let total = mapper::count_variants(&mut tx).await?;
    drop(tx);
    let mut tx = pipeline.db.write().await?;
    mapper::begin_remap(&mut tx, total, pipeline.now()).await?;
    let state = load(&mut tx).await?;
    tx.commit().await?;
    pipeline.remapper.nudge();
    Ok(state)
}
