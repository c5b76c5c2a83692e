//! The state of everything in one sentence.

use catalog_sync::admin::status::ConnectionStatus;
use catalog_sync::clock::Millis;

use super::words::{ago, counted, millis, number};

/// The sentence and how it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// `good`, `busy`, `warn`, `bad` or `plain`.
    pub tone: &'static str,
    /// What is announced to a screen reader: it changes only with the kind of the state, not with its numbers.
    pub kind: &'static str,
    /// The sentence.
    pub sentence: String,
}

/// Returns the health of the sync.
#[must_use]
pub fn health(status: &ConnectionStatus, now: Millis) -> Health {
    let told = |tone, kind, sentence: String| Health { tone, kind, sentence };
    let counts = &status.counts;
    let waiting = counts.outbox_pending;
    if !status.connected && !status.sync_enabled {
        return told("plain", "Not set up", "Not set up yet: follow the steps of the set-up.".into());
    }
    if let Some(problem) = status.problems.iter().find(|problem| problem.severity == "stops") {
        let held = problem.code == "mass_delete_held";
        let kind = if held { "Deletes are held" } else { "The sync is stopped" };
        let rest = if waiting > 0 { format!(", {} queued", number(waiting)) } else { String::new() };
        return told("bad", kind, format!("{kind}{rest}. What to do is below."));
    }
    let is_begun = counts.synced + counts.submitted + counts.failed + counts.deleted > 0;
    if !status.sync_enabled && !is_begun {
        let queued = if waiting > 0 {
            format!(" {} queued.", counted(waiting, "change is", "changes are"))
        } else {
            String::new()
        };
        return told("plain", "Not started", format!("Not started yet: follow the steps of the set-up.{queued}"));
    }
    if !status.sync_enabled {
        return told("warn", "Paused", format!("Paused: {} queued, nothing is sent.", number(waiting)));
    }
    let failed = match counts.failed {
        0 => String::new(),
        failed => format!(", {} refused", number(failed)),
    };
    if waiting == 0 && counts.submitted == 0 {
        return match counts.failed {
            0 => told("good", "In step", format!("In step: {} at Meta.", counted(counts.synced, "item", "items"))),
            _ => told("warn", "In step but for refused items", format!("In step{failed}.")),
        };
    }
    let oldest = status.outbox_oldest_at.as_deref().and_then(millis);
    let oldest = oldest.map_or_else(String::new, |at| format!(" (the oldest {})", ago(at, now)));
    told(
        "busy",
        "Syncing",
        format!("Syncing: {} queued{oldest}, {} in flight{failed}.", number(waiting), number(counts.submitted)),
    )
}
