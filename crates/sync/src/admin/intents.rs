//! What an operator requests for chosen variants.

use super::AdminError;
use super::audit::{Act, Action, recorded};
use crate::app::App;
use crate::domain::intent::{Intent, Origin};
use crate::report::clip;
use crate::store::{items, outbox, sync_state};

/// The largest number of variants of one request.
pub const MOST: usize = 1_000;
/// Most ids of several variants in the audit trail.
const SHOWN: usize = 20;

/// What an operator requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// To decide again.
    Resync {
        /// Whether the payload is sent even when it is the one that Meta confirmed: for an item that Meta lost.
        force: bool,
    },
    /// To remove the item from Meta. The next change of the shop brings it back.
    Delete,
    /// To remove the item from Meta and keep it out, through bootstraps, re-maps and other catalogs.
    Exclude,
    /// To take the exclusion back.
    Include,
}

/// Queues the intent of a request for variants that are in the source or have a state row.
///
/// # Errors
/// [`AdminError::NotFound`] when one of them is in neither; nothing is queued then.
pub async fn enqueue(app: &App, variants: &[String], request: Request) -> Result<u64, AdminError> {
    let act = Act::new(match request {
        Request::Resync { force: false } => Action::Resync,
        Request::Resync { force: true } => Action::Push,
        Request::Delete => Action::Delete,
        Request::Exclude => Action::Exclude,
        Request::Include => Action::Include,
    });
    let act = match variants {
        [one] => act.on(one),
        several => act.with("variantIds", several.iter().take(SHOWN).cloned().collect::<Vec<_>>()),
    };
    let act = act.with("variants", variants.len());
    recorded(app, act, queue(app, variants, request), |_, _| ()).await
}

async fn queue(app: &App, variants: &[String], request: Request) -> Result<u64, AdminError> {
    let mut tx = app.db.write().await?;
    if let Some(unknown) = items::unknown(&mut tx, variants).await?.first() {
        return Err(not_found(unknown));
    }
    let now = app.now();
    match request {
        Request::Resync { force: true } => sync_state::forget_hashes(&mut tx, variants).await?,
        Request::Exclude => sync_state::set_excluded(&mut tx, variants, true, now).await?,
        Request::Include => sync_state::set_excluded(&mut tx, variants, false, now).await?,
        Request::Resync { force: false } | Request::Delete => 0,
    };
    let intent = if request == Request::Delete { Intent::Delete } else { Intent::Upsert };
    let queued = outbox::append(&mut tx, variants, intent, Origin::Operator, now).await?;
    tx.commit().await?;
    app.work_arrived();
    Ok(queued)
}

/// The error for a variant that does not exist.
pub(super) fn not_found(variant_id: &str) -> AdminError {
    let shown = clip(variant_id, 100);
    AdminError::NotFound(format!("no variant {shown:?} in the catalog"))
}
