//! Walks: what a filter selects, from one position to the next, in both directions.
//!
//! Promises: a step costs the same wherever it begins and however many variants there are. The narrowest part of the
//! filter gives the candidates in the order of an index, and the rest is asked of them, some at a time; a step that looked
//! at [`MOST`] candidates ends with what it found and says where the next one goes on.
//! Left out on purpose: numbers ([`super::count`]).

mod candidates;
mod segment;

use std::collections::{HashMap, HashSet};

use super::filtered::{ask, conditions, contains, one_of};
use super::lead::Lead;
use super::unfiltered::joined;
use super::{Filter, ItemRow, Totals};
use crate::clock::Millis;
use crate::store::{Result, Tx, fetch_all, list};

use segment::Segment;

/// The largest number of candidates that one step looks at.
pub const MOST: usize = 50_000;

/// The order of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Sent last first, then by id; those never sent at the end.
    Sent,
    /// The latest change of cause, warnings or state first, then by id.
    Changed,
    /// The latest change first, then by id, backwards.
    Found,
    /// By id.
    Id,
}

/// A place of a walk: that of a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The time that the order goes by, if it goes by one and the variant has it.
    pub at: Option<Millis>,
    /// The variant.
    pub id: String,
}

/// Where a step begins, and its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From<'p> {
    /// At the beginning.
    Start,
    /// Behind a position.
    After(&'p Position),
    /// In front of a position, backwards.
    Before(&'p Position),
}

/// What a step found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The variants, in the order of the walk, also of a step backwards.
    pub found: Vec<Position>,
    /// Where the walk goes on in the same direction. `None` at its end.
    pub more: Option<Position>,
}

/// What a walk may leave out: looking for it reads everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Whether variants may have no state.
    pub some_are_new: bool,
    /// Whether the state may know variants that the shop does not.
    pub some_are_gone: bool,
}

impl Known {
    /// Nothing is left out.
    pub const NOTHING: Self = Self { some_are_new: true, some_are_gone: true };
}

impl std::convert::From<&Totals> for Known {
    fn from(totals: &Totals) -> Self {
        Self { some_are_new: totals.of(Some("never_synced")) > 0, some_are_gone: totals.gone > 0 }
    }
}

impl Filter {
    /// Returns the order of a walk through what it selects.
    #[must_use]
    pub fn order(&self) -> Order {
        Lead::of(self).0.order()
    }
}

/// Walks on for `limit` variants.
///
/// # Errors
/// When the database query fails.
pub async fn walk(tx: &mut Tx, filter: &Filter, from: From<'_>, limit: usize, known: Known) -> Result<Step> {
    led(tx, Lead::of(filter), from, limit, known).await
}

/// [`walk`] in an order in which a variant that is sent meanwhile is not passed by. It reads more where the filter is narrow
/// and has no index of its own.
///
/// # Errors
/// When the database query fails.
pub async fn walk_stably(tx: &mut Tx, filter: &Filter, from: From<'_>, limit: usize, known: Known) -> Result<Step> {
    led(tx, Lead::stable(filter), from, limit, known).await
}

async fn led(
    tx: &mut Tx,
    (lead, rest): (Lead<'_>, Filter),
    from: From<'_>,
    limit: usize,
    known: Known,
) -> Result<Step> {
    let mut candidates = lead.candidates(tx, known).await?;
    // A delete may be queued for a variant that is nowhere.
    let is_asked = rest != Filter::default() || matches!(lead, Lead::Held | Lead::Parked | Lead::Ids(_));
    let mut step = Step::default();
    let is_back = matches!(from, From::Before(_));
    let mut last: Option<Position> = None;
    let mut looked_at = 0;
    let mut size = if is_asked { (limit * 4).clamp(200, 5_000) } else { limit + 1 };
    loop {
        let from = match &last {
            None => from,
            Some(last) if is_back => From::Before(last),
            Some(last) => From::After(last),
        };
        let batch = candidates.next(tx, from, size).await?;
        let is_end = batch.len() < size;
        looked_at += batch.len();
        let Some(end) = batch.last().cloned() else { break };
        let selected = if is_asked { Some(selected(tx, &rest, &batch).await?) } else { None };
        for position in batch {
            if selected.as_ref().is_some_and(|selected| !selected.contains(&position.id)) {
                continue;
            }
            if step.found.len() == limit {
                step.more = step.found.last().cloned();
                break;
            }
            step.found.push(position);
        }
        if step.more.is_some() || is_end {
            break;
        }
        if looked_at >= MOST {
            step.more = Some(end);
            break;
        }
        last = Some(end);
        size = (size * 4).min(5_000);
    }
    if is_back {
        step.found.reverse();
    }
    Ok(step)
}

/// Returns those of the candidates that the rest of the filter selects.
async fn selected(tx: &mut Tx, rest: &Filter, batch: &[Position]) -> Result<HashSet<String>> {
    let ids: Vec<&str> = batch.iter().map(|position| position.id.as_str()).collect();
    let selected: Vec<(String,)> = ask!(
        tx,
        (String,),
        concat!(
            "SELECT c.variant_id FROM (SELECT id @pg{COLLATE \"C\"} AS variant_id FROM @ids($9) AS listed) AS c
             LEFT JOIN @pg{LATERAL (SELECT * FROM meta_sync_state WHERE variant_id = c.variant_id LIMIT 1)}
                 @sqlite{meta_sync_state} s ON s.variant_id = c.variant_id
             WHERE ",
            conditions!()
        ),
        rest,
        list::ids(&ids),
        0_i64,
        0_i64,
        0_i64
    )?;
    Ok(selected.into_iter().map(|(id,)| id).collect())
}

/// Returns what is shown of these variants, in their order.
///
/// # Errors
/// When the database query fails.
pub async fn rows(tx: &mut Tx, found: &[Position]) -> Result<Vec<ItemRow>> {
    let ids: Vec<&str> = found.iter().map(|position| position.id.as_str()).collect();
    let rows: Vec<ItemRow> = fetch_all!(
        tx,
        ItemRow,
        joined!("SELECT id @pg{COLLATE \"C\"} AS variant_id FROM @ids($1) AS asked"),
        list::ids(&ids)
    )?;
    let mut rows: HashMap<String, ItemRow> = rows.into_iter().map(|row| (row.variant_id.clone(), row)).collect();
    Ok(ids.into_iter().filter_map(|id| rows.remove(id)).collect())
}
