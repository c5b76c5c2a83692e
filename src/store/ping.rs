//! Whether the database answers.

use super::{Db, Result, fetch_one};

/// Asks it for nothing.
///
/// # Errors
/// When it does not answer.
pub async fn ping(db: &Db) -> Result<()> {
    let mut tx = db.read().await?;
    let _: (i64,) = fetch_one!(tx, (i64,), "SELECT CAST(1 AS BIGINT)")?;
    Ok(())
}
