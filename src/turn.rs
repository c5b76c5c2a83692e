//! Turns: one replica at a time does work during which Meta is asked.
//!
//! Promises: a turn is renewed while it is held, so the work may take as long as it takes; a holder that dies keeps
//! it for ten seconds at most; dropping it stops the renewal.
//! Left out on purpose: safety. A holder that stands still loses its turn and goes on unaware; what the work comes to
//! is committed only if the credential is still the one that it began with.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tracing::{debug, warn};

use crate::ids;
use crate::pipeline::Pipeline;
use crate::store::StoreError;
use crate::store::turn as store;
pub use crate::store::turn::Work;

/// How long a turn lasts without renewal.
const LASTS: Duration = Duration::from_secs(10);
/// How often it is renewed.
const RENEWED: Duration = Duration::from_secs(3);
/// How often somebody who waits looks again.
const LOOKS: Duration = Duration::from_millis(100);

/// The right to do some work now.
#[derive(Debug)]
pub struct Turn {
    pipeline: Arc<Pipeline>,
    work: Work,
    holder: String,
    renewing: AbortHandle,
}

impl Turn {
    /// Takes the turn if nobody has it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take(pipeline: &Arc<Pipeline>, work: Work) -> Result<Option<Self>, StoreError> {
        let holder = ids::instance();
        let mut tx = pipeline.db.write().await?;
        let taken = store::take(&mut tx, work, &holder, lasts_ms(), pipeline.now()).await?;
        tx.commit().await?;
        Ok(taken.then(|| {
            let renewing = tokio::spawn(keep(Arc::clone(pipeline), work, holder.clone())).abort_handle();
            Self { pipeline: Arc::clone(pipeline), work, holder, renewing }
        }))
    }

    /// Waits for the turn, but no longer than `patience`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn wait(pipeline: &Arc<Pipeline>, work: Work, patience: Duration) -> Result<Option<Self>, StoreError> {
        let taken = tokio::time::timeout(patience, async {
            loop {
                if let Some(turn) = Self::take(pipeline, work).await? {
                    return Ok(turn);
                }
                tokio::time::sleep(LOOKS).await;
            }
        });
        taken.await.ok().transpose()
    }

    /// Ends the turn. If the database does not hear of it, the next one waits until this one runs out.
    pub async fn end(self) {
        let ended = async {
            let mut tx = self.pipeline.db.write().await?;
            store::end(&mut tx, self.work, &self.holder).await?;
            tx.commit().await
        };
        if let Err(error) = ended.await {
            warn!(%error, work = self.work.as_str(), "the turn was not ended; it runs out by itself");
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Renews the turn until it is dropped or lost.
async fn keep(pipeline: Arc<Pipeline>, work: Work, holder: String) {
    loop {
        tokio::time::sleep(RENEWED).await;
        let renewed = async {
            let mut tx = pipeline.db.write().await?;
            let kept = store::renew(&mut tx, work, &holder, lasts_ms(), pipeline.now()).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(kept)
        };
        match renewed.await {
            Ok(true) => {}
            Ok(false) => return warn!(work = work.as_str(), "the turn ran out while its work went on"),
            Err(error) => debug!(%error, work = work.as_str(), "the turn was not renewed"),
        }
    }
}

fn lasts_ms() -> i64 {
    i64::try_from(LASTS.as_millis()).unwrap_or(i64::MAX)
}
