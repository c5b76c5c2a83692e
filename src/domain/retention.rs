//! How long settled rows are kept.

use serde::Deserialize;

use crate::clock::Millis;

const DAY_MS: Millis = 24 * 60 * 60 * 1_000;

/// How long settled rows are kept, in days; 0 keeps them for ever.
///
/// A day is the least: by then a process that stood still during a call has noted it
/// ([`crate::store::submission::note_late`]), and the deletes of the last hour are no longer counted
/// ([`crate::store::submission::implicit_deletes_since`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Processed intents of the outbox, from when they were processed.
    pub intent_days: u32,
    /// Submissions with their records and errors, from their verdict.
    pub submission_days: u32,
}

impl RetentionConfig {
    /// The longest time that can be configured.
    pub const MAX_DAYS: u32 = 3_650;
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { intent_days: 30, submission_days: 7 }
    }
}

/// The instant before which a row is too old; `None` when rows are kept for ever.
#[must_use]
pub fn cutoff(days: u32, now: Millis) -> Option<Millis> {
    (days > 0).then(|| now.saturating_sub(Millis::from(days).saturating_mul(DAY_MS)))
}
