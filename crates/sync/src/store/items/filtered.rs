//! Pages of what a search or a filter selects.
//!
//! The narrowest part of the filter gives the candidates, from an index of its own. The rest is asked of each candidate.
//! Nothing but the page is joined with its columns.

use super::lead::Lead;
use super::unfiltered::joined;
use super::{Filter, ItemRow, Stretch};
use crate::store::{Result, Tx, fetch_all, fetch_one, list};

// `$9` limit, `$10` offset, `$11` what the candidates are looked up by, `$12` whether there are variants that only the
// state knows.
macro_rules! paged {
    ($matching:expr) => {
        concat!(
            "WITH RECURSIVE matching AS MATERIALIZED (",
            $matching,
            ")
             SELECT counted.total, page.variant_id
             FROM (SELECT COUNT(*) AS total FROM matching) AS counted
             LEFT JOIN (SELECT variant_id, last_pushed_at FROM matching
                        ORDER BY last_pushed_at DESC @pg{NULLS LAST}, variant_id LIMIT $9 OFFSET $10) AS page ON TRUE
             ORDER BY page.last_pushed_at DESC @pg{NULLS LAST}, page.variant_id"
        )
    };
}

// What is asked of a candidate `c` with its state `s`. `$1` status, `$2` search, `$3` eligible only, `$4` warning, `$5`
// cause, `$6` held, `$7` parked, `$8` excluded, `$13` to `$18` whether vendor, brand and category are asked, and which.
// NULL or false disables a part. A scalar subquery with LIMIT leaves PostgreSQL no choice but to look the candidate up.
macro_rules! one_of {
    ($column:literal, $ids:literal) => {
        concat!(
            "COALESCE((SELECT g.",
            $column,
            " IN (SELECT id FROM @ids(",
            $ids,
            ") AS named) FROM variant_index g WHERE g.variant_id = c.variant_id LIMIT 1), FALSE)"
        )
    };
}
pub(super) use one_of;

