//! Pages of the whole list, or of one state: cut from an index before anything is joined.

use super::{Filter, ItemRow, Stretch, Totals};
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

pub(super) use joined;

// Whether a variant may be sold. A scalar subquery with LIMIT leaves PostgreSQL no choice but to look the variant up.
macro_rules! eligible {
    ($id:literal) => {
        concat!(
            "COALESCE((SELECT e.status = 'active' AND e.visibility = 'public'
                 AND NOT (e.product_deleted OR e.variant_deleted)
             FROM variant_index e WHERE e.variant_id = ",
            $id,
            " LIMIT 1), FALSE)"
        )
    };
}
pub(super) use eligible;

macro_rules! without_state {
    () => {
        "SELECT v.variant_id FROM variant_index v
         WHERE NOT EXISTS (SELECT 1 FROM meta_sync_state n WHERE n.variant_id = v.variant_id)
           AND (NOT $3 OR (v.status = 'active' AND v.visibility = 'public'
               AND NOT (v.product_deleted OR v.variant_deleted)))"
    };
}

/// Returns a page of all variants, or of one state, or of the eligible ones of these: those sent last first, those never sent by id.
/// The status may be `never_synced` for the variants without a state.
pub(super) async fn page(
    tx: &mut Tx,
    filter: &Filter,
    Stretch { offset, limit }: Stretch,
    totals: &Totals,
) -> Result<Vec<ItemRow>> {
    let eligible_only = filter.eligible_only;
    match filter.status {
        None => whole(tx, eligible_only, offset, limit, totals).await,
        Some("never_synced") => fetch_all!(
            tx,
            ItemRow,
            joined!(concat!(without_state!(), " ORDER BY v.variant_id LIMIT $1 OFFSET $2")),
            limit,
            offset,
            eligible_only
        ),
        // Its rows were pushed when their submissions were accepted.
        Some("submitted") => fetch_all!(
            tx,
            ItemRow,
            joined!(concat!(
                "SELECT variant_id FROM meta_sync_state WHERE @sqlite{+}status = 'submitted'
                     AND last_pushed_at IN (SELECT submitted_at FROM meta_batch_handles WHERE state = 'pending')
                     AND (NOT $3 OR ",
                eligible!("meta_sync_state.variant_id"),
                ") ORDER BY last_pushed_at DESC @pg{NULLS LAST}, variant_id LIMIT $1 OFFSET $2"
            )),
            limit,
            offset,
            eligible_only
        ),
        // OFFSET keeps PostgreSQL to the index of the order: without statistics it would look up all and sort them.
        Some("synced") => fetch_all!(
            tx,
            ItemRow,
            joined!(concat!(
                "SELECT variant_id FROM (
                     SELECT variant_id, status, last_pushed_at FROM meta_sync_state WHERE last_pushed_at IS NOT NULL
                     ORDER BY last_pushed_at DESC @pg{NULLS LAST}, variant_id @pg{OFFSET 0}
                 ) AS sent
                 WHERE status = 'synced' AND (NOT $3 OR ",
                eligible!("sent.variant_id"),
                ") ORDER BY last_pushed_at DESC @pg{NULLS LAST}, variant_id LIMIT $1 OFFSET $2"
            )),
            limit,
            offset,
            eligible_only
        ),
        // The inner order and limit make both planners read the index of the state.
        Some(status) if totals.of(Some(status)) < FEW => fetch_all!(
            tx,
            ItemRow,
            joined!(concat!(
                "SELECT variant_id FROM (
                     SELECT variant_id, last_pushed_at FROM meta_sync_state WHERE idle = $1 AND (NOT $4 OR ",
                eligible!("meta_sync_state.variant_id"),
                ") ORDER BY issue_at DESC LIMIT 10000000
                 ) AS few
                 ORDER BY last_pushed_at DESC @pg{NULLS LAST}, variant_id LIMIT $2 OFFSET $3"
            )),
            status,
            limit,
            offset,
            eligible_only
        ),
        Some(status) => fetch_all!(
            tx,
            ItemRow,
            joined!(concat!(
                "SELECT variant_id FROM meta_sync_state WHERE @sqlite{+}status = $1 AND (NOT $4 OR ",
                eligible!("meta_sync_state.variant_id"),
                ") ORDER BY last_pushed_at DESC @pg{NULLS LAST}, variant_id LIMIT $2 OFFSET $3"
            )),
            status,
            limit,
            offset,
            eligible_only
        ),
    }
}

async fn whole(tx: &mut Tx, eligible_only: bool, offset: i64, limit: i64, totals: &Totals) -> Result<Vec<ItemRow>> {
    let mut rows: Vec<ItemRow> = if eligible_only && offset >= FEW {
        // Each of those before the page is looked up, which is faster in the order of the source.
        fetch_all!(
            tx,
            ItemRow,
            joined!(
                "SELECT s.variant_id FROM variant_index v JOIN meta_sync_state s ON s.variant_id = v.variant_id
                 WHERE s.last_pushed_at IS NOT NULL AND v.status = 'active' AND v.visibility = 'public'
                     AND NOT (v.product_deleted OR v.variant_deleted)
                 ORDER BY s.last_pushed_at DESC @pg{NULLS LAST}, s.variant_id LIMIT $1 OFFSET $2"
            ),
            limit,
            offset
        )?
    } else {
        fetch_all!(
            tx,
            ItemRow,
            joined!(concat!(
                "SELECT variant_id FROM meta_sync_state WHERE last_pushed_at IS NOT NULL AND (NOT $3 OR ",
                eligible!("meta_sync_state.variant_id"),
                ") ORDER BY last_pushed_at DESC @pg{NULLS LAST}, variant_id LIMIT $1 OFFSET $2"
            )),
            limit,
            offset,
            eligible_only
        )?
    };
    let missing = limit - i64::try_from(rows.len()).unwrap_or(limit);
    if missing == 0 {
        return Ok(rows);
    }
    let sent: i64 = match rows.len() {
        0 => {
            fetch_one!(
                tx,
                (i64,),
                concat!(
                    "SELECT COUNT(*) FROM meta_sync_state WHERE last_pushed_at IS NOT NULL AND (NOT $1 OR ",
                    eligible!("meta_sync_state.variant_id"),
                    ")"
                ),
                eligible_only
            )?
            .0
        }
        _ => offset,
    };
    let offset = (offset - sent).max(0);
    // Looking for variants without a state reads all of them, so it is left out where there is none.
    let never_sent: Vec<ItemRow> = if totals.of(Some("never_synced")) == 0 {
        fetch_all!(
            tx,
            ItemRow,
            joined!(concat!(
                "SELECT variant_id FROM meta_sync_state WHERE last_pushed_at IS NULL AND (NOT $3 OR ",
                eligible!("meta_sync_state.variant_id"),
                ") ORDER BY variant_id LIMIT $1 OFFSET $2"
            )),
            missing,
            offset,
            eligible_only
        )?
    } else {
        fetch_all!(
            tx,
            ItemRow,
            joined!(concat!(
                "SELECT variant_id FROM (
                     SELECT variant_id FROM meta_sync_state WHERE last_pushed_at IS NULL AND (NOT $3 OR ",
                eligible!("meta_sync_state.variant_id"),
                ") UNION ALL ",
                without_state!(),
                ") AS never_sent ORDER BY variant_id LIMIT $1 OFFSET $2"
            )),
            missing,
            offset,
            eligible_only
        )?
    };
    rows.extend(never_sent);
    Ok(rows)
}
