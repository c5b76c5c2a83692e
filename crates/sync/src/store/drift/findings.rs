//! What the looks found, by variant and class.
//!
//! Promises: a finding is confirmed only by a look a grace after the first one, with the state unchanged in between. It
//! goes with the look that no longer sees it.

use crate::clock::Millis;
use crate::domain::drift::{Class, Difference, Findings};
use crate::store::{Result, StoreError, Tx, execute, fetch_all, list};

/// What a look saw of a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The variant.
    pub variant_id: String,
    /// The version of its state at the look.
    pub version: i64,
    /// What is wrong with it. Empty when nothing is.
    pub findings: Findings,
}

/// When a look was, and what it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The catalog.
    pub catalog: &'a str,
    /// The latest sweep.
    pub sweep: i64,
    /// Whether it is a second look, which belongs to the sweep of the first one.
    pub is_second: bool,
    /// When the look was.
    pub now: Millis,
    /// The least time between two looks of which the second one confirms.
    pub grace: Millis,
}

/// Records what a look saw: new findings, confirmed ones, and the end of those that are no longer there.
///
/// # Errors
/// When the database query fails.
pub async fn record(tx: &mut Tx, look: Look<'_>, seen: &[Seen]) -> Result<()> {
    let ids: Vec<&str> = seen.iter().map(|one| one.variant_id.as_str()).collect();
    let mut rows = Vec::new();
    for one in seen {
        for (class, details) in &one.findings {
            // A list of texts always has a JSON form.
            let details = serde_json::to_string(details).unwrap_or_default();
            rows.push((one.variant_id.as_str(), class.as_str(), one.version, details));
        }
    }
    execute!(
        tx,
        "DELETE FROM drift_finding WHERE catalog_id = $1 AND variant_id IN (SELECT id FROM @ids($2) AS looked)
             AND NOT EXISTS (SELECT 1 FROM @rows($3: id text, class text) AS r
                 WHERE r.id = drift_finding.variant_id AND r.class = drift_finding.class)",
        look.catalog,
        list::ids(&ids),
        list::rows(&rows.iter().map(|(id, class, ..)| (*id, *class)).collect::<Vec<_>>())
    )?;
    if rows.is_empty() {
        return Ok(());
    }
    execute!(
        tx,
        "INSERT INTO drift_finding AS f (catalog_id, variant_id, class, sweep, version, details, first_seen_at,
             last_seen_at, look_at)
         SELECT $2, r.id, r.class, CAST($3 AS BIGINT), r.version, r.details, CAST($4 AS BIGINT), CAST($4 AS BIGINT),
             CAST($4 AS BIGINT) + $5
         FROM @rows($1: id text, class text, version bigint, details text) AS r WHERE true ORDER BY r.id, r.class
         ON CONFLICT (catalog_id, variant_id, class) DO UPDATE SET
             sweep = CASE WHEN $6 AND f.version = excluded.version THEN f.sweep ELSE excluded.sweep END,
             version = excluded.version, details = excluded.details,
             last_seen_at = excluded.last_seen_at,
             -- Something was sent meanwhile, so this look is the first one.
             first_seen_at = CASE WHEN f.version = excluded.version THEN f.first_seen_at ELSE excluded.first_seen_at END,
             confirmed_at = CASE WHEN f.version <> excluded.version THEN NULL
                                 WHEN f.confirmed_at IS NOT NULL THEN f.confirmed_at
                                 WHEN f.first_seen_at <= excluded.last_seen_at - $5 THEN excluded.last_seen_at END,
             look_at = CASE WHEN f.version <> excluded.version THEN excluded.look_at
                            WHEN f.confirmed_at IS NULL AND f.first_seen_at > excluded.last_seen_at - $5
                                THEN f.first_seen_at + $5 END,
             asked_at = CASE WHEN f.version = excluded.version THEN f.asked_at END,
             repaired_at = CASE WHEN f.version = excluded.version THEN f.repaired_at END",
        list::rows(&rows),
        look.catalog,
        look.sweep,
        look.now,
        look.grace,
        look.is_second
    )?;
    Ok(())
}

/// Returns some variants that a second look is due of, the one that waits longest first.
///
/// # Errors
/// When the database query fails.
pub async fn due(tx: &mut Tx, catalog: &str, now: Millis, limit: i64) -> Result<Vec<String>> {
    let rows: Vec<(String,)> = fetch_all!(
        tx,
        (String,),
        "SELECT variant_id FROM drift_finding WHERE catalog_id = $1 AND look_at <= $2
         ORDER BY catalog_id, look_at, variant_id LIMIT $3",
        catalog,
        now,
        limit
    )?;
    let mut due: Vec<String> = rows.into_iter().map(|(id,)| id).collect();
    due.sort_unstable();
    due.dedup();
    Ok(due)
}

/// Puts the second look of these variants off, when it was due.
///
/// # Errors
/// When the database query fails.
pub async fn put_off(tx: &mut Tx, look: Look<'_>, variants: &[&str]) -> Result<()> {
    if !variants.is_empty() {
        execute!(
            tx,
            "UPDATE drift_finding SET look_at = CAST($3 AS BIGINT) + $4
             WHERE catalog_id = $1 AND look_at <= $3 AND variant_id IN (SELECT id FROM @ids($2) AS moving)",
            look.catalog,
            list::ids(variants),
            look.now,
            look.grace
        )?;
    }
    Ok(())
}

