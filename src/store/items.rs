//! The shop's variants beside what is known of them at Meta.

use super::{Result, Tx, fetch_one};

/// Whether the source or the state knows this variant.
///
/// # Errors
/// When the database does not answer.
pub async fn known(tx: &mut Tx, variant_id: &str) -> Result<bool> {
    let (known,): (bool,) = fetch_one!(
        tx,
        (bool,),
        "SELECT EXISTS (SELECT 1 FROM variant_index WHERE variant_id = $1)
             OR EXISTS (SELECT 1 FROM meta_sync_state WHERE variant_id = $1)",
        variant_id
    )?;
    Ok(known)
}
