//! What is done to many variants at once: queueing again what failed or was skipped, releasing what is held back.

use super::Fault;
use crate::pipeline::Pipeline;
use crate::store::{bulk, outbox};

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

/// Releases the deletes that the mass-delete guard holds back; answers of how many variants.
///
/// # Errors
/// When the store does not answer.
pub async fn release_held(pipeline: &Pipeline) -> Result<i64, Fault> {
    let mut tx = pipeline.db.write().await?;
    let released = outbox::release_held(&mut tx, pipeline.now()).await?;
    tx.commit().await?;
    super::work_arrived(pipeline);
    Ok(released)
}
