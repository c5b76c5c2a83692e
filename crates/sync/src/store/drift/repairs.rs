//! Repairs of drift: which findings are due, and what is remembered of them.
//!
//! Promises: a repair, the intents that carry it out and the mark on its findings are one transaction, so nothing is
//! repaired twice and nothing is lost.

use super::findings::Chosen;
use crate::clock::Millis;
use crate::domain::drift::repair::{FLAP_AFTER, FLAP_SPAN_MS};
use crate::domain::drift::{Class, Difference};
use crate::domain::intent::{Intent, Origin};
use crate::store::{Result, Tx, execute, fetch_all, fetch_one, list, outbox, sync_state};

/// What is repaired without an operator.
#[derive(Clone, Copy, Debug)]
pub struct ByItself<'a> {
    /// The classes. Empty when nothing is.
    pub classes: &'a [String],
    /// Only what this sweep or a later one saw.
    pub since: i64,
}

/// Asks for the repair of confirmed findings that are neither ignored nor repaired. What came back after each repair is
/// tried once more. Returns the number of findings.
///
/// # Errors
/// When the database query fails.
pub async fn ask(tx: &mut Tx, chosen: Chosen<'_>, now: Millis) -> Result<u64> {
    let classes: Vec<&str> = chosen.classes.iter().map(|class| class.as_str()).collect();
    execute!(
        tx,
        "UPDATE drift_finding SET asked_at = CAST($5 AS BIGINT), stopped_at = NULL
         WHERE catalog_id = $1 AND class IN (SELECT id FROM @ids($2) AS classes)
             AND ($3 OR variant_id IN (SELECT id FROM @ids($4) AS variants))
             AND confirmed_at IS NOT NULL AND ignored_at IS NULL AND repaired_at IS NULL AND asked_at IS NULL",
        chosen.catalog,
        list::ids(&classes),
        chosen.variants.is_none(),
        list::ids(chosen.variants.unwrap_or_default()),
        now
    )
}

/// A variant to repair.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Due {
    /// The variant.
    pub variant_id: String,
    /// The version of its state that was looked at.
    pub version: i64,
    /// Whether an operator asked for it.
    pub asked: bool,
}

/// Returns some variants to repair. Classes that are not repaired by sending the item again are never among them.
///
/// # Errors
/// When the database query fails.
pub async fn due(tx: &mut Tx, catalog: &str, by_itself: ByItself<'_>, limit: i64) -> Result<Vec<Due>> {
    fetch_all!(
        tx,
        Due,
        "SELECT variant_id, version, MAX(CASE WHEN asked_at IS NULL THEN 0 ELSE 1 END) = 1 AS asked
         FROM (SELECT * FROM (
                   SELECT variant_id, version, asked_at FROM drift_finding @sqlite{INDEXED BY drift_finding_asked}
                   WHERE catalog_id = $1 AND asked_at IS NOT NULL AND class IN (SELECT id FROM @ids($2) AS repairable)
                       AND confirmed_at IS NOT NULL AND ignored_at IS NULL AND repaired_at IS NULL AND stopped_at IS NULL
                   LIMIT $5) AS asked
               UNION ALL SELECT * FROM (
                   SELECT variant_id, version, CAST(NULL AS BIGINT) AS asked_at FROM drift_finding @sqlite{INDEXED BY drift_finding_open}
                   WHERE catalog_id = $1 AND asked_at IS NULL AND sweep >= $4
                       AND class IN (SELECT id FROM @ids($3) AS by_itself)
                       AND class IN (SELECT id FROM @ids($2) AS repairable)
                       AND confirmed_at IS NOT NULL AND ignored_at IS NULL AND repaired_at IS NULL AND stopped_at IS NULL
                   LIMIT $5) AS open) AS open
         GROUP BY variant_id, version ORDER BY variant_id",
        catalog,
        list::ids(Class::REPAIRABLE),
        list::ids(by_itself.classes),
        by_itself.since,
        limit
    )
}

/// Returns the fields of these variants that Meta shows and we did not send, as pairs of variant and field.
///
/// # Errors
/// When the database query fails.
pub async fn unsent(tx: &mut Tx, catalog: &str, variants: &[&str]) -> Result<Vec<(String, String)>> {
    let rows: Vec<(String, String)> = fetch_all!(
        tx,
        (String, String),
        "SELECT variant_id, details FROM drift_finding
         WHERE catalog_id = $1 AND variant_id IN (SELECT id FROM @ids($2) AS due)
             AND class IN (SELECT id FROM @ids($3) AS repairable)",
        catalog,
        list::ids(variants),
        list::ids(Class::REPAIRABLE)
    )?;
    let unsent = rows.into_iter().flat_map(|(id, details)| {
        let details: Vec<Difference> = serde_json::from_str(&details).unwrap_or_default();
        details
            .into_iter()
            .filter(|one| one.ours.is_none() && one.meta.is_some())
            .map(move |one| (id.clone(), one.field))
    });
    Ok(unsent.collect())
}

