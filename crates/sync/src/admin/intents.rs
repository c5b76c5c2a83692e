//! Intents that an operator requests for single variants.

use super::AdminError;
use crate::app::App;
use crate::domain::intent::{Intent, Origin};
use crate::report::clip;
use crate::store::{items, outbox};

/// Queues an operator's intent for a variant that is in the source or has a state row.
///
/// # Errors
/// [`AdminError::NotFound`] when the variant is in neither.
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

/// The error for a variant that does not exist.
pub(super) fn not_found(variant_id: &str) -> AdminError {
    let shown = clip(variant_id, 100);
    AdminError::NotFound(format!("no variant {shown:?} in the catalog"))
}
