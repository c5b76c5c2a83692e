//! How many variants a filter selects, at this moment.

use super::walk::{From, Known, walk};
use super::{Filter, Stretch, eligible_totals, filtered, totals};
use crate::store::{Result, Tx, fetch_one};

/// Counts what a filter selects. At a million variants a search, a filter of several parts and the eligible ones take a second.
///
/// # Errors
/// When the database query fails, or the database holds a word that this version does not know.
pub async fn count(tx: &mut Tx, filter: &Filter) -> Result<i64> {
    if let Some(ids) = &filter.ids {
        let step = walk(tx, filter, From::Start, ids.len(), Known::NOTHING).await?;
        return Ok(i64::try_from(step.found.len()).unwrap_or(i64::MAX));
    }
    if filter.excluded == Some(false) {
        let of = |excluded| Filter { excluded, ..filter.clone() };
        let (all, excluded) = (of(None), of(Some(true)));
        return Ok(Box::pin(count(tx, &all)).await? - Box::pin(count(tx, &excluded)).await?);
    }
    if let Some(count) = quick_count(tx, filter).await? {
        return Ok(count);
    }
    if filter.is_plain() {
        let totals = if filter.eligible_only { eligible_totals(tx).await? } else { totals(tx).await? };
        return Ok(totals.of(filter.status));
    }
    Ok(filtered::page(tx, filter, Stretch { offset: 0, limit: 0 }, true).await?.1)
}

/// Counts what a filter selects where one index has it. `None` where it has not.
///
/// # Errors
/// When the database query fails.
pub async fn quick_count(tx: &mut Tx, filter: &Filter) -> Result<Option<i64>> {
    macro_rules! counted {
        ($sql:literal $(, $by:expr)?) => {
            fetch_one!(tx, (i64,), $sql $(, $by)?).map(|(count,): (i64,)| Some(count))
        };
    }
    let is_only = |only: Filter| *filter == only;
    match filter {
        Filter { cause: Some(cause), .. } if is_only(Filter { cause: Some(cause.clone()), ..Filter::default() }) => {
            counted!("SELECT COUNT(*) FROM meta_sync_state WHERE cause = $1", cause)
        }
        Filter { excluded: Some(true), .. } if is_only(Filter { excluded: Some(true), ..Filter::default() }) => {
            counted!("SELECT COUNT(*) FROM meta_sync_state WHERE excluded")
        }
        Filter { held: true, .. } if is_only(Filter { held: true, ..Filter::default() }) => counted!(
            "SELECT COUNT(DISTINCT o.variant_id) FROM meta_outbox AS o @sqlite{INDEXED BY meta_outbox_held}
             WHERE o.processed_at IS NULL AND o.held_at IS NOT NULL
               AND COALESCE((SELECT TRUE FROM meta_sync_state s WHERE s.variant_id = o.variant_id LIMIT 1),
                   (SELECT TRUE FROM variant_index i WHERE i.variant_id = o.variant_id LIMIT 1), FALSE)"
        ),
        Filter { status: Some(status @ ("pending" | "failed" | "skipped" | "deleted")), .. }
            if is_only(Filter { status: Some(status), ..Filter::default() }) =>
        {
            counted!("SELECT COUNT(*) FROM meta_sync_state WHERE idle = $1", *status)
        }
        _ => Ok(None),
    }
}
