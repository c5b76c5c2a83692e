//! Meta's allowances as meters, for the pages that show them (`limits.html`).

use super::words::{counted, number};
use catalog_sync::admin::limits::LimitView;

/// An allowance in words.
pub struct Meter<'l> {
    /// The allowance.
    pub limit: &'l LimitView,
    /// What it is for.
    pub name: &'static str,
    /// Our calls, of how many, in which span.
    pub used: String,
    /// From where a meter warns.
    pub high: u32,
}

/// Returns the allowances in words.
pub fn meters(limits: &[LimitView]) -> Vec<Meter<'_>> {
    limits.iter().map(meter).collect()
}

fn meter(limit: &LimitView) -> Meter<'_> {
    let span = match limit.per_seconds {
        60 => "minute".to_owned(),
        3_600 => "hour".to_owned(),
        seconds => counted(seconds, "second", "seconds"),
    };
    Meter {
        limit,
        name: if limit.bucket == "batch" { "Calls that send items" } else { "Other calls about the catalog" },
        used: format!("{} of {} in the last {span}", number(limit.used), counted(limit.calls, "call", "calls")),
        high: limit.calls - limit.calls / 5,
    }
}
