//! Where the candidates of a walk come from: one index for each lead of a filter.

use std::collections::BTreeSet;

use super::segment::{FIRST, LAST, segments};
use super::{From, Known, Order, Position, Segment};
use crate::store::items::filtered::{self, contains, texts};
use crate::store::items::lead::Lead;
use crate::store::{Result, Tx, fetch_all, list};

/// More hits than this, and a search is walked along the variants instead of collected.
const FEW: usize = 5_000;

impl Lead<'_> {
    pub(super) fn order(&self) -> Order {
        match self {
            Lead::Ids(_)
            | Lead::Held
            | Lead::Parked
            | Lead::Excluded
            | Lead::Search(_)
            | Lead::Vendors(_)
            | Lead::Brands(_)
            | Lead::Categories(_)
            | Lead::New
            | Lead::ById => Order::Id,
            Lead::Cause(_) | Lead::Warning(_) => Order::Found,
            Lead::Idle(_) => Order::Changed,
            Lead::Submitted | Lead::Everything => Order::Sent,
        }
    }

    /// Prepares the candidates. What costs a scan is done here, once for a step.
    pub(super) async fn candidates<'l>(&'l self, tx: &mut Tx, known: Known) -> Result<Candidates<'l>> {
        let mut candidates = Candidates { lead: self, known, few: None, texts: Vec::new() };
        match self {
            Lead::Ids(ids) => candidates.few = Some(ids.iter().cloned().collect()),
            // Looking for one would read every variant.
            Lead::New if !known.some_are_new => candidates.few = Some(BTreeSet::new()),
            Lead::Search(needle) => {
                // A hit may come twice: of its product and of its own.
                let most = 2 * FEW + 1;
                let limit = i64::try_from(most).unwrap_or(i64::MAX);
                let found = filtered::some(tx, needle, known.some_are_gone, limit).await?;
                candidates.few = (found.len() < most).then(|| found.into_iter().collect());
            }
            Lead::Warning(code) => candidates.texts = with_code(tx, code).await?,
            _ => {}
        }
        Ok(candidates)
    }
}

/// The columns that keep codes.
#[derive(Clone, Copy)]
enum Codes {
    Warnings,
    Lint,
}

/// Returns the stored texts that contain a code. There are few different ones.
async fn with_code(tx: &mut Tx, code: &str) -> Result<Vec<(Codes, String)>> {
    let texts: Vec<(bool, String)> = fetch_all!(
        tx,
        (bool, String),
        concat!(
            "WITH RECURSIVE ",
            texts!("warnings", "warned"),
            ", ",
            texts!("lint", "found"),
            " SELECT FALSE, text FROM warned WHERE ",
            contains!("',' || text || ','", "',' || $1 || ','"),
            " UNION ALL SELECT TRUE, text FROM found WHERE ",
            contains!("',' || text || ','", "',' || $1 || ','")
        ),
        code
    )?;
    let column = |is_lint| if is_lint { Codes::Lint } else { Codes::Warnings };
    Ok(texts.into_iter().map(|(is_lint, text)| (column(is_lint), text)).collect())
}

/// The candidates of one step.
pub(super) struct Candidates<'l> {
    lead: &'l Lead<'l>,
    known: Known,
    /// All of them, where they are few.
    few: Option<BTreeSet<String>>,
    /// See [`with_code`].
    texts: Vec<(Codes, String)>,
}

