//! Which files of modules are kept, and the modules that are known.
//!
//! Promises: the files of the last twenty activations and of the last five previews are kept, so a rollback and the
//! activation of a previewed module need no file, in whichever process they are asked for. Others are deleted, so that
//! the table is bounded.

use super::{KEPT, Result, Tx, execute, fetch_all};

/// The number of last previews whose modules are kept.
pub const PREVIEWED: i64 = 5;

/// Deletes the files that are no longer kept.
///
/// # Errors
/// When the database query fails.
pub async fn forget(tx: &mut Tx) -> Result<u64> {
    // Another activation may hold a row that it keeps, and wait for this one. Such a row stays.
    execute!(
        tx,
        r#"DELETE FROM mapper_module WHERE digest IN (
             SELECT digest FROM mapper_module
             WHERE digest NOT IN (SELECT mapper FROM mapper_activation ORDER BY id DESC LIMIT $1)
               AND digest NOT IN (
                 SELECT digest @pg{COLLATE "C"} FROM mapper_preview ORDER BY started_at DESC, id DESC LIMIT $2)
             @pg{FOR UPDATE SKIP LOCKED})"#,
        KEPT,
        PREVIEWED
    )
}

/// A file that was offered.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Known {
    /// SHA-256 of the file, hex.
    pub digest: String,
    /// The name that the module states. `None` when its file is not stored.
    pub name: Option<String>,
    /// The version that the module states. `None` when its file is not stored.
    pub version: Option<String>,
    /// Where it came from last: `api`, `cli` or `directory`.
    pub source: String,
    /// Why it was refused, if it was.
    pub refused: Option<String>,
    /// When it was offered last.
    pub offered_at: i64,
    /// When it was activated last.
    pub activated_at: Option<i64>,
}

/// Returns the files that were offered, the latest first.
///
/// # Errors
/// When the database query fails.
pub async fn known(tx: &mut Tx, limit: i64) -> Result<Vec<Known>> {
    fetch_all!(
        tx,
        Known,
        "SELECT o.digest, m.name, m.version, o.source, o.refused, o.offered_at,
             (SELECT MAX(a.activated_at) FROM mapper_activation a WHERE a.mapper = o.digest) AS activated_at
         FROM mapper_offer o LEFT JOIN mapper_module m ON m.digest = o.digest
         ORDER BY o.offered_at DESC, o.digest LIMIT $1",
        limit
    )
}
