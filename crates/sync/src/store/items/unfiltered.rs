//! Pages of the whole list, or of one state: cut from an index before anything is joined.

use super::{ItemRow, Stretch, Totals};
use crate::store::{Result, Tx, fetch_all, fetch_one};

/// A state with fewer rows is read whole and sorted. In the order of the index its rows would lie far apart.
const FEW: i64 = 100_000;

// The source is narrowed before it is joined: SQLite builds a view whole that stands behind a LEFT JOIN.
macro_rules! joined {
    ($page:literal) => {
        concat!(
            "WITH page AS (",
            $page,
            ")
             SELECT s.variant_id, COALESCE(i.product_id, s.product_id, '') AS product_id, i.title, i.slug,
                 i.status AS product_status, i.visibility, i.sku, i.price, i.thumbnail, s.status, s.meta_retailer_id,
                 s.last_handle, s.last_pushed_at, s.last_error, s.attempts, s.warnings, s.lint, s.cause, s.excluded,
                 COALESCE(i.product_deleted OR i.variant_deleted, TRUE) AS deleted
             FROM page
             JOIN meta_sync_state s ON s.variant_id = page.variant_id
             LEFT JOIN (SELECT * FROM variant_index WHERE variant_id IN (SELECT variant_id FROM page)) i
                 ON i.variant_id = page.variant_id
             ORDER BY s.last_pushed_at DESC @pg{NULLS LAST}, s.variant_id"
        )
    };
}

/// Returns a page of the variants with a state, those sent last first, then of the others. `status` selects one state, or
/// `never_synced` for those without one.
pub(super) async fn page(
    tx: &mut Tx,
    status: Option<&str>,
    Stretch { offset, limit }: Stretch,
    totals: &Totals,
) -> Result<Vec<ItemRow>> {
    match status {
        Some("never_synced") => without_state(tx, offset, limit).await,
        // The inner order and limit make both planners read the index of the state.
        Some(status) if totals.of(Some(status)) < FEW => fetch_all!(
            tx,
            ItemRow,
            joined!(
                "SELECT variant_id FROM (
                     SELECT variant_id, last_pushed_at FROM meta_sync_state WHERE status = $1 ORDER BY updated_at LIMIT 10000000
                 ) AS few
                 ORDER BY last_pushed_at DESC @pg{NULLS LAST}, variant_id LIMIT $2 OFFSET $3"
            ),
            status,
            limit,
            offset
        ),
        Some(status) => fetch_all!(
            tx,
            ItemRow,
            joined!(
                "SELECT variant_id FROM meta_sync_state WHERE @sqlite{+}status = $1
                 ORDER BY last_pushed_at DESC @pg{NULLS LAST}, variant_id LIMIT $2 OFFSET $3"
            ),
            status,
            limit,
            offset
        ),
        None => {
            let mut rows: Vec<ItemRow> = fetch_all!(
                tx,
                ItemRow,
                joined!(
                    "SELECT variant_id FROM meta_sync_state
                     ORDER BY last_pushed_at DESC @pg{NULLS LAST}, variant_id LIMIT $1 OFFSET $2"
                ),
                limit,
                offset
            )?;
            let missing = limit - i64::try_from(rows.len()).unwrap_or(limit);
            if missing > 0 {
                let before = match rows.len() {
                    0 => offset - fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM meta_sync_state").map(|(states,)| states)?,
                    _ => 0,
                };
                rows.extend(without_state(tx, before.max(0), missing).await?);
            }
            Ok(rows)
        }
    }
}

async fn without_state(tx: &mut Tx, offset: i64, limit: i64) -> Result<Vec<ItemRow>> {
    fetch_all!(
        tx,
        ItemRow,
        "SELECT i.variant_id, i.product_id, i.title, i.slug, i.status AS product_status, i.visibility, i.sku, i.price,
             i.thumbnail, NULL AS status, NULL AS meta_retailer_id, NULL AS last_handle,
             CAST(NULL AS BIGINT) AS last_pushed_at, NULL AS last_error, CAST(NULL AS BIGINT) AS attempts,
             NULL AS warnings, NULL AS lint, NULL AS cause, CAST(NULL AS BOOLEAN) AS excluded,
             (i.product_deleted OR i.variant_deleted) AS deleted
         FROM variant_index i
         WHERE NOT EXISTS (SELECT 1 FROM meta_sync_state s WHERE s.variant_id = i.variant_id)
         ORDER BY i.variant_id LIMIT $1 OFFSET $2",
        limit,
        offset
    )
}
