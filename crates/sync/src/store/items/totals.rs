//! How many variants there are, by state.

use std::collections::HashMap;

use crate::domain::state::SyncStatus;
use crate::store::{Result, StoreError, Tx, fetch_all, fetch_one, sync_state};

/// The numbers of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Variants of the shop, and those that only the state knows.
    pub variants: i64,
    /// Those of them that only the state knows.
    pub gone: i64,
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
    let (listed, gone): (i64, i64) = fetch_one!(
        tx,
        (i64, i64),
        "SELECT (SELECT COUNT(*) FROM variant_index),
                (SELECT COUNT(*) FROM meta_sync_state s
                 WHERE NOT EXISTS (SELECT 1 FROM variant_index i WHERE i.variant_id = s.variant_id))"
    )?;
    Ok(Totals { variants: listed + gone, gone, states: sync_state::counts(tx).await? })
}

/// Counts the variants that may be sold. At a million variants this takes seconds.
///
/// # Errors
/// When the database query fails, or the database holds a word that this version does not know.
pub async fn eligible_totals(tx: &mut Tx) -> Result<Totals> {
    let counts: Vec<(Option<String>, i64)> = fetch_all!(
        tx,
        (Option<String>, i64),
        "SELECT s.status, COUNT(*) FROM variant_index i LEFT JOIN meta_sync_state s ON s.variant_id = i.variant_id
         WHERE i.status = 'active' AND i.visibility = 'public' AND NOT (i.product_deleted OR i.variant_deleted)
         GROUP BY s.status"
    )?;
    let mut totals = Totals::default();
    for (status, count) in counts {
        totals.variants += count;
        if let Some(word) = status {
            let corrupt = |found| StoreError::Corrupt { table: "meta_sync_state", column: "status", found };
            totals.states.insert(word.parse().map_err(corrupt)?, count);
        }
    }
    Ok(totals)
}
