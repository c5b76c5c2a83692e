//! Repairs: asking the drain to send again what an operator or the settings want repaired.
//!
//! Promises: claim, intents and the mark on the findings are one transaction. Only what is at rest and as it was looked at
//! is repaired, so an operator's delete or a newer push is never undone. Within an hour a hundredth of the items is
//! repaired at most, and what a repair does not keep repaired is left to an operator.

use std::collections::{HashMap, HashSet};

use tracing::{info, warn};

use super::Tick;
use crate::app::App;
use crate::domain::drift::Fitness;
use crate::domain::drift::repair::{HOUR_MS, allowance, covered, is_too_many, most_by_itself};
use crate::failpoints::{Point, at};
use crate::store::drift::repairs::{self, ByItself, Due};
use crate::store::field_set::{FieldSets, text_of};
use crate::store::{StoreError, drift, sync_state};

/// The most findings of one transaction.
const CHUNK: i64 = 500;

/// Repairs some of what is due. Returns the number of variants.
pub(super) async fn run(app: &App, tick: &Tick) -> Result<usize, StoreError> {
    let mut tx = app.db.read().await?;
    // Whatever was found counts, also by a sweep that only tells.
    let all = ByItself { classes: &tick.settings.drift_repair, since: 0 };
    if repairs::due(&mut tx, &tick.catalog, all, 1).await?.is_empty() {
        return Ok(0);
    }
    drop(tx);
    let at_meta = app.items_at_meta().await?;
    let mut tx = app.db.read().await?;
    let left = allowance(at_meta, repairs::count_since(&mut tx, tick.now - HOUR_MS).await?);
    let most = most_by_itself(at_meta) + 1;
    let waiting = repairs::count_by_itself(&mut tx, &tick.catalog, all, most).await?;
    let since = since(&mut tx, tick, at_meta).await?;
    drop(tx);
    let nothing = ByItself { classes: &[], since: 0 };
    let by_itself = if is_too_many(waiting, at_meta) { nothing } else { ByItself { since, ..all } };
    if left == 0 {
        return Ok(0);
    }
    let widened = widened(app, tick, by_itself, CHUNK.min(left)).await?;
    let mut tx = tick.lease.fence.begin(&app.db, Some(&tick.catalog)).await?;
    let due = repairs::due(&mut tx, &tick.catalog, by_itself, CHUNK.min(left)).await?;
    let ids: Vec<&str> = due.iter().map(|one| one.variant_id.as_str()).collect();
    if ids.is_empty() {
        return Ok(0);
    }
    let flapping: HashSet<String> = repairs::flapping(&mut tx, &ids, tick.now).await?.into_iter().collect();
    let found = drift::candidates_of(&mut tx, &ids).await?;
    let still: HashMap<&str, i64> = found
        .iter()
        .filter(|one| one.fitness(&tick.catalog, tick.now, tick.grace) == Fitness::Ready)
        .map(|one| (one.variant_id.as_str(), one.state.version))
        .collect();
    let (mut repaired, mut changed, mut stopped) = (Vec::new(), Vec::new(), Vec::new());
    for Due { variant_id, version, asked } in &due {
        match still.get(variant_id.as_str()) {
            Some(now) if now == version && !asked && flapping.contains(variant_id) => stopped.push(&**variant_id),
            Some(now) if now == version => repaired.push(variant_id.clone()),
            _ => changed.push(&**variant_id),
        }
    }
    repaired.dedup();
    if !stopped.is_empty() {
        repairs::stop(&mut tx, &tick.catalog, &stopped, tick.now).await?;
        warn!(variants = stopped.len(), "drift came back after each repair: something else writes these items");
    }
    if !changed.is_empty() {
        repairs::look_again(&mut tx, &tick.catalog, &changed, tick.now).await?;
    }
    if !repaired.is_empty() {
        let wide = repaired.iter().filter_map(|id| Some((id.as_str(), *still.get(id.as_str())?, *widened.get(id)?)));
        sync_state::widen_fields(&mut tx, &wide.collect::<Vec<_>>()).await?;
        repairs::repair(&mut tx, &tick.catalog, &repaired, tick.now + tick.grace, tick.now).await?;
    }
    at(Point::DriftRepairing).await;
    tx.commit().await?;
    at(Point::DriftRepaired).await;
    if !repaired.is_empty() {
        info!(variants = repaired.len(), "drift repair queued");
        app.states_changed();
        app.work_arrived();
    }
    Ok(repaired.len())
}

/// Returns the sets of fields that Meta may hold, for the variants of which it shows a field that we did not send: the
/// drain then empties it.
async fn widened(
    app: &App,
    tick: &Tick,
    by_itself: ByItself<'_>,
    limit: i64,
) -> Result<HashMap<String, i64>, StoreError> {
    let mut tx = app.db.read().await?;
    let due = repairs::due(&mut tx, &tick.catalog, by_itself, limit).await?;
    let ids: Vec<&str> = due.iter().map(|one| one.variant_id.as_str()).collect();
    let mut unsent: HashMap<String, Vec<String>> = HashMap::new();
    for (id, field) in repairs::unsent(&mut tx, &tick.catalog, &ids).await? {
        unsent.entry(id).or_default().push(field);
    }
    if unsent.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<&str> = unsent.keys().map(String::as_str).collect();
    let states = sync_state::load(&mut tx, &ids).await?;
    drop(tx);
    let mut sets = FieldSets::default();
    sets.load(&app.db, states.values().filter_map(|state| state.fields_at_meta)).await?;
    let wide = |(id, more): (String, Vec<String>)| {
        let known = sets.get(states.get(&id)?.fields_at_meta).unwrap_or_default();
        let all = text_of(known.iter().map(String::as_str).chain(more.iter().map(String::as_str)));
        Some((id, all))
    };
    let wide: Vec<(String, String)> = unsent.into_iter().filter_map(wide).collect();
    sets.intern(&app.db, wide.iter().map(|(_, text)| text.as_str())).await?;
    Ok(wide.into_iter().filter_map(|(id, text)| Some((id, sets.id(&text)?))).collect())
}

/// Returns the first sweep whose findings are repaired without an operator: the one after the first that saw most items.
async fn since(tx: &mut crate::store::Tx, tick: &Tick, at_meta: i64) -> Result<i64, StoreError> {
    Ok(drift::dry_run(tx, &tick.catalog, covered(at_meta)).await?.map_or(i64::MAX, |number| number + 1))
}
