//! Appends the intents of change events, fanned out over the variants of products.

use super::{Result, Tx, execute, list, reask};
use crate::clock::Millis;
use crate::domain::intent::{Intent, Lane, Origin};
use crate::domain::reask::Named;

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One variant, known or unknown.
    Variant(String),
    /// Every variant of a product.
    Product(String),
    /// Every variant that shows this name.
    Named(Named, String),
}

/// A change and the intent it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What changed.
    pub target: Target,
    /// The intent it asks for.
    pub intent: Intent,
    /// The lane of that intent.
    pub lane: Lane,
}

// The variants of a product are those that the source has (for an upsert without the deleted ones), and those that only
// the sync state has: a product that was removed from the source left its items at Meta.
macro_rules! fan_out {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "FROM (
                 SELECT e.pos, e.intent, e.lane, e.id AS variant_id
                 FROM @rows($1: pos bigint, intent text, lane bigint, id text, fan bool) AS e WHERE NOT e.fan
                 UNION ALL
                 SELECT e.pos, e.intent, e.lane, i.variant_id
                 FROM @rows($1: pos bigint, intent text, lane bigint, id text, fan bool) AS e
                 JOIN variant_index i ON i.product_id = e.id
                 WHERE e.fan AND (e.intent = 'delete' OR NOT i.variant_deleted)
                 UNION ALL
                 SELECT e.pos, e.intent, e.lane, s.variant_id
                 FROM @rows($1: pos bigint, intent text, lane bigint, id text, fan bool) AS e
                 JOIN meta_sync_state s ON s.product_id = e.id
                 WHERE e.fan AND NOT EXISTS (SELECT 1 FROM variant_index i WHERE i.variant_id = s.variant_id)
             ) AS c ",
            $after
        )
    };
}

/// Appends the intents of these changes in their order. An unknown variant's first upsert creates its state row as
/// `pending`. The variants that show a changed name are asked for again, at the pace of a re-ask. Returns the number of
/// intents, those of the re-ask included.
///
/// # Errors
/// When the database query fails.
pub async fn append(tx: &mut Tx, changes: &[Change], now: Millis) -> Result<u64> {
    let mut rows: Vec<(usize, &str, i64, &str, bool)> = Vec::new();
    let mut renamed: Vec<(Named, &str)> = Vec::new();
    for (pos, change) in changes.iter().enumerate() {
        match &change.target {
            Target::Variant(id) => rows.push((pos, change.intent.as_str(), change.lane.number(), id, false)),
            Target::Product(id) => rows.push((pos, change.intent.as_str(), change.lane.number(), id, true)),
            Target::Named(kind, id) => renamed.push((*kind, id)),
        }
    }
    let asked_again = if renamed.is_empty() { 0 } else { reask::note_renamed(tx, &renamed).await? };
    if rows.is_empty() {
        return Ok(asked_again);
    }
    // Rows are written in id order; otherwise two concurrent intakes could deadlock. The product is a scalar subquery:
    // with a join from the left, SQLite would build the whole view first.
    execute!(
        tx,
        fan_out!(
            "INSERT INTO meta_sync_state (variant_id, product_id, status, created_at, updated_at)
             SELECT DISTINCT c.variant_id,
                 (SELECT i.product_id FROM variant_index i WHERE i.variant_id = c.variant_id),
                 'pending', CAST($2 AS BIGINT), CAST($2 AS BIGINT) ",
            "WHERE c.intent = 'upsert' ORDER BY 1
             ON CONFLICT (variant_id) DO NOTHING"
        ),
        list::rows(&rows),
        now
    )?;
    let appended = execute!(
        tx,
        fan_out!(
            "INSERT INTO meta_outbox (variant_id, intent, origin, enqueued_at, lane)
             SELECT c.variant_id, c.intent, $2, CAST($3 AS BIGINT), c.lane ",
            "WHERE true ORDER BY c.pos, c.variant_id"
        ),
        list::rows(&rows),
        Origin::Event.as_str(),
        now
    )?;
    Ok(asked_again + appended)
}
