//! The submissions, as operators see them.

use crate::store::items::Stretch;
use crate::store::{Result, Tx, fetch_all, fetch_one};

/// A submission in a list.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Listing {
    /// Its id.
    pub id: String,
    /// The catalog it was made for.
    pub catalog_id: String,
    /// Its state.
    pub state: String,
    /// Meta's handles.
    pub handle: Option<String>,
    /// Number of records.
    pub row_count: i64,
    /// Number of implicit deletes among them.
    pub implicit_deletes: i64,
    /// When it was made.
    pub submitted_at: i64,
    /// When it was last polled.
    pub last_polled_at: Option<i64>,
    /// When the verdict came.
    pub completed_at: Option<i64>,
    /// Why it failed as a whole.
    pub reason: Option<String>,
    /// Meta's errors and warnings, as JSON.
    pub errors: Option<String>,
}

/// Returns a page of submissions, the latest first, and the total number. `state` selects one state.
///
/// # Errors
/// When the database query fails.
pub async fn list(tx: &mut Tx, state: Option<&str>, stretch: Stretch) -> Result<(Vec<Listing>, i64)> {
    let rows: Vec<Listing> = fetch_all!(
        tx,
        Listing,
        "SELECT id, catalog_id, CASE state WHEN 'late' THEN 'sending' ELSE state END AS state, handle, row_count,
             implicit_deletes, submitted_at, last_polled_at, completed_at, reason, CAST(errors AS TEXT) AS errors
         FROM meta_batch_handles
         WHERE CAST($1 AS TEXT) IS NULL OR CASE state WHEN 'late' THEN 'sending' ELSE state END = $1
         ORDER BY submitted_at DESC, id DESC LIMIT $2 OFFSET $3",
        state,
        stretch.limit,
        stretch.offset
    )?;
    let (total,): (i64,) = fetch_one!(
        tx,
        (i64,),
        "SELECT COUNT(*) FROM meta_batch_handles
         WHERE CAST($1 AS TEXT) IS NULL OR CASE state WHEN 'late' THEN 'sending' ELSE state END = $1",
        state
    )?;
    Ok((rows, total))
}
