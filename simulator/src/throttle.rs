//! Charges a call to its bucket: the usage headers, and the error when it is full.

use crate::clock::Millis;
use crate::errors::{GraphError, Result};
use crate::faults::Kind;
use crate::graph::Turn;
use crate::quota::{self, Usage};
use crate::world::World;

const MINUTE: Millis = 60_000;
const HOUR: Millis = 3_600_000;

fn planned_throttle(faults: &[Kind]) -> Option<Usage> {
    faults.iter().find_map(|fault| match fault {
        Kind::Throttle { regain_minutes } => {
            Some(Usage { blocked: true, percent: 100, regain_minutes: *regain_minutes })
        }
        _ => None,
    })
}

/// Charges a call that concerns a catalog: `items_batch` to one bucket, everything else to the other.
pub(crate) fn charge_catalog(
    world: &mut World,
    now: Millis,
    id: &str,
    batch: bool,
    faults: &[Kind],
    turn: &mut Turn,
) -> Result<()> {
    let quotas = world.config.quotas;
    let Some(catalog) = world.catalogs.get_mut(id) else {
        return Ok(());
    };
    let (window, span, allowed, bucket, code) = if batch {
        (&mut catalog.batch_window, MINUTE, quotas.batch_per_minute, "catalog_batch", 80014)
    } else {
        (&mut catalog.management_window, HOUR, quotas.management_per_hour, "catalog_management", 80009)
    };
    let usage =
        planned_throttle(faults).unwrap_or_else(|| window.charge(now, span, allowed, quotas.blocked_calls_count));
    if usage.percent >= quotas.usage_header_from_percent {
        let owner = catalog.owner.as_deref().filter(|_| quotas.usage_keyed_by_business);
        let header = quota::business_header(owner.unwrap_or(id), bucket, usage);
        turn.headers.push(("x-business-use-case-usage", header));
    }
    refuse_when_blocked(usage, code, turn)
}

/// Charges a call that concerns no catalog.
pub(crate) fn charge_app(world: &mut World, now: Millis, faults: &[Kind], turn: &mut Turn) -> Result<()> {
    let quotas = world.config.quotas;
    let charge = || world.app_window.charge(now, HOUR, quotas.app_per_hour, quotas.blocked_calls_count);
    let usage = planned_throttle(faults).unwrap_or_else(charge);
    if usage.percent >= quotas.usage_header_from_percent {
        turn.headers.push(("x-app-usage", quota::app_header(usage)));
    }
    refuse_when_blocked(usage, 4, turn)
}

fn refuse_when_blocked(usage: Usage, code: i64, turn: &mut Turn) -> Result<()> {
    if usage.blocked {
        turn.throttled = true;
        return Err(GraphError::throttled(code));
    }
    Ok(())
}