// A range of an index on a time and an id. `$1` time, `$2` id, `$3` limit, `$4` what the index begins with. The order
// names all columns of the index, so that both planners read along it.
macro_rules! ranged {
    ($tx:ident, $segment:ident, $is_back:expr, $limit:expr, $by:expr, $table:literal, $where:literal, $time:literal,
     $on:literal, $back:literal, [$forwards:literal, $backwards:literal]) => {{
        macro_rules! range {
            ($condition:expr, $order:literal, $at:expr, $id:expr) => {
                fetch_all!(
                    $tx,
                    (String, Option<i64>),
                    concat!(
                        "SELECT variant_id, ",
                        $time,
                        " FROM meta_sync_state ",
                        $table,
                        " WHERE ",
                        $where,
                        " AND ",
                        $condition,
                        " ORDER BY ",
                        $order,
                        " LIMIT $3"
                    ),
                    $at,
                    $id,
                    $limit,
                    $by
                )
            };
        }
        match ($segment, $is_back) {
            (Segment::At(at, id), false) => {
                range!(concat!($time, " = $1 AND variant_id ", $on, " $2"), $forwards, *at, id)
            }
            (Segment::At(at, id), true) => {
                range!(concat!($time, " = $1 AND variant_id ", $back, " $2"), $backwards, *at, id)
            }
            (Segment::Beyond(at), false) => range!(concat!($time, " < $1"), $forwards, *at, ""),
            (Segment::Beyond(at), true) => range!(concat!($time, " > $1"), $backwards, *at, ""),
            (Segment::Without(id), false) => {
                range!(concat!($time, " IS NULL AND variant_id ", $on, " $2"), $forwards, 0, id)
            }
            (Segment::Without(id), true) => {
                range!(concat!($time, " IS NULL AND variant_id ", $back, " $2"), $backwards, 0, id)
            }
        }
    }};
}

// Ids of a table, beyond `$2`. `$3` limit, `$4` what is looked for.
macro_rules! by_id {
    ($tx:ident, $is_back:expr, $id:expr, $limit:expr, $by:expr, $from:expr) => {{
        let rows: Result<Vec<(String,)>> = match $is_back {
            false => fetch_all!(
                $tx,
                (String,),
                concat!("SELECT DISTINCT variant_id FROM ", $from, " AND variant_id > $2 ORDER BY variant_id LIMIT $3"),
                0_i64,
                $id,
                $limit,
                $by
            ),
            true => fetch_all!(
                $tx,
                (String,),
                concat!(
                    "SELECT DISTINCT variant_id FROM ",
                    $from,
                    " AND variant_id < $2 ORDER BY variant_id DESC LIMIT $3"
                ),
                0_i64,
                $id,
                $limit,
                $by
            ),
        };
        rows.map(|rows| rows.into_iter().map(|(id,)| (id, None)).collect::<Vec<(String, Option<i64>)>>())
    }};
}

