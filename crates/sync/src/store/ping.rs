//! A check that the database responds.

use super::{Db, Result, fetch_one};

/// Runs a query that reads no table.
///
/// # Errors
/// When the query fails.
pub async fn ping(db: &Db) -> Result<()> {
    let mut tx = db.read().await?;
    let _: (i64,) = fetch_one!(tx, (i64,), "SELECT CAST(1 AS BIGINT)")?;
    Ok(())
}
