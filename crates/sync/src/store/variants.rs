//! Iterates over the shop's variants through the narrow view `variant_index`.

use super::{Result, Tx, fetch_all, fetch_one};

/// Returns the number of variants.
///
/// # Errors
/// When the database query fails.
pub async fn count(tx: &mut Tx) -> Result<i64> {
    let (count,): (i64,) = fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM variant_index")?;
    Ok(count)
}

/// Returns the next ids after `after`, in bytewise order. Empty at the end.
///
/// # Errors
/// When the database query fails.
pub async fn page(tx: &mut Tx, after: &str, limit: usize) -> Result<Vec<String>> {
    let rows: Vec<(String,)> = fetch_all!(
        tx,
        (String,),
        "SELECT variant_id FROM variant_index WHERE variant_id > $1 ORDER BY variant_id LIMIT $2",
        after,
        i64::try_from(limit).unwrap_or(i64::MAX)
    )?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}