macro_rules! conditions {
    () => {
        concat!(
            "(CAST($1 AS TEXT) IS NULL OR COALESCE(s.status, 'never_synced') = $1)
               AND (CAST($5 AS TEXT) IS NULL OR s.cause = $5)
               AND (CAST($8 AS BOOLEAN) IS NULL OR COALESCE(s.excluded, FALSE) = $8)
               AND (CAST($4 AS TEXT) IS NULL OR @pg{strpos}@sqlite{instr}(',' || s.warnings || ',', ',' || $4 || ',') > 0
                    OR @pg{strpos}@sqlite{instr}(',' || s.lint || ',', ',' || $4 || ',') > 0)
               AND (NOT $6 OR COALESCE((
                   SELECT TRUE FROM meta_outbox o WHERE o.variant_id = c.variant_id AND o.processed_at IS NULL
                       AND o.held_at IS NOT NULL LIMIT 1), FALSE))
               AND (NOT $7 OR COALESCE((
                   SELECT TRUE FROM meta_outbox o WHERE o.variant_id = c.variant_id AND o.processed_at IS NULL
                       AND o.parked_at IS NOT NULL LIMIT 1), FALSE))
               AND (NOT $3 OR ",
            super::unfiltered::eligible!("c.variant_id"),
            ")
               AND (CAST($2 AS TEXT) IS NULL OR COALESCE((
                   SELECT ",
            contains!("COALESCE(i.product_search_key, '')", "$2"),
            " OR ",
            contains!("COALESCE(i.variant_search_key, '')", "$2"),
            " FROM variant_index i WHERE i.variant_id = c.variant_id LIMIT 1), ",
            contains!("lower(c.variant_id)", "$2"),
            "))
               AND (NOT $13 OR ",
            one_of!("vendor_id", "$14"),
            ") AND (NOT $15 OR ",
            one_of!("brand_id", "$16"),
            ") AND (NOT $17 OR ",
            one_of!("category_id", "$18"),
            ")
               AND (s.variant_id IS NOT NULL
                    OR COALESCE((SELECT TRUE FROM variant_index i WHERE i.variant_id = c.variant_id LIMIT 1), FALSE))"
        )
    };
}

pub(super) use conditions;

/// Asks with [`conditions`]: binds `$1` to `$8` and `$13` to `$18` from a filter, and `$9` to `$12` as given.
macro_rules! ask {
    ($tx:expr, $row:ty, $sql:expr, $filter:expr, $nine:expr, $ten:expr, $eleven:expr, $twelve:expr) => {
        fetch_all!(
            $tx,
            $row,
            $sql,
            $filter.status,
            &$filter.contains,
            $filter.eligible_only,
            &$filter.warning,
            &$filter.cause,
            $filter.held,
            $filter.parked,
            $filter.excluded,
            $nine,
            $ten,
            $eleven,
            $twelve,
            $filter.vendors.is_some(),
            list::ids($filter.vendors.as_deref().unwrap_or_default()),
            $filter.brands.is_some(),
            list::ids($filter.brands.as_deref().unwrap_or_default()),
            $filter.categories.is_some(),
            list::ids($filter.categories.as_deref().unwrap_or_default())
        )
    };
}

pub(super) use ask;

macro_rules! asked {
    ($state:literal, $size:literal) => {
        concat!(
            "SELECT c.variant_id, s.last_pushed_at FROM candidates AS c
             LEFT JOIN ",
            $state,
            " s ON s.variant_id = c.variant_id
             WHERE (SELECT COUNT(*) FROM candidates) ",
            $size,
            " AND ",
            conditions!()
        )
    };
}

// Without statistics PostgreSQL would read all states for few candidates; for many that is the fastest.
macro_rules! narrowed {
    ($candidates:expr) => {
        paged!(concat!(
            "WITH candidates AS MATERIALIZED (SELECT variant_id FROM (",
            $candidates,
            ") AS found) ",
            asked!(
                "@pg{LATERAL (SELECT * FROM meta_sync_state WHERE variant_id = c.variant_id LIMIT 1)}
                 @sqlite{meta_sync_state}",
                "<= 50000"
            ),
            " UNION ALL ",
            asked!("meta_sync_state", "> 50000")
        ))
    };
}

macro_rules! contains {
    ($text:literal, $needle:literal) => {
        concat!("@pg{strpos}@sqlite{instr}(", $text, ", ", $needle, ") > 0")
    };
}

pub(super) use contains;

macro_rules! open_intents {
    ($column:literal) => {
        concat!("SELECT DISTINCT variant_id FROM meta_outbox WHERE processed_at IS NULL AND ", $column, " IS NOT NULL")
    };
}

macro_rules! state {
    ($condition:literal) => {
        concat!("SELECT variant_id, last_pushed_at FROM meta_sync_state WHERE ", $condition)
    };
}

// The different texts of the column are few: each is found with one look at the index, and so are its variants.
macro_rules! texts {
    ($column:literal, $texts:literal) => {
        concat!(
            $texts,
            " (text) AS (
                 SELECT MIN(",
            $column,
            ") FROM meta_sync_state WHERE ",
            $column,
            " IS NOT NULL
                 UNION ALL
                 SELECT (SELECT MIN(",
            $column,
            ") FROM meta_sync_state WHERE ",
            $column,
            " > ",
            $texts,
            ".text)
                 FROM ",
            $texts,
            " WHERE ",
            $texts,
            ".text IS NOT NULL)"
        )
    };
}

pub(super) use texts;

macro_rules! warned {
    () => {
        concat!(
            "SELECT variant_id, last_pushed_at FROM (WITH RECURSIVE ",
            texts!("warnings", "warned"),
            ", ",
            texts!("lint", "found"),
            " SELECT s.variant_id, s.last_pushed_at FROM warned CROSS JOIN
                  @pg{LATERAL (SELECT variant_id, last_pushed_at, warnings FROM meta_sync_state
                      WHERE warnings = warned.text OFFSET 0)}
                  @sqlite{meta_sync_state} s
              WHERE s.warnings = warned.text AND ",
            contains!("',' || warned.text || ','", "',' || $11 || ','"),
            " UNION ALL
              SELECT s.variant_id, s.last_pushed_at FROM found CROSS JOIN
                  @pg{LATERAL (SELECT variant_id, last_pushed_at, warnings, lint FROM meta_sync_state
                      WHERE lint = found.text OFFSET 0)}
                  @sqlite{meta_sync_state} s
              WHERE s.lint = found.text AND ",
            contains!("',' || found.text || ','", "',' || $11 || ','"),
            " AND NOT COALESCE(",
            contains!("',' || s.warnings || ','", "',' || $11 || ','"),
            ", FALSE)) AS warned"
        )
    };
}

// Those that only the state knows have no key of their own.
macro_rules! searched {
    ($union:literal, $known:expr, $gone:expr) => {
        concat!(
            $known,
            " ",
            $union,
            " SELECT g.variant_id FROM meta_sync_state g WHERE $12 AND ",
            $gone,
            " AND NOT EXISTS (SELECT 1 FROM variant_index x WHERE x.variant_id = g.variant_id)"
        )
    };
}

// The tables behind the view, while the view is the service's own: both keys are found in indexes.
macro_rules! managed {
    ($union:literal, $product:literal, $variant:literal) => {
        concat!(
            "SELECT v.id AS variant_id FROM (SELECT id FROM product WHERE ",
            $product,
            ") AS p CROSS JOIN @pg{LATERAL (SELECT id FROM product_variant WHERE product_id = p.id OFFSET 0) AS v}
                 @sqlite{product_variant v ON v.product_id = p.id}
             ",
            $union,
            " SELECT v.id FROM (SELECT id, product_id FROM product_variant WHERE ",
            $variant,
            ") AS v CROSS JOIN @pg{LATERAL (SELECT 1 FROM product WHERE id = v.product_id LIMIT 1) AS p}
                 @sqlite{product p ON p.id = v.product_id}"
        )
    };
}

// `$11` what is searched for; for trigrams the pattern of it.
macro_rules! in_view {
    ($union:literal) => {
        searched!(
            $union,
            concat!(
                "SELECT variant_id FROM variant_index WHERE ",
                contains!("product_search_key", "$11"),
                " OR ",
                contains!("variant_search_key", "$11")
            ),
            contains!("lower(g.variant_id)", "$11")
        )
    };
}

macro_rules! in_keys {
    ($union:literal) => {
        searched!(
            $union,
            managed!(
                $union,
                "@pg{strpos(search_key, $11) > 0}
                 @sqlite{rowid IN (SELECT rowid FROM product WHERE instr(search_key, $11) > 0)}",
                "@pg{strpos(search_key, $11) > 0}
                 @sqlite{rowid IN (SELECT rowid FROM product_variant WHERE instr(search_key, $11) > 0)}"
            ),
            contains!("lower(g.variant_id)", "$11")
        )
    };
}

macro_rules! in_trigrams {
    ($union:literal) => {
        searched!(
            $union,
            managed!($union, "search_key LIKE $11 ESCAPE '!'", "search_key LIKE $11 ESCAPE '!'"),
            "lower(g.variant_id) LIKE $11 ESCAPE '!'"
        )
    };
}

/// Returns a page of variants, those sent last first, and the number of all. `some_are_gone`: whether the state may know
/// variants that the shop does not.
pub(super) async fn page(
    tx: &mut Tx,
    filter: &Filter,
    stretch: Stretch,
    some_are_gone: bool,
) -> Result<(Vec<ItemRow>, i64)> {
    let (lead, rest) = match Lead::of(filter) {
        // A state is asked of each variant.
        (Lead::Idle(_) | Lead::Submitted | Lead::New | Lead::Everything | Lead::ById, _) => {
            (Lead::Everything, filter.clone())
        }
        narrow => narrow,
    };
    let is_alone = rest == Filter::default();
    macro_rules! found {
        ($sql:expr, $by:expr) => {
            ask!(tx, (i64, Option<String>), $sql, rest, stretch.limit, stretch.offset, $by, some_are_gone)
        };
    }
    macro_rules! named {
        ($column:literal) => {
            narrowed!(concat!(
                "SELECT variant_id FROM variant_index WHERE ",
                $column,
                " IN (SELECT id FROM @ids($11) AS l)"
            ))
        };
    }
    let nothing: Option<&str> = None;
    let found: Vec<(i64, Option<String>)> = match lead {
        Lead::Ids(ids) => found!(narrowed!("SELECT id AS variant_id FROM @ids($11) AS listed"), list::ids(ids)),
        Lead::Idle(_) | Lead::Submitted | Lead::New | Lead::Everything | Lead::ById => found!(
            narrowed!("SELECT variant_id FROM variant_index UNION SELECT variant_id FROM meta_sync_state"),
            nothing
        ),
        Lead::Held => found!(narrowed!(open_intents!("held_at")), nothing),
        Lead::Parked => found!(narrowed!(open_intents!("parked_at")), nothing),
        Lead::Excluded => found!(narrowed!(state!("excluded")), nothing),
        Lead::Cause(cause) if is_alone => found!(paged!(state!("cause = $11")), cause),
        Lead::Cause(cause) => found!(narrowed!(state!("cause = $11")), cause),
        Lead::Vendors(ids) => found!(named!("vendor_id"), list::ids(ids)),
        Lead::Brands(ids) => found!(named!("brand_id"), list::ids(ids)),
        Lead::Categories(ids) => found!(named!("category_id"), list::ids(ids)),
        Lead::Warning(code) if is_alone => found!(paged!(warned!()), code),
        Lead::Warning(code) => found!(narrowed!(warned!()), code),
        Lead::Search(needle) => match search(tx, needle).await? {
            Search::View => found!(narrowed!(in_view!("UNION")), needle),
            Search::Keys => found!(narrowed!(in_keys!("UNION")), needle),
            Search::Trigrams => found!(narrowed!(in_trigrams!("UNION")), like_containing(needle)),
        },
    }?;
    let total = found.first().map_or(0, |(total, _)| *total);
    let ids: Vec<String> = found.into_iter().filter_map(|(_, id)| id).collect();
    let rows = fetch_all!(
        tx,
        ItemRow,
        joined!("SELECT id @pg{COLLATE \"C\"} AS variant_id FROM @ids($1) AS asked"),
        list::ids(&ids)
    )?;
    Ok((rows, total))
}

/// Returns variants that contain the needle, in no order and some of them twice: at most `most`, so that a search that
/// finds nearly everything ends at once. The parameters have the numbers that they have in a page.
pub(super) async fn some(tx: &mut Tx, needle: &str, some_are_gone: bool, most: i64) -> Result<Vec<String>> {
    macro_rules! found {
        ($found:expr, $by:expr) => {
            fetch_all!(
                tx,
                (String,),
                concat!("SELECT variant_id FROM (", $found, ") AS found LIMIT $9"),
                0_i64,
                0_i64,
                0_i64,
                0_i64,
                0_i64,
                0_i64,
                0_i64,
                0_i64,
                most,
                0_i64,
                $by,
                some_are_gone
            )
        };
    }
    let found: Vec<(String,)> = match search(tx, needle).await? {
        Search::View => found!(in_view!("UNION ALL"), needle),
        Search::Keys => found!(in_keys!("UNION ALL"), needle),
        Search::Trigrams => found!(in_trigrams!("UNION ALL"), like_containing(needle)),
    }?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// How a needle is looked for.
enum Search {
    /// In the view, which a shop put in the place of the service's own.
    View,
    /// In all keys of the tables.
    Keys,
    /// In an index of trigrams.
    Trigrams,
}

async fn search(tx: &mut Tx, needle: &str) -> Result<Search> {
    let (is_managed, is_postgres): (bool, bool) = fetch_one!(
        tx,
        (bool, bool),
        "SELECT @pg{pg_get_viewdef('variant_index'::regclass) = pg_get_viewdef('managed_variant_index'::regclass), TRUE}
             @sqlite{(SELECT sql FROM sqlite_schema WHERE name = 'variant_index')
                 = (SELECT replace(sql, 'managed_variant_index', 'variant_index') FROM sqlite_schema
                    WHERE name = 'managed_variant_index'), FALSE}"
    )?;
    Ok(match is_managed {
        false => Search::View,
        true if is_postgres && needle.chars().count() >= 3 => Search::Trigrams,
        true => Search::Keys,
    })
}

/// Returns a LIKE pattern, escaped with `!`, that matches any text that contains exactly this one.
fn like_containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_needle_is_a_wildcard() {
        assert_eq!(like_containing("50%_off!"), "%50!%!_off!!%");
        assert_eq!(like_containing("a\\b"), "%a\\b%");
    }
}
