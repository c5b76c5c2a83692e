//! From `scheduled` to `finished`: processes batches and publishes items when they are due.

use crate::batch::{Batch, Finding, Method, Row};
use crate::clock::Millis;
use crate::items::{Fields, merge};
use crate::judge::{self, Verdict};
use crate::webhook;
use crate::world::World;

/// Carries out every batch due by `now`, in the order of their ends, and publishes what is due.
pub(crate) fn settle(world: &mut World, now: Millis) {
    let due = |world: &World, handle: &String| world.batches.by_handle.get(handle).is_none_or(|b| b.finish_at <= now);
    let (mut ready, waiting): (Vec<_>, Vec<_>) =
        std::mem::take(&mut world.batches.pending).into_iter().partition(|handle| due(world, handle));
    world.batches.pending = waiting;
    // A stable sort: batches that end together are processed in the order of acceptance.
    ready.sort_by_key(|handle| world.batches.by_handle.get(handle).map_or(0, |batch| batch.finish_at));
    for handle in ready {
        carry_out(world, &handle);
    }
    publish(world, now);
}

fn publish(world: &mut World, now: Millis) {
    let (mut due, later): (Vec<_>, Vec<_>) =
        std::mem::take(&mut world.batches.unpublished).into_iter().partition(|(at, ..)| *at <= now);
    world.batches.unpublished = later;
    due.sort_by_key(|(at, ..)| *at);
    for (at, catalog, ids) in due {
        if let Some(catalog) = world.catalogs.get_mut(&catalog) {
            for id in ids {
                catalog.items.publish(&id, at);
            }
        }
    }
}

fn carry_out(world: &mut World, handle: &str) {
    let Some(mut batch) = world.batches.by_handle.remove(handle) else {
        return;
    };
    let rows = std::mem::take(&mut batch.rows);
    if !batch.forced.stops_processing() {
        let mut changed = Vec::with_capacity(rows.len());
        for row in rows {
            if carry_out_row(world, &mut batch, &row) {
                changed.push(row.id);
            }
        }
        let visible_at = batch.finish_at + world.config.times.visible_after_ms;
        world.batches.unpublished.push((visible_at, batch.catalog.clone(), changed));
        if world.config.switches.missing_fields_as_warnings {
            batch.disguised = batch.errors.iter().filter(|finding| is_missing(finding)).count();
            batch.errors.sort_by_key(|finding| !is_missing(finding));
        }
    }
    let told = (!batch.forced.stops_processing()).then(|| (batch.catalog.clone(), batch.finish_at));
    world.batches.by_handle.insert(handle.to_owned(), batch);
    if let Some((catalog, at)) = told {
        webhook::tell(world, &catalog, handle, at);
    }
}

fn is_missing(finding: &Finding) -> bool {
    finding.message.starts_with("A required field is missing")
}

/// Carries out one row; true when the item changed.
fn carry_out_row(world: &mut World, batch: &mut Batch, row: &Row) -> bool {
    let Some(catalog) = world.catalogs.get_mut(&batch.catalog) else {
        return false;
    };
    let line = row.line + world.config.rules.line_base;
    let finding = |message: String| Finding { line, id: row.id.clone(), message };
    if let Some(message) = world.rejects.get(&row.id) {
        batch.errors.push(finding(message.clone()));
        return false;
    }
    if row.method == Method::Delete {
        let deleted = catalog.items.delete(&row.id);
        if !deleted && world.config.rules.delete_missing_is_error {
            batch.errors.push(finding("The item to delete does not exist".into()));
        }
        return deleted;
    }
    let saved = catalog.items.saved(&row.id);
    if saved.is_none() && row.method == Method::Update && !batch.allow_upsert {
        batch.errors.push(finding("The item to update does not exist and allow_upsert is false".into()));
        return false;
    }
    // CREATE of an existing item replaces it.
    let base = if row.method == Method::Create { None } else { saved };
    let mut item = merge(base.unwrap_or_default(), &row.data);
    let unknown: Vec<String> = judge::unknown_fields(&item).map(str::to_owned).collect();
    for name in unknown {
        item.remove(&name);
    }
    let Verdict { missing, errors, warnings } = judge_row(&item, world);
    batch.warnings.extend(warnings.into_iter().map(finding));
    if !missing.is_empty() || !errors.is_empty() {
        batch.errors.extend(missing.into_iter().chain(errors).map(finding));
        return false;
    }
    let ids = &mut world.ids;
    if let Some(catalog) = world.catalogs.get_mut(&batch.catalog) {
        catalog.items.save(&row.id, &item, || ids.item());
    }
    true
}

fn judge_row(item: &Fields, world: &World) -> Verdict {
    judge::judge(item, &world.config.rules)
}
