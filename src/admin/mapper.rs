//! Which mapper is active, and changing it: activate a module, go back to the one before, or to the built-in.
//!
//! An activation, in order: digest, load, samples, one transaction, swap. Until the transaction is committed the old
//! mapper is active, afterwards the new one; a process that dies in between starts with what the store says. Replicas
//! follow with their next look at the store ([`crate::mapping::follow`]).
//!
//! The API, the command line and the watched directory come here; none needs the actors to run.

use std::sync::Arc;

use serde::Serialize;
use tracing::{info, warn};
use utoipa::ToSchema;

use super::Fault;
use super::time::iso;
use crate::failpoints::{Point, at};
use crate::mapping::follow::{NotFollowed, follow_with};
use crate::mapping::{self, BUILTIN_DIGEST, Refused, Running};
use crate::pipeline::Pipeline;
use crate::store::mapper::{self, Activation, BUILTIN, RefusedOffer, Remap, StoredModule};
use crate::store::{Tx, lease};

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

/// A mapper that is or was active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MapperView {
    /// What it calls itself; `builtin` for the built-in one.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// SHA-256 of the module's file in hex, or `builtin-` and the version of this service: what the variants that it
    /// mapped are marked with.
    pub digest: String,
    /// Where it came from: `api`, `cli`, `directory` or `rollback`; `default` for the built-in that nobody chose.
    pub source: String,
    /// When it became active; null for the built-in that nobody chose.
    pub activated_at: Option<String>,
}

/// A re-map: every variant asked for again, so that what the new mapper says differently is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemapView {
    /// Whether it is under way.
    pub running: bool,
    /// Variants at its start.
    pub total: i64,
    /// Variants asked for again so far.
    pub queued: i64,
    /// When it began.
    pub started_at: Option<String>,
    /// When it ended; null while it runs.
    pub finished_at: Option<String>,
}

/// A file that was offered and refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedView {
    /// SHA-256 of the file in hex.
    pub digest: String,
    /// Where it came from: `api`, `cli` or `directory`.
    pub source: String,
    /// What is wrong with it.
    pub reason: String,
    /// When it was offered.
    pub offered_at: Option<String>,
}

/// Which mapper is active, and which one `rollback` goes back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MapperState {
    /// The active one.
    pub active: MapperView,
    /// The one before; null when there was none.
    pub previous: Option<MapperView>,
    /// The re-map under way, or the last one; null when there was none.
    pub remap: Option<RemapView>,
    /// The file that was offered last, if it was refused and no mapper was activated since.
    pub refused: Option<RefusedView>,
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

async fn load(tx: &mut Tx) -> crate::store::Result<MapperState> {
    let (active, previous) = mapper::activations(tx).await?;
    let remap = mapper::remap(tx).await?;
    let refused = mapper::last_refused(tx).await?;
    // The first module took the place of the built-in, which nobody had activated.
    let previous = match (&active, previous) {
        (Some(_), None) => Some(builtin_view()),
        (_, previous) => previous.map(view),
    };
    Ok(MapperState {
        active: active.map_or_else(builtin_view, view),
        previous,
        remap: remap.map(remap_view),
        refused: refused.map(refused_view),
    })
}

fn builtin_view() -> MapperView {
    MapperView {
        name: BUILTIN.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        digest: BUILTIN_DIGEST.into(),
        source: "default".into(),
        activated_at: None,
    }
}

fn view(activation: Activation) -> MapperView {
    let Activation { mapper, name, version, source, activated_at, .. } = activation;
    let activated_at = iso(activated_at);
    if mapper == BUILTIN {
        return MapperView { source, activated_at, ..builtin_view() };
    }
    // A module of long ago whose file is not kept any more has lost its name.
    MapperView {
        name: name.unwrap_or_default(),
        version: version.unwrap_or_default(),
        digest: mapper,
        source,
        activated_at,
    }
}

fn refused_view(offer: RefusedOffer) -> RefusedView {
    let RefusedOffer { digest, source, reason, offered_at } = offer;
    RefusedView { digest, source, reason, offered_at: iso(offered_at) }
}

fn remap_view(remap: Remap) -> RemapView {
    RemapView {
        running: remap.finished_at.is_none(),
        total: remap.total,
        queued: remap.queued,
        started_at: iso(remap.started_at),
        finished_at: remap.finished_at.and_then(iso),
    }
}

/// Activates a module: loads it, asks it for every sample, and makes it the active mapper. With `remap`, every variant
/// is asked for again.
///
/// # Errors
/// [`Fault::Module`] says why the module is refused; nothing has changed then.
pub async fn activate(pipeline: &Pipeline, bytes: Vec<u8>, source: Source, remap: bool) -> Result<Activated, Fault> {
    let digest = mapping::digest(&bytes);
    let running = match rehearse(pipeline, &bytes).await? {
        Ok(running) => running,
        Err(refused) => {
            let why = refused.to_string();
            warn!(digest, why, "mapper module refused");
            // What may pass says nothing of the file: it is not remembered, or the watched directory would leave it.
            if !refused.may_pass() {
                let mut tx = pipeline.db.write().await?;
                mapper::offered(&mut tx, &digest, source.as_str(), Some(&why), pipeline.now()).await?;
                tx.commit().await?;
            }
            return Err(Fault::Module(why));
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
    /// It cannot be told what it is worth, since the machine is busy or the host failed: it may be offered again.
    NotTried(String),
}

/// Activates the module in a file that was found in the watched directory, once and never again: a restart must not
/// undo what was chosen since. `whole` = the file is not being written any more, so a refusal is final.
///
/// # Errors
/// When the store does not answer, or no module can run here.
pub async fn found(pipeline: &Pipeline, bytes: Vec<u8>, whole: bool) -> Result<Found, Fault> {
    const SOURCE: Source = Source::Directory;
    let digest = mapping::digest(&bytes);
    let mut tx = pipeline.db.read().await?;
    if mapper::was_offered(&mut tx, &digest).await? {
        return Ok(Found::Known);
    }
    drop(tx);
    let running = match rehearse(pipeline, &bytes).await? {
        Ok(running) => running,
        Err(refused) if refused.may_pass() => return Ok(Found::NotTried(refused.to_string())),
        Err(refused) if !whole => return Ok(Found::Torn(refused.to_string())),
        Err(refused) => {
            let why = refused.to_string();
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
/// [`Fault::NotFound`] when there was none; [`Fault::Module`] when it does not run any more; nothing has changed then.
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
        Some(Some(bytes)) => {
            let loaded = pipeline.mapper.load_rehearsed(bytes).await?;
            loaded.map_err(|why| Fault::Module(why.to_string()))?
        }
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
    // Through the store's word, not `running`: of two activations at once, the one committed last counts.
    match follow_with(pipeline, Some(running)).await {
        Ok(_) => {}
        Err(NotFollowed::Store(error)) => return Err(error.into()),
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
