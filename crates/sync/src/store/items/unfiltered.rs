//! Pages of the whole list, or of one state: cut from an index before anything is joined.

use super::{ItemRow, Stretch, Totals};
use crate::store::{Result, Tx, fetch_all, fetch_one};

/// An idle state with fewer rows is read whole and sorted. In the order of the list its rows would lie far apart.
const FEW: i64 = 100_000;

// The source is narrowed before it is joined: SQLite builds a view whole that stands behind a LEFT JOIN.
macro_rules! joined {
    ($page:expr) => {
        concat!(
            "WITH page AS (",
            $page,
            ")
             SELECT page.variant_id, COALESCE(i.product_id, s.product_id, '') AS product_id, i.title, i.slug,
                 i.status AS product_status, i.visibility, i.sku, i.price, i.thumbnail, s.status, s.meta_retailer_id,
                 s.last_handle, s.last_pushed_at, s.last_error, s.attempts, s.warnings, s.lint, s.cause, s.excluded,
                 COALESCE(i.product_deleted OR i.variant_deleted, TRUE) AS deleted
             FROM page
             LEFT JOIN meta_sync_state s ON s.variant_id = page.variant_id
             LEFT JOIN (SELECT * FROM variant_index WHERE variant_id IN (SELECT variant_id FROM page)) i
                 ON i.variant_id = page.variant_id
             ORDER BY s.last_pushed_at DESC @pg{NULLS LAST}, page.variant_id"
        )
    };
}

macro_rules! without_state {
    () => {
        "SELECT v.variant_id FROM variant_index v
         WHERE NOT EXISTS (SELECT 1 FROM meta_sync_state n WHERE n.variant_id = v.variant_id)"
    };
}

/// Returns a page of all variants, or of one state: those sent last first, those never sent by id. `status` may be
/// `never_synced` for the variants without a state.
pub(super) async fn page(
    tx: &mut Tx,
    status: Option<&str>,
    Stretch { offset, limit }: Stretch,
    totals: &Totals,
) -> Result<Vec<ItemRow>> {
    match status {
        None => whole(tx, offset, limit, totals).await,
        Some("never_synced") => fetch_all!(
            tx,
            ItemRow,
            joined!(concat!(without_state!(), " ORDER BY v.variant_id LIMIT $1 OFFSET $2")),
            limit,
            offset
        ),
        // Its rows were pushed when their submissions were accepted.
        Some("submitted") => fetch_all!(
            tx,
            ItemRow,
            joined!(
                "SELECT variant_id FROM meta_sync_state WHERE @sqlite{+}status = 'submitted'
                     AND last_pushed_at IN (SELECT submitted_at FROM meta_batch_handles WHERE state = 'pending')
                 ORDER BY last_pushed_at DESC @pg{NULLS LAST}, variant_id LIMIT $1 OFFSET $2"
            ),
            limit,
            offset
        ),
        Some("synced") => fetch_all!(
            tx,
            ItemRow,
            joined!(
                "SELECT variant_id FROM meta_sync_state WHERE status = 'synced' AND last_pushed_at IS NOT NULL
                 ORDER BY last_pushed_at DESC @pg{NULLS LAST}, variant_id LIMIT $1 OFFSET $2"
            ),
            limit,
            offset
        ),
        // The inner order and limit make both planners read the index of the state.
        Some(status) if totals.of(Some(status)) < FEW => fetch_all!(
            tx,
            ItemRow,
            joined!(
                "SELECT variant_id FROM (
                     SELECT variant_id, last_pushed_at FROM meta_sync_state WHERE idle = $1
                     ORDER BY issue_at DESC LIMIT 10000000
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
    }
}

async fn whole(tx: &mut Tx, offset: i64, limit: i64, totals: &Totals) -> Result<Vec<ItemRow>> {
    let mut rows: Vec<ItemRow> = fetch_all!(
        tx,
        ItemRow,
        joined!(
            "SELECT variant_id FROM meta_sync_state WHERE last_pushed_at IS NOT NULL
             ORDER BY last_pushed_at DESC @pg{NULLS LAST}, variant_id LIMIT $1 OFFSET $2"
        ),
        limit,
        offset
    )?;
    let missing = limit - i64::try_from(rows.len()).unwrap_or(limit);
    if missing == 0 {
        return Ok(rows);
    }
    let sent: i64 = match rows.len() {
        0 => fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM meta_sync_state WHERE last_pushed_at IS NOT NULL")?.0,
        _ => offset,
    };
    let offset = (offset - sent).max(0);
    // Looking for variants without a state reads all of them, so it is left out where there is none.
    let never_sent: Vec<ItemRow> = if totals.of(Some("never_synced")) == 0 {
        fetch_all!(
            tx,
            ItemRow,
            joined!(
                "SELECT variant_id FROM meta_sync_state WHERE last_pushed_at IS NULL
                 ORDER BY variant_id LIMIT $1 OFFSET $2"
            ),
            missing,
            offset
        )?
    } else {
        fetch_all!(
            tx,
            ItemRow,
            joined!(concat!(
                "SELECT variant_id FROM (
                     SELECT variant_id FROM meta_sync_state WHERE last_pushed_at IS NULL UNION ALL ",
                without_state!(),
                ") AS never_sent ORDER BY variant_id LIMIT $1 OFFSET $2"
            )),
            missing,
            offset
        )?
    };
    rows.extend(never_sent);
    Ok(rows)
}
