//! Queueing every variant that may be eligible for the catalog.

use super::audit::{Act, Action, recorded};
use crate::app::App;
use crate::domain::reask::{Pace, Reason};
use crate::store::{StoreError, reask, sync_state};

/// Returns the number of variants that [`bootstrap`] would queue. At a million variants this takes a second.
///
/// # Errors
/// When the database query fails.
pub async fn count(app: &App) -> Result<i64, StoreError> {
    let mut tx = app.db.read().await?;
    reask::count(&mut tx, Reason::Bootstrap).await
}

/// Begins to queue an upsert for every variant whose product is active, public and not deleted; returns their number.
/// The first step is taken in this call, so a small catalog is queued at once; the ReaskActor takes the other steps,
/// paced and across restarts ([`crate::pipeline::reask`]).
///
/// With `force`, every payload is sent, also those that Meta confirmed: for a catalog that lost items.
///
/// # Errors
/// When the database query fails; nothing has begun then.
pub async fn bootstrap(app: &App, force: bool) -> Result<u64, StoreError> {
    let act = Act::new(Action::Bootstrap).with("force", force);
    recorded(app, act, begin(app, force), |variants, details| details.add("variants", *variants)).await
}

async fn begin(app: &App, force: bool) -> Result<u64, StoreError> {
    let pace = Pace::of(app.load_settings().await?.batch_size);
    let mut tx = app.db.read().await?;
    let total = reask::count(&mut tx, Reason::Bootstrap).await?;
    drop(tx);
    let mut tx = app.db.write().await?;
    if force {
        sync_state::forget_every_hash(&mut tx).await?;
    }
    reask::begin(&mut tx, Reason::Bootstrap, Some(total), app.now()).await?;
    if let Some(begun) = reask::find(&mut tx, Reason::Bootstrap).await? {
        reask::step(&mut tx, &begun, None, pace.step, app.now()).await?;
    }
    tx.commit().await?;
    app.wake.reask.nudge();
    app.work_arrived();
    Ok(u64::try_from(total).unwrap_or(0))
}
