//! Queueing again everything that failed, or everything that was skipped.

use super::Fault;
use crate::pipeline::Pipeline;
use crate::store::bulk;

/// Queues every failed variant again, with the kind of intent that failed; answers how many.
///
/// # Errors
/// When the store does not answer.
pub async fn resync_failed(pipeline: &Pipeline) -> Result<u64, Fault> {
    let mut tx = pipeline.db.write().await?;
    let enqueued = bulk::requeue_failed(&mut tx, pipeline.now()).await?;
    tx.commit().await?;
    super::work_arrived(pipeline);
    Ok(enqueued)
}

/// Queues every skipped variant again; answers how many.
///
/// # Errors
/// When the store does not answer.
pub async fn resync_skipped(pipeline: &Pipeline) -> Result<u64, Fault> {
    let mut tx = pipeline.db.write().await?;
    let enqueued = bulk::requeue_skipped(&mut tx, pipeline.now()).await?;
    tx.commit().await?;
    super::work_arrived(pipeline);
    Ok(enqueued)
}
