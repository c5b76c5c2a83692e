//! How long settled rows are kept.

use serde::Deserialize;

use crate::clock::Millis;

const DAY_MS: Millis = 24 * 60 * 60 * 1_000;

/// The most bodies of calls that are kept, whatever their age, in packed bytes: a first push of some hundred thousand
/// variants, and months of an ordinary shop.
pub const BODY_BYTES: i64 = 256 * 1024 * 1024;
/// The most bodies of calls that are kept.
pub const BODIES: i64 = 20_000;

/// How long settled rows are kept, in days. 0 keeps them for ever.
///
/// The minimum is one day: by then a process that was suspended during a call has recorded it
/// ([`crate::store::submission::note_late`]), and the deletes of the last hour are no longer counted
/// ([`crate::store::submission::implicit_allowance`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Processed intents of the outbox, counted from when they were processed.
    pub intent_days: u32,
    /// Submissions with their records, bodies and errors, counted from their verdict.
    pub submission_days: u32,
    /// Actions of operators in the audit trail, counted from when they began. The trail keeps [`AUDIT_ROWS`] at most.
    pub audit_days: u32,
}

/// Most actions that the audit trail keeps. The trail is read along its key, so this bounds what a filter reads.
pub const AUDIT_ROWS: i64 = 100_000;

impl RetentionConfig {
    /// The longest time that can be configured.
    pub const MAX_DAYS: u32 = 3_650;
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { intent_days: 30, submission_days: 7, audit_days: 365 }
    }
}

/// Returns the instant before which a row is too old, or `None` when rows are kept for ever.
#[must_use]
pub fn cutoff(days: u32, now: Millis) -> Option<Millis> {
    (days > 0).then(|| now.saturating_sub(Millis::from(days).saturating_mul(DAY_MS)))
}
