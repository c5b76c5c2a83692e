//! Reading the outbox in windows: a fair share of each lane, in order of arrival within it.
//!
//! Promises: a window holds all open rows of its variants, and their states of the same moment. Any beginning of a window
//! is fair too, so a call that takes only a part of it favours no lane.

use std::collections::HashMap;

use crate::domain::intent::{Lane, OpenIntent};
use crate::domain::state::SyncState;
use crate::store::sync_state::MaybeState;
use crate::store::{Result, StoreError, Tx, fetch_all};

/// Where the next window begins: after these ids, one for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor([i64; Lane::ALL.len()]);

/// A window of the outbox: all open rows of the variants of its live rows, and the states of these variants.
#[derive(Debug, Default)]
pub struct Window {
    /// Open rows, parked ones included, in the order in which their variants have their turn.
    pub rows: Vec<OpenIntent>,
    /// The states of their variants, read at the same moment as the rows.
    pub states: HashMap<String, SyncState>,
    /// Where the next window begins.
    pub cursor: Cursor,
    /// The number of live rows in the window.
    pub live: usize,
}

#[derive(sqlx::FromRow)]
struct WindowRow {
    seq: i64,
    variant_id: String,
    intent: String,
    origin: String,
    attempts: i64,
    released: bool,
    lane: i64,
    is_live: bool,
    #[sqlx(flatten)]
    state: MaybeState,
}

// SQLite keeps no statistics by default: on its own it uses the first index on processed_at, and each window then reads
// and sorts the whole backlog. INDEXED BY fails when the index does not fit, so a mismatch cannot go unnoticed. For
// PostgreSQL, the order names the lane: with `lane = …` and the order of `seq` alone it may read all that is processed
// along the primary key. The open rows of a variant are looked up for each variant (OFFSET keeps it so): by statistics
// of a moment without a backlog it would compare each open row with each variant.
macro_rules! of_lane {
    ($lane:literal, $after:literal, $cost:literal) => {
        concat!(
            "SELECT seq, variant_id, (ROW_NUMBER() OVER (ORDER BY seq) * ",
            $cost,
            ") * 4 + ",
            $lane,
            " AS turn FROM (
                 SELECT seq, variant_id FROM meta_outbox @sqlite{INDEXED BY meta_outbox_open}
                 WHERE processed_at IS NULL AND parked_at IS NULL AND held_at IS NULL AND (lane, seq) > (",
            $lane,
            ", ",
            $after,
            ") AND lane <= ",
            $lane,
            " ORDER BY lane, seq LIMIT $1) AS of_lane"
        )
    };
}

/// Reads the window of at most `limit` live rows after `cursor`. Returns `None` at the end.
///
/// One statement reads rows and states, so they are of one moment. States read later could show verdicts whose new
/// intents are not among the rows: the drain would decide without those intents, and they would come after what it
/// sends.
///
/// # Errors
/// When the database query fails, or the database holds a word that this version does not know.
pub async fn read_window(tx: &mut Tx, cursor: Cursor, limit: i64) -> Result<Option<Window>> {
    let [prompt, change, bulk] = Lane::ALL.map(Lane::cost);
    let rows: Vec<WindowRow> = fetch_all!(
        tx,
        WindowRow,
        concat!(
            "WITH live AS @pg{MATERIALIZED} (
                 SELECT seq, variant_id, turn FROM (",
            of_lane!(0, "$2", "$5"),
            " UNION ALL ",
            of_lane!(1, "$3", "$6"),
            " UNION ALL ",
            of_lane!(2, "$4", "$7"),
            ") AS waiting ORDER BY turn LIMIT $1),
             turns AS @pg{MATERIALIZED} (SELECT variant_id, MIN(turn) AS turn FROM live GROUP BY variant_id)
             SELECT o.seq, o.variant_id, o.intent, o.origin, o.attempts, o.released_at IS NOT NULL AS released, o.lane,
                 o.seq IN (SELECT seq FROM live) AS is_live,
                 s.status, s.catalog_id, s.last_pushed_hash, s.at_meta, s.fields_at_meta, s.attempts AS failures,
                 s.excluded, s.version
             FROM turns AS t
             @sqlite{CROSS JOIN meta_outbox AS o INDEXED BY meta_outbox_open_variant
                 ON o.variant_id = t.variant_id AND o.processed_at IS NULL}
             @pg{CROSS JOIN LATERAL (
                 SELECT * FROM meta_outbox WHERE variant_id = t.variant_id AND processed_at IS NULL OFFSET 0) AS o}
             LEFT JOIN meta_sync_state AS s ON s.variant_id = t.variant_id
             ORDER BY t.turn, o.seq"
        ),
        limit,
        cursor.0[0],
        cursor.0[1],
        cursor.0[2],
        prompt,
        change,
        bulk
    )?;
    if rows.is_empty() {
        return Ok(None);
    }
    let corrupt = |column, found| StoreError::Corrupt { table: "meta_outbox", column, found };
    let mut window = Window { cursor, ..Window::default() };
    for row in rows {
        if row.is_live {
            window.live += 1;
            let place = usize::try_from(row.lane).ok().and_then(|lane| window.cursor.0.get_mut(lane));
            let after = place.ok_or_else(|| corrupt("lane", row.lane.to_string()))?;
            *after = row.seq.max(*after);
        }
        let open = OpenIntent {
            seq: row.seq,
            variant_id: row.variant_id,
            intent: row.intent.parse().map_err(|found| corrupt("intent", found))?,
            origin: row.origin.parse().map_err(|found| corrupt("origin", found))?,
            attempts: row.attempts,
            released: row.released,
        };
        if let Some(state) = row.state.into_state()? {
            window.states.insert(open.variant_id.clone(), state);
        }
        window.rows.push(open);
    }
    Ok(Some(window))
}
