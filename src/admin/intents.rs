//! What an operator asks for single variants.

use super::Fault;
use crate::domain::intent::{Intent, Origin};
use crate::pipeline::Pipeline;
use crate::store::{items, outbox};

/// Queues an intent of the operator's for a variant that the shop or the state knows.
///
/// # Errors
/// [`Fault::NotFound`] when neither knows it.
pub async fn enqueue(pipeline: &Pipeline, variant_id: &str, intent: Intent) -> Result<(), Fault> {
    let mut tx = pipeline.db.write().await?;
    if !items::known(&mut tx, variant_id).await? {
        return Err(not_found(variant_id));
    }
    outbox::append(&mut tx, &[variant_id.to_owned()], intent, Origin::Operator, pipeline.now()).await?;
    tx.commit().await?;
    super::work_arrived(pipeline);
    Ok(())
}

/// There is no such variant.
pub(super) fn not_found(variant_id: &str) -> Fault {
    let shown: String = variant_id.chars().take(100).collect();
    Fault::NotFound(format!("no variant {shown:?} in the catalog"))
}
