//! Running what the store says: how replicas learn of another's activation, and a process of its own before a restart.
//!
//! Promises: whoever holds the lease runs the store's mapper or gives the lease up. A module that does not load (its
//! file is damaged, or this version of the service does not serve its world any more) is tried again only now and
//! then, and operators read in `/status` what to do.

use std::sync::Arc;

use tracing::{error, info};

use super::Running;
use crate::actors::mapper::MapperGone;
use crate::clock::Millis;
use crate::pipeline::Pipeline;
use crate::store::mapper::{self, BUILTIN};
use crate::store::{StoreError, Tx};

/// A module that did not load is not compiled again before this.
const TRY_AGAIN_MS: Millis = 60_000;

/// Why the store's mapper does not run here.
#[derive(Debug, thiserror::Error)]
pub enum NotFollowed {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The active module does not load.
    #[error("{0}")]
    Unusable(String),
    /// The thread that loads it was lost.
    #[error(transparent)]
    Gone(#[from] MapperGone),
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
    let mut tx = pipeline.db.read().await?;
    let wanted = mapper::active(&mut tx).await?;
    let running = pipeline.mapper.running();
    if **running.key() == *wanted {
        pipeline.mapper.set_unusable(None);
        return Ok(running);
    }
    let now = pipeline.now();
    if let Some(known) = pipeline.mapper.unusable()
        && known.key == wanted
        && (known.since..known.since + TRY_AGAIN_MS).contains(&now)
    {
        return Err(NotFollowed::Unusable(known.message));
    }
    let loaded = match at_hand.filter(|mapper| **mapper.key() == *wanted) {
        Some(mapper) => Ok(mapper),
        None => load(pipeline, &mut tx, &wanted).await?.map(Arc::new),
    };
    match loaded {
        Ok(mapper) => {
            info!(mapper = mapper.name(), version = mapper.version(), digest = %mapper.digest(), "mapper swapped");
            pipeline.mapper.swap(Arc::clone(&mapper));
            pipeline.mapper.set_unusable(None);
            Ok(mapper)
        }
        Err(why) => {
            let message = format!(
                "the active mapper module {} does not run here: {why}. Nothing is sent meanwhile; activate another \
                 module, go back to the one before (POST /admin/meta/mapper/rollback) or to the built-in mapper \
                 (DELETE /admin/meta/mapper)",
                &wanted[..wanted.len().min(12)]
            );
            error!(mapper = wanted, why, "the active mapper does not run here");
            let unusable = Unusable { key: wanted, since: now, message: message.clone() };
            pipeline.mapper.set_unusable(Some(unusable));
            Err(NotFollowed::Unusable(message))
        }
    }
}

/// The mapper of this key, or why it does not load.
async fn load(pipeline: &Pipeline, tx: &mut Tx, key: &str) -> Result<Result<Running, String>, NotFollowed> {
    if key == BUILTIN {
        return Ok(Ok(Running::builtin()));
    }
    let Some(bytes) = mapper::bytes(tx, key).await? else {
        return Ok(Err("the store does not hold its file".into()));
    };
    // What was rehearsed when it was activated is not rehearsed again: a take-over should not wait for it.
    let loaded = pipeline.mapper.load(bytes).await?;
    Ok(loaded.map_err(|refused| refused.to_string()))
}
