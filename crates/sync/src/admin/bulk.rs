//! Operations on many variants: queueing failed or skipped variants again, releasing held deletes.

use super::AdminError;
use super::audit::{Act, Action, recorded};
use crate::app::App;
use crate::store::{bulk, outbox};

/// Queues every failed variant again, with the kind of intent that failed; returns their number.
///
/// # Errors
/// When the database query fails.
pub async fn resync_failed(app: &App) -> Result<u64, AdminError> {
    let work = async {
        let mut tx = app.db.write().await?;
        let enqueued = bulk::requeue_failed(&mut tx, app.now()).await?;
        tx.commit().await?;
        app.work_arrived();
        Ok(enqueued)
    };
    recorded(app, Act::new(Action::ResyncFailed), work, |variants, details| details.add("variants", *variants)).await
}

/// Queues every skipped variant again; returns their number.
///
/// # Errors
/// When the database query fails.
pub async fn resync_skipped(app: &App) -> Result<u64, AdminError> {
    let work = async {
        let mut tx = app.db.write().await?;
        let enqueued = bulk::requeue_skipped(&mut tx, app.now()).await?;
        tx.commit().await?;
        app.work_arrived();
        Ok(enqueued)
    };
    recorded(app, Act::new(Action::ResyncSkipped), work, |variants, details| details.add("variants", *variants)).await
}

/// Releases the deletes that the mass-delete guard holds back; returns the number of their variants.
///
/// # Errors
/// When the database query fails.
pub async fn release_held(app: &App) -> Result<i64, AdminError> {
    let work = async {
        let mut tx = app.db.write().await?;
        let released = outbox::release_held(&mut tx, app.now()).await?;
        tx.commit().await?;
        app.work_arrived();
        Ok(released)
    };
    recorded(app, Act::new(Action::HeldReleased), work, |variants, details| details.add("variants", *variants)).await
}