/// Counts what would be repaired without an operator, up to `limit`.
///
/// # Errors
/// When the database query fails.
pub async fn count_by_itself(tx: &mut Tx, catalog: &str, by_itself: ByItself<'_>, limit: i64) -> Result<i64> {
    let (count,): (i64,) = fetch_one!(
        tx,
        (i64,),
        "SELECT COUNT(*) FROM (
             SELECT 1 FROM drift_finding
             WHERE catalog_id = $1 AND class IN (SELECT id FROM @ids($2) AS by_itself) AND sweep >= $3
                 AND confirmed_at IS NOT NULL AND ignored_at IS NULL AND repaired_at IS NULL AND stopped_at IS NULL
             LIMIT $4) AS waiting",
        catalog,
        list::ids(by_itself.classes),
        by_itself.since,
        limit
    )?;
    Ok(count)
}

/// Counts the repairs since a time.
///
/// # Errors
/// When the database query fails.
pub async fn count_since(tx: &mut Tx, since: Millis) -> Result<i64> {
    let (count,): (i64,) = fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM drift_repair WHERE at > $1", since)?;
    Ok(count)
}

/// Returns which of these variants were repaired so often that something else must write them.
///
/// # Errors
/// When the database query fails.
pub async fn flapping(tx: &mut Tx, variants: &[&str], now: Millis) -> Result<Vec<String>> {
    let rows: Vec<(String,)> = fetch_all!(
        tx,
        (String,),
        "SELECT variant_id FROM drift_repair WHERE variant_id IN (SELECT id FROM @ids($1) AS asked) AND at > $2
         GROUP BY variant_id HAVING COUNT(*) >= $3",
        list::ids(variants),
        now - FLAP_SPAN_MS,
        FLAP_AFTER
    )?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Stops the repair of what comes back after each one.
///
/// # Errors
/// When the database query fails.
pub async fn stop(tx: &mut Tx, catalog: &str, variants: &[&str], now: Millis) -> Result<u64> {
    execute!(
        tx,
        "UPDATE drift_finding SET stopped_at = $3
         WHERE catalog_id = $1 AND variant_id IN (SELECT id FROM @ids($2) AS flapping) AND stopped_at IS NULL",
        catalog,
        list::ids(variants),
        now
    )
}

/// Has these variants looked at again: what was seen of them is no longer the case.
///
/// # Errors
/// When the database query fails.
pub async fn look_again(tx: &mut Tx, catalog: &str, variants: &[&str], at: Millis) -> Result<u64> {
    execute!(
        tx,
        "UPDATE drift_finding SET look_at = $3, confirmed_at = NULL, asked_at = NULL
         WHERE catalog_id = $1 AND variant_id IN (SELECT id FROM @ids($2) AS changed)",
        catalog,
        list::ids(variants),
        at
    )
}

/// Repairs these variants: the claim is dropped, an intent asks the drain to send each of them again, and a look follows.
///
/// # Errors
/// When the database query fails.
pub async fn repair(tx: &mut Tx, catalog: &str, variants: &[String], look_at: Millis, now: Millis) -> Result<()> {
    sync_state::forget_hashes(tx, variants).await?;
    outbox::append(tx, variants, Intent::Upsert, Origin::Drift, now).await?;
    execute!(
        tx,
        "INSERT INTO drift_repair (variant_id, at) SELECT id, CAST($2 AS BIGINT) FROM @ids($1) AS repaired
         WHERE true ON CONFLICT DO NOTHING",
        list::ids(variants),
        now
    )?;
    execute!(
        tx,
        "UPDATE drift_finding SET repaired_at = $3, look_at = $4
         WHERE catalog_id = $1 AND variant_id IN (SELECT id FROM @ids($2) AS repaired) AND ignored_at IS NULL",
        catalog,
        list::ids(variants),
        now,
        look_at
    )?;
    execute!(tx, "DELETE FROM drift_repair WHERE at <= $1", now - FLAP_SPAN_MS)?;
    Ok(())
}