impl Candidates<'_> {
    /// Returns the next candidates, at most `limit`; fewer at the end.
    pub(super) async fn next(&mut self, tx: &mut Tx, from: From<'_>, limit: usize) -> Result<Vec<Position>> {
        let is_back = matches!(from, From::Before(_));
        let first_id = if self.lead.order() == Order::Found { LAST } else { FIRST };
        let mut found = Vec::new();
        for segment in segments(from, first_id) {
            if self.lead.order() == Order::Id && !matches!(segment, Segment::Without(_)) {
                continue;
            }
            let most = limit - found.len();
            found.extend(self.read(tx, &segment, is_back, most).await?);
            if found.len() >= limit {
                break;
            }
        }
        Ok(found)
    }

    async fn read(&self, tx: &mut Tx, segment: &Segment, is_back: bool, most: usize) -> Result<Vec<Position>> {
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let id = if let Segment::Without(id) = segment { id.as_str() } else { FIRST };
        let nothing: Option<&str> = None;
        if let Some(few) = &self.few {
            return Ok(of_few(few, id, is_back, most));
        }
        macro_rules! named {
            ($column:literal, $ids:expr) => {
                by_id!(
                    tx,
                    is_back,
                    id,
                    limit,
                    list::ids($ids),
                    concat!("variant_index WHERE ", $column, " IN (SELECT id FROM @ids($4) AS named)")
                )?
            };
        }
        let mut rows: Vec<(String, Option<i64>)> = match self.lead {
            Lead::Ids(_) => Vec::new(),
            Lead::Held => by_id!(
                tx,
                is_back,
                id,
                limit,
                nothing,
                "meta_outbox @sqlite{INDEXED BY meta_outbox_held} WHERE processed_at IS NULL AND held_at IS NOT NULL"
            )?,
            Lead::Parked => by_id!(
                tx,
                is_back,
                id,
                limit,
                nothing,
                "meta_outbox @sqlite{INDEXED BY meta_outbox_parked} WHERE processed_at IS NULL AND parked_at IS NOT NULL"
            )?,
            Lead::Excluded => by_id!(
                tx,
                is_back,
                id,
                limit,
                nothing,
                "meta_sync_state @sqlite{INDEXED BY meta_sync_state_excluded} WHERE excluded"
            )?,
            Lead::New => self.new_ones(tx, id, is_back, limit).await?,
            Lead::Vendors(ids) => named!("vendor_id", ids),
            Lead::Brands(ids) => named!("brand_id", ids),
            Lead::Categories(ids) => named!("category_id", ids),
            Lead::ById => {
                let mut rows = by_id!(tx, is_back, id, limit, nothing, "variant_index WHERE TRUE")?;
                if self.known.some_are_gone {
                    rows.extend(by_id!(
                        tx,
                        is_back,
                        id,
                        limit,
                        nothing,
                        "meta_sync_state g WHERE (SELECT TRUE FROM variant_index x WHERE x.variant_id = g.variant_id LIMIT 1)
                             IS NULL"
                    )?);
                }
                rows
            }
            Lead::Search(needle) => self.hits(tx, needle, id, is_back, limit).await?,
            Lead::Cause(cause) => ranged!(
                tx,
                segment,
                is_back,
                limit,
                *cause,
                "@sqlite{INDEXED BY meta_sync_state_cause}",
                "cause = $4",
                "issue_at",
                "<",
                ">",
                ["cause DESC, issue_at DESC, variant_id DESC", "cause, issue_at, variant_id"]
            )?,
            Lead::Idle(status) => ranged!(
                tx,
                segment,
                is_back,
                limit,
                *status,
                "@sqlite{INDEXED BY meta_sync_state_idle}",
                "idle = $4",
                "issue_at",
                ">",
                "<",
                ["idle, issue_at DESC, variant_id", "idle DESC, issue_at, variant_id DESC"]
            )?,
            Lead::Submitted => ranged!(
                tx,
                segment,
                is_back,
                limit,
                nothing,
                "",
                "@sqlite{+}status = 'submitted'
                 AND last_pushed_at IN (SELECT submitted_at FROM meta_batch_handles WHERE state = 'pending')",
                "last_pushed_at",
                ">",
                "<",
                ["last_pushed_at DESC @pg{NULLS LAST}, variant_id", "last_pushed_at @pg{NULLS FIRST}, variant_id DESC"]
            )?,
            Lead::Everything => {
                let mut rows = ranged!(
                    tx,
                    segment,
                    is_back,
                    limit,
                    nothing,
                    "@sqlite{INDEXED BY meta_sync_state_recent}",
                    "TRUE",
                    "last_pushed_at",
                    ">",
                    "<",
                    [
                        "last_pushed_at DESC @pg{NULLS LAST}, variant_id",
                        "last_pushed_at @pg{NULLS FIRST}, variant_id DESC"
                    ]
                )?;
                if self.known.some_are_new && matches!(segment, Segment::Without(_)) {
                    rows.extend(self.new_ones(tx, id, is_back, limit).await?);
                }
                rows
            }
            Lead::Warning(_) => {
                let mut rows = Vec::new();
                for (column, text) in &self.texts {
                    rows.extend(match column {
                        Codes::Warnings => ranged!(
                            tx,
                            segment,
                            is_back,
                            limit,
                            text.as_str(),
                            "@sqlite{INDEXED BY meta_sync_state_warnings}",
                            "warnings = $4",
                            "issue_at",
                            "<",
                            ">",
                            ["warnings DESC, issue_at DESC, variant_id DESC", "warnings, issue_at, variant_id"]
                        )?,
                        Codes::Lint => ranged!(
                            tx,
                            segment,
                            is_back,
                            limit,
                            text.as_str(),
                            "@sqlite{INDEXED BY meta_sync_state_lint}",
                            "lint = $4",
                            "issue_at",
                            "<",
                            ">",
                            ["lint DESC, issue_at DESC, variant_id DESC", "lint, issue_at, variant_id"]
                        )?,
                    });
                }
                rows
            }
        };
        in_order(&mut rows, self.lead.order(), is_back);
        rows.truncate(most);
        Ok(rows.into_iter().map(|(id, at)| Position { at, id }).collect())
    }

    /// Variants without a state.
    async fn new_ones(&self, tx: &mut Tx, id: &str, is_back: bool, limit: i64) -> Result<Vec<(String, Option<i64>)>> {
        let nothing: Option<&str> = None;
        by_id!(
            tx,
            is_back,
            id,
            limit,
            nothing,
            "variant_index v
             WHERE (SELECT TRUE FROM meta_sync_state n WHERE n.variant_id = v.variant_id LIMIT 1) IS NULL"
        )
    }

    /// Hits of a search that finds many.
    async fn hits(
        &self,
        tx: &mut Tx,
        needle: &str,
        id: &str,
        is_back: bool,
        limit: i64,
    ) -> Result<Vec<(String, Option<i64>)>> {
        let mut rows = by_id!(
            tx,
            is_back,
            id,
            limit,
            needle,
            concat!(
                "variant_index WHERE (",
                contains!("product_search_key", "$4"),
                " OR ",
                contains!("variant_search_key", "$4"),
                ")"
            )
        )?;
        if self.known.some_are_gone {
            rows.extend(by_id!(
                tx,
                is_back,
                id,
                limit,
                needle,
                concat!(
                    "meta_sync_state g WHERE ",
                    contains!("lower(g.variant_id)", "$4"),
                    " AND (SELECT TRUE FROM variant_index x WHERE x.variant_id = g.variant_id LIMIT 1) IS NULL"
                )
            )?);
        }
        Ok(rows)
    }
}

