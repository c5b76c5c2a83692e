//! Queueing every variant that may belong into the catalog.

use crate::pipeline::Pipeline;
use crate::store::{StoreError, outbox};

/// Variants of one transaction.
const CHUNK: i64 = 500;

/// Queues an upsert for every variant whose product is active, public and not deleted; answers how many.
///
/// Each chunk is a transaction of its own, so a large catalog never blocks intakes; one that breaks off half-way is
/// simply made again.
///
/// # Errors
/// When the store does not answer; the chunks before are queued.
pub async fn bootstrap(pipeline: &Pipeline) -> Result<u64, StoreError> {
    let mut after = String::new();
    let mut total = 0;
    loop {
        let mut tx = pipeline.db.write().await?;
        let chunk = outbox::append_bootstrap(&mut tx, &after, CHUNK, pipeline.now()).await?;
        tx.commit().await?;
        let Some((last, count)) = chunk else { break };
        after = last;
        total += count;
    }
    super::work_arrived(pipeline);
    Ok(total)
}
