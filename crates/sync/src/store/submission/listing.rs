//! The submissions, as operators see them.

use crate::store::items::Stretch;
use crate::store::{Result, Tx, fetch_all, fetch_one, fetch_optional};

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

/// Which submissions to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Show {
    /// All of them.
    #[default]
    All,
    /// Those without a verdict.
    Open,
    /// Those with a verdict, and those that failed as a whole.
    Settled,
    /// Those that failed as a whole.
    Failed,
}

/// A submission in a list by time.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Recent {
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: String,
    /// Meta's handles.
    pub handle: Option<String>,
    /// Number of records.
    pub row_count: i64,
    /// Number of deletes among them.
    pub deletes: i64,
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
    /// Number of Meta's errors.
    pub errors: Option<i64>,
    /// Number of Meta's warnings.
    pub warnings: Option<i64>,
}

/// A statement that returns [`Recent`] rows, and further columns. A verdict may be long, so only its numbers are read.
macro_rules! select {
    ($rest:literal) => {
        select!("", $rest)
    };
    ($more:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $more,
            "id, CASE state WHEN 'late' THEN 'sending' ELSE state END AS state, handle, row_count,
                 CAST(@pg{jsonb_array_length}@sqlite{json_array_length}(delete_retailer_ids) AS BIGINT) AS deletes,
                 implicit_deletes, submitted_at, last_polled_at, completed_at, reason,
                 CAST(errors ->> 'errors_total_count' AS BIGINT) AS errors,
                 CAST(errors ->> 'warnings_total_count' AS BIGINT) AS warnings
             FROM meta_batch_handles ",
            $rest
        )
    };
}

/// Returns up to `limit` submissions before a place, the latest first.
///
/// # Errors
/// When the database query fails.
pub async fn recent(tx: &mut Tx, show: Show, before: Option<(i64, &str)>, limit: i64) -> Result<Vec<Recent>> {
    let (at, id) = before.unwrap_or((i64::MAX, ""));
    match show {
        Show::All => fetch_all!(
            tx,
            Recent,
            select!("WHERE (submitted_at, id) < ($1, $2) ORDER BY submitted_at DESC, id DESC LIMIT $3"),
            at,
            id,
            limit
        ),
        // They are few, and the index of the time would be walked to its end for them: the sum keeps it out.
        Show::Open => fetch_all!(
            tx,
            Recent,
            select!(
                "WHERE state IN ('pending', 'sending', 'late') AND (submitted_at + 0, id) < ($1, $2)
                 ORDER BY submitted_at + 0 DESC, id DESC LIMIT $3"
            ),
            at,
            id,
            limit
        ),
        Show::Settled => fetch_all!(
            tx,
            Recent,
            select!(
                "WHERE state IN ('completed', 'failed') AND (submitted_at, id) < ($1, $2)
                 ORDER BY submitted_at DESC, id DESC LIMIT $3"
            ),
            at,
            id,
            limit
        ),
        Show::Failed => fetch_all!(
            tx,
            Recent,
            select!(
                "@sqlite{INDEXED BY meta_batch_handles_failed} WHERE state = 'failed' AND (submitted_at, id) < ($1, $2)
                 ORDER BY submitted_at DESC, id DESC LIMIT $3"
            ),
            at,
            id,
            limit
        ),
    }
}

/// What Meta said of a submission.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Told {
    /// The submission.
    #[sqlx(flatten)]
    pub submission: Recent,
    /// The catalog it was made for.
    pub catalog_id: String,
    /// Meta's errors and warnings, as JSON.
    pub verdict: Option<String>,
}

/// Returns a submission. `None` when it is not kept any more.
///
/// # Errors
/// When the database query fails.
pub async fn find(tx: &mut Tx, id: &str) -> Result<Option<Told>> {
    fetch_optional!(tx, Told, select!("catalog_id, CAST(errors AS TEXT) AS verdict, ", "WHERE id = $1"), id)
}
