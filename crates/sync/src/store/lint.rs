//! The lint pass: compares the traits of all variants, and keeps the codes of what it finds with the state.
//!
//! One statement finds what is new; it only reads. The codes are written in small transactions that wait for no row, so
//! neither an intake nor the drain waits for a pass.

use super::{Result, Tx, execute, fetch_all, list};
use crate::clock::Millis;
use crate::domain::lint::{Finding, MAX_GROUP_SIZE};

/// A variant with the codes that it ought to have, sorted, separated by commas; `None` for none.
pub type Linted = (String, Option<String>);

/// Returns up to `limit` variants whose codes differ from what a comparison finds now. `tx` comes from
/// [`super::Db::read_apart`].
///
/// # Errors
/// When the database query fails.
pub async fn changed(tx: &mut Tx, limit: i64) -> Result<Vec<Linted>> {
    // The statistics are from before the traits, or there are none: the planner then compares each variant with each other.
    execute!(tx, "@pg{SET LOCAL enable_nestloop = off}@sqlite{SELECT 1}")?;
    // Only what is wrong is joined: the small sides fit into memory. `given` counts each attribute (`Traits::ATTRIBUTES`)
    // in a group; what at least half of the group has, and not all, is expected of the others.
    fetch_all!(
        tx,
        Linted,
        "WITH item AS MATERIALIZED (
             SELECT variant_id, lint, COALESCE(traits ->> 0, product_id, variant_id) AS grp,
                 CAST(traits ->> 1 AS BIGINT) AS looks, traits ->> 2 AS gtin, CAST(traits ->> 3 AS BIGINT) AS link,
                 traits ->> 4 AS currency
             FROM meta_sync_state WHERE traits IS NOT NULL
         ), given AS (
             SELECT grp, COUNT(*) AS n, SUM(looks & 1) AS a, SUM((looks >> 1) & 1) AS b, SUM((looks >> 2) & 1) AS c,
                 SUM((looks >> 3) & 1) AS d
             FROM item GROUP BY grp HAVING COUNT(*) > 1
         ), expected AS (
             SELECT grp, n,
                 CASE WHEN a < n AND 2 * a >= n THEN 1 ELSE 0 END + CASE WHEN b < n AND 2 * b >= n THEN 2 ELSE 0 END
                 + CASE WHEN c < n AND 2 * c >= n THEN 4 ELSE 0 END + CASE WHEN d < n AND 2 * d >= n THEN 8 ELSE 0 END
                     AS attributes
             FROM given
         ), odd AS (
             SELECT grp, n, attributes FROM expected WHERE n > $2 OR attributes > 0
         ), alike AS (
             SELECT grp, looks FROM item GROUP BY grp, looks HAVING COUNT(*) > 1
         ), same_gtin AS (
             SELECT gtin FROM item WHERE gtin IS NOT NULL GROUP BY gtin HAVING COUNT(*) > 1
         ), same_link AS (
             SELECT link FROM item WHERE link IS NOT NULL GROUP BY link HAVING MIN(grp) <> MAX(grp)
         ), main AS (
             SELECT currency FROM item WHERE currency IS NOT NULL GROUP BY currency
             ORDER BY COUNT(*) DESC, currency LIMIT 1
         ), found AS (
             SELECT i.variant_id, i.lint, NULLIF(substr(
                 CASE WHEN o.n > $2 THEN ',group_too_large' ELSE '' END
                 || CASE WHEN a.looks IS NOT NULL THEN ',indistinguishable_variants' ELSE '' END
                 || CASE WHEN (o.attributes & ~i.looks) > 0 THEN ',missing_variant_attribute' ELSE '' END
                 || CASE WHEN i.currency <> (SELECT currency FROM main) THEN ',mixed_currencies' ELSE '' END
                 || CASE WHEN g.gtin IS NOT NULL THEN ',same_gtin' ELSE '' END
                 || CASE WHEN l.link IS NOT NULL THEN ',same_link' ELSE '' END, 2), '') AS codes
             FROM item i
             LEFT JOIN odd o ON o.grp = i.grp
             LEFT JOIN alike a ON a.grp = i.grp AND a.looks = i.looks
             LEFT JOIN same_gtin g ON g.gtin = i.gtin
             LEFT JOIN same_link l ON l.link = i.link
         )
         SELECT variant_id, codes FROM found WHERE codes IS DISTINCT FROM lint LIMIT $1",
        limit,
        MAX_GROUP_SIZE
    )
}

/// Writes the codes of these variants. A row that another transaction holds is left to the next pass, and so is one
/// whose traits are gone.
///
/// # Errors
/// When the database query fails.
pub async fn write(tx: &mut Tx, linted: &[Linted], now: Millis) -> Result<u64> {
    execute!(
        tx,
        "UPDATE meta_sync_state SET lint = r.codes, issue_at = COALESCE(issue_at, CAST($2 AS BIGINT))
         FROM @rows($1: id text, codes text) AS r
         WHERE variant_id = r.id AND variant_id IN (
             SELECT s.variant_id FROM meta_sync_state s
             WHERE s.variant_id IN (SELECT id FROM @rows($1: id text, codes text) AS listed) AND s.traits IS NOT NULL
             @pg{FOR UPDATE SKIP LOCKED})",
        list::rows(linted),
        now
    )
}

/// Returns up to three other variants with the same value, for the findings that are about one.
///
/// # Errors
/// When the database query fails.
pub async fn others(tx: &mut Tx, variant_id: &str, finding: Finding) -> Result<Vec<String>> {
    let pattern = format!("%{}%", finding.code());
    let ids: Vec<(String,)> = match finding {
        Finding::IndistinguishableVariants => fetch_all!(
            tx,
            (String,),
            "SELECT o.variant_id FROM meta_sync_state s
             JOIN meta_sync_state o ON o.traits ->> 1 = s.traits ->> 1
                 AND COALESCE(o.traits ->> 0, o.product_id) = COALESCE(s.traits ->> 0, s.product_id)
             WHERE s.variant_id = $1 AND o.variant_id <> $1 AND o.lint LIKE $2 ORDER BY 1 LIMIT 3",
            variant_id,
            &pattern
        )?,
        Finding::SameGtin => fetch_all!(
            tx,
            (String,),
            "SELECT o.variant_id FROM meta_sync_state s JOIN meta_sync_state o ON o.traits ->> 2 = s.traits ->> 2
             WHERE s.variant_id = $1 AND o.variant_id <> $1 AND o.lint LIKE $2 ORDER BY 1 LIMIT 3",
            variant_id,
            &pattern
        )?,
        Finding::SameLink => fetch_all!(
            tx,
            (String,),
            "SELECT o.variant_id FROM meta_sync_state s JOIN meta_sync_state o ON o.traits ->> 3 = s.traits ->> 3
                 AND COALESCE(o.traits ->> 0, o.product_id, o.variant_id)
                     <> COALESCE(s.traits ->> 0, s.product_id, s.variant_id)
             WHERE s.variant_id = $1 AND o.variant_id <> $1 AND o.lint LIKE $2 ORDER BY 1 LIMIT 3",
            variant_id,
            &pattern
        )?,
        Finding::GroupTooLarge | Finding::MissingVariantAttribute | Finding::MixedCurrencies => Vec::new(),
    };
    Ok(ids.into_iter().map(|(id,)| id).collect())
}
