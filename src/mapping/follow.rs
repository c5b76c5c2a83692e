//! Running what the store says: how replicas learn of another's activation, and a process of its own before a restart.
//!
//! Promises: whoever holds the lease runs the store's mapper or gives the lease up. A module that does not load (its
//! file is damaged, this version of the service does not serve its world any more, or no module can run on this machine)
//! is tried again only now and then, and operators read in `/status` what to do. Of several that follow at once, one
//! loads. No connection to the database is held meanwhile.

use std::sync::Arc;

use tracing::{error, info};

use super::Running;
use crate::actors::mapper::Loader;
use crate::clock::Millis;
use crate::failpoints::{Point, at};
use crate::pipeline::Pipeline;
use crate::report::chain;
use crate::store::StoreError;
use crate::store::mapper::{self, BUILTIN};

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

/// Makes the store's active mapper the one that runs here, and answers it.
///
/// # Errors
/// When the store does not answer, or its module cannot run here.
pub async fn follow(pipeline: &Pipeline) -> Result<Arc<Running>, NotFollowed> {
    follow_with(pipeline, None).await
}

/// The same for who has just loaded what is probably the one.
///
/// # Errors
/// As [`follow`].
pub async fn follow_with(pipeline: &Pipeline, at_hand: Option<Arc<Running>>) -> Result<Arc<Running>, NotFollowed> {
    let wanted = wanted(pipeline).await?;
    // Before what is known to be unusable: who has mended it has it at hand.
    if let Some(mapper) = at_hand.filter(|mapper| **mapper.key() == *wanted) {
        at(Point::MapperFollowing).await;
        return swap_checked(pipeline, mapper).await;
    }
    if let Some(known) = known(pipeline, &wanted) {
        return known;
    }
    if wanted == BUILTIN {
        return swap_checked(pipeline, Arc::new(Running::builtin())).await;
    }
    let loader = match pipeline.mapper.loader().await {
        Ok(loader) => loader,
        Err(gone) => return Err(cannot(pipeline, wanted, &chain(&gone))),
    };
    // Whoever had the turn before may have loaded it, or found that it does not load; and another may be active by now.
    let wanted = self::wanted(pipeline).await?;
    if let Some(known) = known(pipeline, &wanted) {
        return known;
    }
    let loaded = load(pipeline, loader, &wanted).await?;
    if self::wanted(pipeline).await? != wanted {
        // Activated meanwhile, and probably swapped by who did it: what was loaded must not take its place.
        return Box::pin(follow(pipeline)).await;
    }
    match loaded {
        Ok(mapper) => swap_checked(pipeline, Arc::new(mapper)).await,
        Err(why) => Err(cannot(pipeline, wanted, &why)),
    }
}

/// The key of the mapper that the store says is active.
async fn wanted(pipeline: &Pipeline) -> Result<String, StoreError> {
    let mut tx = pipeline.db.read().await?;
    mapper::active(&mut tx).await
}

/// What is known of this mapper without loading it.
fn known(pipeline: &Pipeline, wanted: &str) -> Option<Result<Arc<Running>, NotFollowed>> {
    let running = pipeline.mapper.running();
    if **running.key() == *wanted {
        pipeline.mapper.set_unusable(None);
        return Some(Ok(running));
    }
    let unusable = pipeline.mapper.unusable().filter(|unusable| unusable.key == wanted)?;
    let rests = unusable.since..unusable.since + TRY_AGAIN_MS;
    rests.contains(&pipeline.now()).then_some(Err(NotFollowed::Unusable(unusable.message)))
}

/// Swaps, and looks at the store again: another may have been activated, and swapped, since it was looked at. Whoever
/// swaps last looks last, so the process ends with the one that the store says.
async fn swap_checked(pipeline: &Pipeline, mapper: Arc<Running>) -> Result<Arc<Running>, NotFollowed> {
    let mapper = swap(pipeline, mapper);
    if wanted(pipeline).await? == **mapper.key() { Ok(mapper) } else { Box::pin(follow(pipeline)).await }
}

fn swap(pipeline: &Pipeline, mapper: Arc<Running>) -> Arc<Running> {
    if pipeline.mapper.running().key() != mapper.key() {
        info!(mapper = mapper.name(), version = mapper.version(), digest = %mapper.digest(), "mapper swapped");
        pipeline.mapper.swap(Arc::clone(&mapper));
    }
    pipeline.mapper.set_unusable(None);
    mapper
}

/// Tells that the active mapper does not run here, and remembers it.
fn cannot(pipeline: &Pipeline, wanted: String, why: &str) -> NotFollowed {
    let message = format!(
        "the active mapper module {} does not run here: {why}. Nothing is sent meanwhile; activate another module, go \
         back to the one before (POST /admin/meta/mapper/rollback) or to the built-in mapper (DELETE /admin/meta/mapper)",
        &wanted[..wanted.len().min(12)]
    );
    error!(mapper = wanted, why, "the active mapper does not run here");
    let unusable = Unusable { key: wanted, since: pipeline.now(), message: message.clone() };
    pipeline.mapper.set_unusable(Some(unusable));
    NotFollowed::Unusable(message)
}

/// The mapper of this key, or why it does not load.
async fn load(pipeline: &Pipeline, loader: Loader, key: &str) -> Result<Result<Running, String>, StoreError> {
    if key == BUILTIN {
        return Ok(Ok(Running::builtin()));
    }
    let mut tx = pipeline.db.read().await?;
    let bytes = mapper::bytes(&mut tx, key).await?;
    drop(tx);
    let Some(bytes) = bytes else { return Ok(Err("the store does not hold its file".into())) };
    // What was rehearsed when it was activated is not rehearsed again: a take-over should not wait for it.
    Ok(match loader.load(bytes).await {
        Ok(Ok(mapper)) if **mapper.key() == *key => Ok(mapper),
        // It would be named otherwise than it was activated, and never count as the active one.
        Ok(Ok(mapper)) => Err(format!(
            "its stored file is damaged (SHA-256 {}); activating the module again from its file mends that",
            mapper.key()
        )),
        Ok(Err(refused)) => Err(refused.to_string()),
        Err(gone) => Err(chain(&gone)),
    })
}
