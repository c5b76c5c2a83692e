//! Calls that were begun and never recorded, because the process died or lost its lease in between; and calls that were
//! made after the lease was lost, because the process was suspended after its last check of the lease.

use std::collections::BTreeSet;

use tracing::{error, warn};

use crate::app::App;
use crate::domain::cause;
use crate::domain::intent::{Intent, Origin};
use crate::domain::lint::Noted;
use crate::domain::state::SyncStatus;
use crate::failpoints::{Point, at};
use crate::store::field_set::{FieldSets, text_of};
use crate::store::lease::Fence;
use crate::store::outbox::{self, ChannelFault};
use crate::store::submission::{self, Row, Submission};
use crate::store::sync_state::{self, Pushed};
use crate::store::{Deposed, StoreError};

const REASON: &str = "outcome unknown: the process ended during the call";
const LATE: &str = "outcome unknown: a process sent the call after it had lost the lease";

/// Marks a call that this process could not record as late: it may have reached Meta after another process resolved it.
/// The lease holder then resolves it again.
pub(super) async fn note_late(app: &App, id: &str) {
    let noted = async {
        let mut tx = app.db.write().await?;
        let noted = submission::note_late(&mut tx, id).await?;
        tx.commit().await?;
        Ok::<_, StoreError>(noted)
    };
    match noted.await {
        Ok(false) => {}
        Ok(true) => warn!(submission = id, "call sent after the lease was lost; the lease holder sends its rows again"),
        Err(error) => {
            let error = crate::report::chain(&error);
            error!(submission = id, error, "late call not recorded; queue its variants again");
        }
    }
}

/// Resolves every `sending` row. Meta may or may not have taken the call, so the claims are removed, the sent records
/// count as possibly held by Meta, and the intents, which are still open, are decided again.
pub(super) async fn resolve(app: &App, fence: &Fence, sets: &mut FieldSets) -> Result<(), StoreError> {
    let mut tx = app.db.read().await?;
    let calls = submission::unresolved(&mut tx).await?;
    drop(tx);
    for call in calls {
        resolve_one(app, fence, sets, &call).await?;
    }
    Ok(())
}

async fn resolve_one(app: &App, fence: &Fence, sets: &mut FieldSets, call: &Submission) -> Result<(), StoreError> {
    let ids: Vec<&str> = call.rows.iter().map(|row| row.0.as_str()).collect();
    let mut tx = app.db.read().await?;
    let held = sync_state::load(&mut tx, &ids).await?;
    drop(tx);
    // Only the verdict may change a variant that waits for one: its part of a late call is resolved after the verdict.
    let submitted = |row: &&Row| held.get(&row.0).is_some_and(|held| held.status == SyncStatus::Submitted);
    let (waiting, rows): (Vec<&Row>, Vec<&Row>) = call.rows.iter().partition(submitted);
    if rows.is_empty() && call.late {
        return Ok(());
    }
    let reason = if call.late { LATE } else { REASON };
    warn!(submission = call.id, rows = rows.len(), "{reason}; its rows are sent again");
    let ids: Vec<&str> = rows.iter().map(|row| row.0.as_str()).collect();
    let sent = rows.iter().filter_map(|row| row.3);
    sets.load(&app.db, held.values().filter_map(|held| held.fields_at_meta).chain(sent)).await?;
    let unions: Vec<Option<String>> = rows
        .iter()
        .map(|row| {
            let before = sets.get(held.get(&row.0).and_then(|held| held.fields_at_meta));
            let sent = sets.get(row.3)?;
            let union: BTreeSet<&str> =
                before.iter().flat_map(|set| set.iter()).chain(sent.iter()).map(String::as_str).collect();
            Some(text_of(union))
        })
        .collect();
    sets.intern(&app.db, unions.iter().flatten().map(String::as_str)).await?;

    let now = app.now();
    let mut tx = match fence.begin(&app.db, Some(&call.catalog_id)).await {
        Ok(tx) => tx,
        // The claims of another catalog have already been removed.
        Err(StoreError::Deposed(Deposed::Catalog)) => {
            let mut tx = fence.begin(&app.db, None).await?;
            submission::close(&mut tx, &call.id, Some(reason), None, now).await?;
            return tx.commit().await;
        }
        Err(error) => return Err(error),
    };
    let pushed: Vec<Pushed<'_>> = rows
        .iter()
        .zip(&unions)
        .map(|(row, union)| Pushed {
            variant_id: &row.0,
            product_id: None,
            status: SyncStatus::Failed,
            handle: None,
            hash: None,
            pushed: true,
            error: Some(reason),
            count_attempt: false,
            at_meta: true,
            fields_at_meta: match union {
                Some(union) => sets.id(union),
                None => held.get(&row.0).and_then(|held| held.fields_at_meta),
            },
            mapper_digest: call.mapper_digest.as_deref().filter(|digest| !digest.is_empty()),
            reeval_at: None,
            noted: &Noted::NOTHING,
            cause: Some(cause::of_service("outcome unknown")),
        })
        .collect();
    sync_state::record_pushed(&mut tx, &call.catalog_id, &pushed, now).await?;
    outbox::note_fault_of_variants(&mut tx, &ids, ChannelFault { class: "unknown", error: reason }).await?;
    if call.late {
        // The intents were processed when the call was first resolved and sent again. Variants that were deleted since
        // then stay deleted.
        let deleted = |id: &&str| held.get(*id).is_some_and(|held| held.status == SyncStatus::Deleted);
        let (deleted, others): (Vec<&str>, Vec<&str>) = ids.iter().partition(|id| deleted(id));
        outbox::append_if_idle(&mut tx, &deleted, Intent::Delete, Origin::Recovery, now).await?;
        outbox::append_if_idle(&mut tx, &others, Intent::Upsert, Origin::Recovery, now).await?;
    }
    if waiting.is_empty() || !call.late {
        submission::close(&mut tx, &call.id, Some(reason), None, now).await?;
    } else {
        submission::keep_late(&mut tx, &call.id, &waiting).await?;
    }
    at(Point::DrainResolving).await;
    tx.commit().await?;
    at(Point::DrainResolved).await;
    Ok(())
}