fn of_few(few: &BTreeSet<String>, id: &str, is_back: bool, most: usize) -> Vec<Position> {
    use std::ops::Bound::{Excluded, Unbounded};
    let position = |id: &String| Position { at: None, id: id.clone() };
    match is_back {
        false => few.range::<str, _>((Excluded(id), Unbounded)).take(most).map(position).collect(),
        true => few.range::<str, _>((Unbounded, Excluded(id))).rev().take(most).map(position).collect(),
    }
}

/// Merges what several reads returned, each in order. One segment has times or none.
fn in_order(rows: &mut Vec<(String, Option<i64>)>, order: Order, is_back: bool) {
    rows.sort_by(|a, b| {
        let by_id = if order == Order::Found { b.0.cmp(&a.0) } else { a.0.cmp(&b.0) };
        let forwards = b.1.cmp(&a.1).then(by_id);
        if is_back { forwards.reverse() } else { forwards }
    });
    rows.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_reads_return_is_merged_without_repetition() {
        let row = |id: &str, at| (id.to_owned(), Some(at));
        let mut rows = vec![row("b", 2), row("a", 1), row("a", 2), row("b", 2)];
        in_order(&mut rows, Order::Found, false);
        assert_eq!(rows, [row("b", 2), row("a", 2), row("a", 1)]);
        in_order(&mut rows, Order::Sent, false);
        assert_eq!(rows, [row("a", 2), row("b", 2), row("a", 1)]);
        in_order(&mut rows, Order::Sent, true);
        assert_eq!(rows, [row("a", 1), row("b", 2), row("a", 2)]);
    }

    #[test]
    fn few_are_read_from_where_a_step_begins() {
        let few: BTreeSet<String> = ["a", "b", "c", "d"].map(str::to_owned).into();
        let ids = |id, is_back, most| -> Vec<String> {
            of_few(&few, id, is_back, most).into_iter().map(|position| position.id).collect()
        };
        assert_eq!(ids(FIRST, false, 2), ["a", "b"]);
        assert_eq!(ids("b", false, 9), ["c", "d"]);
        assert_eq!(ids("c", true, 9), ["b", "a"]);
        assert_eq!(ids(LAST, true, 1), ["d"]);
    }
}
