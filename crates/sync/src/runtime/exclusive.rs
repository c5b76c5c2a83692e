//! Work that one replica at a time may do, during which Meta is called.
//!
//! Promises: the right is renewed while it is held, so the work may take any time. A holder that dies keeps it for at
//! most ten seconds. Dropping it stops the renewal.
//! Left out on purpose: safety. A holder that is suspended loses its right and continues without noticing. So the
//! result of the work is committed only if the credential is still the one that the work began with.

use std::time::Duration;

use tokio::task::AbortHandle;
use tracing::{debug, warn};

use crate::clock::SharedClock;
use crate::ids;
use crate::store::exclusive as store;
pub use crate::store::exclusive::Work;
use crate::store::{Db, StoreError};

/// How long the right lasts without renewal.
const LASTS: Duration = Duration::from_secs(10);
/// The interval between renewals.
const RENEWED: Duration = Duration::from_secs(3);
/// The interval at which a waiting process retries.
const LOOKS: Duration = Duration::from_millis(100);

/// The right to do a piece of work now.
#[derive(Debug)]
pub struct Exclusive {
    db: Db,
    work: Work,
    holder: String,
    renewing: AbortHandle,
}

impl Exclusive {
    /// Takes the right if no other process holds it, else returns `None`.
    ///
    /// # Errors
    /// When the database query fails.
    pub async fn take(db: &Db, clock: &SharedClock, work: Work) -> Result<Option<Self>, StoreError> {
        let holder = ids::instance();
        let mut tx = db.write().await?;
        let taken = store::take(&mut tx, work, &holder, lasts_ms(), clock.now()).await?;
        tx.commit().await?;
        Ok(taken.then(|| {
            let renewing = tokio::spawn(keep(db.clone(), SharedClock::clone(clock), work, holder.clone()));
            Self { db: db.clone(), work, holder, renewing: renewing.abort_handle() }
        }))
    }

    /// Waits for the right for at most `patience`. Returns `None` when the wait ends without it.
    ///
    /// # Errors
    /// When the database query fails.
    pub async fn wait(
        db: &Db,
        clock: &SharedClock,
        work: Work,
        patience: Duration,
    ) -> Result<Option<Self>, StoreError> {
        let taken = tokio::time::timeout(patience, async {
            loop {
                if let Some(right) = Self::take(db, clock, work).await? {
                    return Ok(right);
                }
                tokio::time::sleep(LOOKS).await;
            }
        });
        taken.await.ok().transpose()
    }

    /// Releases the right. If that fails in the database, the next process waits until the right expires.
    pub async fn end(self) {
        let ended = async {
            let mut tx = self.db.write().await?;
            store::end(&mut tx, self.work, &self.holder).await?;
            tx.commit().await
        };
        if let Err(error) = ended.await {
            warn!(%error, work = self.work.as_str(), "release of exclusive right failed; it expires");
        }
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Renews the right until it is dropped or lost.
async fn keep(db: Db, clock: SharedClock, work: Work, holder: String) {
    loop {
        tokio::time::sleep(RENEWED).await;
        let renewed = async {
            let mut tx = db.write().await?;
            let kept = store::renew(&mut tx, work, &holder, lasts_ms(), clock.now()).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(kept)
        };
        match renewed.await {
            Ok(true) => {}
            Ok(false) => {
                return warn!(work = work.as_str(), "exclusive right lost during the work");
            }
            Err(error) => debug!(%error, work = work.as_str(), "renewal of exclusive right failed"),
        }
    }
}

fn lasts_ms() -> i64 {
    i64::try_from(LASTS.as_millis()).unwrap_or(i64::MAX)
}
