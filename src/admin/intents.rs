//! Intents of the operator for single variants.

use super::AdminError;
use crate::app::App;
use crate::domain::intent::{Intent, Origin};
use crate::store::{items, outbox};

/// Queues an intent of the operator's for a variant that the shop or the state knows.
///
/// # Errors
/// [`AdminError::NotFound`] when neither knows it.
pub async fn enqueue(app: &App, variant_id: &str, intent: Intent) -> Result<(), AdminError> {
    let mut tx = app.db.write().await?;
    if !items::known(&mut tx, variant_id).await? {
        return Err(not_found(variant_id));
    }
    outbox::append(&mut tx, &[variant_id.to_owned()], intent, Origin::Operator, app.now()).await?;
    tx.commit().await?;
    app.work_arrived();
    Ok(())
}

/// There is no such variant.
pub(super) fn not_found(variant_id: &str) -> AdminError {
    let shown: String = variant_id.chars().take(100).collect();
    AdminError::NotFound(format!("no variant {shown:?} in the catalog"))
}
