//! Calls that were begun and never recorded: the process died, or its lease went, in between.

use std::collections::BTreeSet;

use tracing::warn;

use crate::domain::state::SyncStatus;
use crate::failpoints::{Point, at};
use crate::pipeline::Pipeline;
use crate::store::field_set::{FieldSets, text_of};
use crate::store::lease::Fence;
use crate::store::outbox::{self, Fault};
use crate::store::submission::{self, Submission};
use crate::store::sync_state::{self, Pushed};
use crate::store::{Deposed, StoreError};

const REASON: &str = "outcome unknown: the process ended during the call";

/// Resolves every `sending` row: Meta may or may not have taken the call, so claims go, what was sent counts as
/// possibly held, and the intents, which are still open, are decided anew.
pub(super) async fn resolve(pipeline: &Pipeline, fence: &Fence, sets: &mut FieldSets) -> Result<(), StoreError> {
    let mut tx = pipeline.db.read().await?;
    let calls = submission::unresolved(&mut tx).await?;
    drop(tx);
    for call in calls {
        warn!(submission = call.id, rows = call.rows.len(), "a call was never recorded; its rows are sent again");
        resolve_one(pipeline, fence, sets, &call).await?;
    }
    Ok(())
}

async fn resolve_one(
    pipeline: &Pipeline,
    fence: &Fence,
    sets: &mut FieldSets,
    call: &Submission,
) -> Result<(), StoreError> {
    let ids: Vec<&str> = call.rows.iter().map(|row| row.0.as_str()).collect();
    let mut tx = pipeline.db.read().await?;
    let held = sync_state::load(&mut tx, &ids).await?;
    drop(tx);
    let sent = call.rows.iter().filter_map(|row| row.3);
    sets.load(&pipeline.db, held.values().filter_map(|held| held.fields_at_meta).chain(sent)).await?;
    let unions: Vec<Option<String>> = call
        .rows
        .iter()
        .map(|row| {
            let before = sets.get(held.get(&row.0).and_then(|held| held.fields_at_meta));
            let sent = sets.get(row.3)?;
            let union: BTreeSet<&str> =
                before.iter().flat_map(|set| set.iter()).chain(sent.iter()).map(String::as_str).collect();
            Some(text_of(union))
        })
        .collect();
    sets.intern(&pipeline.db, unions.iter().flatten().map(String::as_str)).await?;

    let now = pipeline.now();
    let mut tx = match fence.begin(&pipeline.db, Some(&call.catalog_id)).await {
        Ok(tx) => tx,
        // The claims of another catalog are gone already.
        Err(StoreError::Deposed(Deposed::Catalog)) => {
            let mut tx = fence.begin(&pipeline.db, None).await?;
            submission::close(&mut tx, &call.id, Some(REASON), None, now).await?;
            return tx.commit().await;
        }
        Err(error) => return Err(error),
    };
    let rows: Vec<Pushed<'_>> = call
        .rows
        .iter()
        .zip(&unions)
        .filter(|(row, _)| held.get(&row.0).is_none_or(|held| held.status != SyncStatus::Submitted))
        .map(|(row, union)| Pushed {
            variant_id: &row.0,
            product_id: None,
            status: SyncStatus::Failed,
            handle: None,
            hash: None,
            pushed: true,
            error: Some(REASON),
            count_attempt: false,
            at_meta: true,
            fields_at_meta: match union {
                Some(union) => sets.id(union),
                None => held.get(&row.0).and_then(|held| held.fields_at_meta),
            },
            mapper_digest: None,
            reeval_at: None,
        })
        .collect();
    sync_state::record_pushed(&mut tx, &call.catalog_id, &rows, now).await?;
    outbox::note_fault_of_variants(&mut tx, &ids, Fault { class: "unknown", error: REASON, park_at: None }).await?;
    submission::close(&mut tx, &call.id, Some(REASON), None, now).await?;
    at(Point::DrainResolving).await;
    tx.commit().await?;
    at(Point::DrainResolved).await;
    Ok(())
}
