//! How many variants there are, by state.

use std::collections::HashMap;

use crate::domain::state::SyncStatus;
use crate::store::{Result, Tx, fetch_one, sync_state};

/// The numbers of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Variants of the shop, and those that only the state knows.
    pub variants: i64,
    /// Rows of each state.
    pub states: HashMap<SyncStatus, i64>,
}

impl Totals {
    /// Returns the number of variants of a state, of those without one (`never_synced`), or of all.
    #[must_use]
    pub fn of(&self, status: Option<&str>) -> i64 {
        let Some(word) = status else { return self.variants };
        match self.states.iter().find(|(status, _)| status.as_str() == word) {
            Some((_, count)) => *count,
            // The two were not counted at one instant.
            None if word == "never_synced" => (self.variants - self.states.values().sum::<i64>()).max(0),
            None => 0,
        }
    }
}

/// Counts everything. At a million variants this takes a second.
///
/// # Errors
/// When the database query fails, or the database holds a word that this version does not know.
pub async fn totals(tx: &mut Tx) -> Result<Totals> {
    let (variants,): (i64,) = fetch_one!(
        tx,
        (i64,),
        "SELECT (SELECT COUNT(*) FROM variant_index)
              + (SELECT COUNT(*) FROM meta_sync_state s
                 WHERE NOT EXISTS (SELECT 1 FROM variant_index i WHERE i.variant_id = s.variant_id))"
    )?;
    Ok(Totals { variants, states: sync_state::counts(tx).await? })
}