/// Forgets what was found of variants that we claim nothing of any more: up to `limit` findings. The next sweep forgets more.
///
/// # Errors
/// When the database query fails.
pub async fn forget_unclaimed(tx: &mut Tx, catalog: &str, limit: i64) -> Result<u64> {
    execute!(
        tx,
        "DELETE FROM drift_finding WHERE (catalog_id, variant_id, class) IN (
             SELECT f.catalog_id, f.variant_id, f.class FROM drift_finding f
             WHERE f.catalog_id = $1 AND COALESCE((
                 SELECT s.at_meta AND s.catalog_id = f.catalog_id AND s.status IN ('synced', 'submitted')
                 FROM meta_sync_state s WHERE s.variant_id = f.variant_id LIMIT 1), FALSE) = FALSE
             LIMIT $2)",
        catalog,
        limit
    )
}

/// How many findings a class has.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Count {
    /// The class.
    pub class: String,
    /// Seen once.
    pub suspected: i64,
    /// Seen twice, and neither ignored nor repaired.
    pub confirmed: i64,
    /// An operator ignores them.
    pub ignored: i64,
    /// Repaired, and not looked at since.
    pub repaired: i64,
    /// Repaired too often: another writer.
    pub flapping: i64,
}

/// Counts the findings of each class that has any.
///
/// # Errors
/// When the database query fails.
pub async fn counts(tx: &mut Tx, catalog: &str) -> Result<Vec<Count>> {
    fetch_all!(
        tx,
        Count,
        "SELECT class,
             COUNT(CASE WHEN ignored_at IS NULL AND repaired_at IS NULL AND confirmed_at IS NULL THEN 1 END) AS suspected,
             COUNT(CASE WHEN ignored_at IS NULL AND repaired_at IS NULL AND confirmed_at IS NOT NULL
                             AND stopped_at IS NULL THEN 1 END) AS confirmed,
             COUNT(ignored_at) AS ignored,
             COUNT(CASE WHEN ignored_at IS NULL THEN repaired_at END) AS repaired,
             COUNT(CASE WHEN ignored_at IS NULL AND repaired_at IS NULL AND confirmed_at IS NOT NULL
                        THEN stopped_at END) AS flapping
         FROM drift_finding WHERE catalog_id = $1 GROUP BY class ORDER BY class",
        catalog
    )
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The variant.
    pub variant_id: String,
    /// The class.
    pub class: Class,
    /// What differs.
    pub details: Vec<Difference>,
    /// When it was seen first.
    pub first_seen_at: Millis,
    /// When it was seen last.
    pub last_seen_at: Millis,
    /// When a second look confirmed it.
    pub confirmed_at: Option<Millis>,
    /// When an operator ignored it.
    pub ignored_at: Option<Millis>,
    /// When an operator asked for its repair.
    pub asked_at: Option<Millis>,
    /// When it was repaired.
    pub repaired_at: Option<Millis>,
    /// When it was found to come back after each repair.
    pub stopped_at: Option<Millis>,
}

#[derive(sqlx::FromRow)]
struct Row {
    variant_id: String,
    class: String,
    details: String,
    first_seen_at: i64,
    last_seen_at: i64,
    confirmed_at: Option<i64>,
    ignored_at: Option<i64>,
    asked_at: Option<i64>,
    repaired_at: Option<i64>,
    stopped_at: Option<i64>,
}

impl TryFrom<Row> for Finding {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let corrupt = |found| StoreError::Corrupt { table: "drift_finding", column: "class", found };
        Ok(Self {
            class: row.class.parse().map_err(corrupt)?,
            details: serde_json::from_str(&row.details).unwrap_or_default(),
            variant_id: row.variant_id,
            first_seen_at: row.first_seen_at,
            last_seen_at: row.last_seen_at,
            confirmed_at: row.confirmed_at,
            ignored_at: row.ignored_at,
            asked_at: row.asked_at,
            repaired_at: row.repaired_at,
            stopped_at: row.stopped_at,
        })
    }
}

/// Returns the findings of a class behind a variant, in the order of their variants.
///
/// # Errors
/// When the database query fails, or the database holds a word that this version does not know.
pub async fn of_class(tx: &mut Tx, catalog: &str, class: Class, after: &str, limit: i64) -> Result<Vec<Finding>> {
    let rows: Vec<Row> = fetch_all!(
        tx,
        Row,
        "SELECT variant_id, class, details, first_seen_at, last_seen_at, confirmed_at, ignored_at, asked_at,
             repaired_at, stopped_at
         FROM drift_finding WHERE catalog_id = $1 AND class = $2 AND variant_id > $3
         ORDER BY catalog_id, class, variant_id LIMIT $4",
        catalog,
        class.as_str(),
        after,
        limit
    )?;
    rows.into_iter().map(Finding::try_from).collect()
}

/// Which findings an operator means.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// Their catalog.
    pub catalog: &'a str,
    /// Their classes.
    pub classes: &'a [Class],
    /// Their variants. `None` means all.
    pub variants: Option<&'a [String]>,
}

/// Marks findings as ignored, or not ignored any more. Returns the number of findings.
///
/// # Errors
/// When the database query fails.
pub async fn ignore(tx: &mut Tx, chosen: Chosen<'_>, is_ignored: bool, now: Millis) -> Result<u64> {
    let classes: Vec<&str> = chosen.classes.iter().map(|class| class.as_str()).collect();
    execute!(
        tx,
        "UPDATE drift_finding SET ignored_at = CASE WHEN $5 THEN CAST($6 AS BIGINT) END
         WHERE catalog_id = $1 AND class IN (SELECT id FROM @ids($2) AS classes)
             AND ($3 OR variant_id IN (SELECT id FROM @ids($4) AS variants)) AND (ignored_at IS NULL) = $5",
        chosen.catalog,
        list::ids(&classes),
        chosen.variants.is_none(),
        list::ids(chosen.variants.unwrap_or_default()),
        is_ignored,
        now
    )
}
