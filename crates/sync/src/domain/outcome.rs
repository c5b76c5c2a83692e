//! The outcome of an `items_batch` call, and its consequences for the rows and the channel.
//!
//! The outcome depends on Meta's `error.code`, and on the HTTP status only where no code decides. The Graph client ([`meta_graph`]) classifies
//! the answer and returns one of these.

use std::collections::HashMap;

/// A reason why no call is made, with the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable code for programs.
    pub code: String,
    /// A sentence for the operator that states the next step.
    pub message: String,
}

impl Problem {
    /// The codes that the admin API describes.
    pub const CODES: [&'static str; 19] = [
        "graph_version_ends",
        "mapper_unusable",
        "mass_delete_held",
        "meta_account_error",
        "meta_app_rejected",
        "meta_calls_cut",
        "meta_catalog_gone",
        "meta_not_connected",
        "meta_permission",
        "meta_personal_token",
        "meta_policy_block",
        "meta_refused",
        "meta_scope_missing",
        "meta_throttled",
        "meta_token_dead",
        "meta_token_ends",
        "meta_token_expired",
        "meta_unreachable",
        "nothing_queued",
    ];
}

/// The outcome of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// Meta accepted the batch. The rows wait for the verdict on `handle`; those named in `refused` fail now.
    Accepted {
        /// Meta's handle.
        handle: String,
        /// Retailer id → message of `validation_status`.
        refused: HashMap<String, String>,
    },
    /// Meta returned no handle, so it accepted nothing. Named rows fail with their message, the others with
    /// [`NOT_TAKEN`].
    NothingTaken {
        /// Retailer id → message of `validation_status`.
        named: HashMap<String, String>,
    },
    /// Whether Meta accepted the batch is unknown. Claims are dropped and the rows are sent again.
    Unknown {
        /// The error.
        reason: String,
    },
    /// The call never reached Meta, so nothing is unknown. The call is made again.
    NotSent {
        /// The error.
        reason: String,
    },
    /// The bucket is used up. It reopens on its own.
    Throttled {
        /// Meta's message.
        reason: String,
    },
    /// An operator has to act and then reconnect. No call is made until the credential changes.
    Stopped(Problem),
    /// An operator has to act, but no event reports that it is done. Calls are retried at the breaker's pace.
    Hindered(Problem),
    /// Meta refused the whole call: it had too much data, or invalid data.
    RefusedWhole {
        /// Meta's message.
        reason: String,
        /// Whether the catalog itself is refused. Then the rows are not the cause.
        channel: bool,
    },
}

impl CallOutcome {
    /// Returns the class of the outcome, for logs and for intents that stay open.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::NothingTaken { .. } => "nothing_taken",
            Self::Unknown { .. } => "unknown",
            Self::NotSent { .. } => "not_sent",
            Self::Throttled { .. } => "throttled",
            Self::Stopped(_) => "stopped",
            Self::Hindered(_) => "hindered",
            Self::RefusedWhole { .. } => "refused",
        }
    }

    /// Returns whether Meta may have executed the call.
    #[must_use]
    pub fn may_be_taken(&self) -> bool {
        matches!(self, Self::Accepted { .. } | Self::Unknown { .. })
    }

    /// Returns whether the rows wait for a verdict now.
    #[must_use]
    pub fn accepted(&self) -> bool {
        matches!(self, Self::Accepted { .. })
    }
}

/// The error of unnamed rows when Meta returned no handle.
pub const NOT_TAKEN: &str = "not taken: Meta answered without a handle";

/// The shape of the next call after refusals of whole calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The largest number of rows of the next call. `None` means the setting.
    pub row_cap: Option<usize>,
    /// Consecutive refusals. Once the cap is 1, only refusals of single rows count.
    pub refusals: u32,
}

/// After this many consecutive refusals the cause may be the channel instead of the rows.
pub const CHANNEL_REFUSALS: u32 = 4;

/// The consequence of a refusal of the whole call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Retry with fewer rows.
    Shrink,
    /// The call had a single row, and that row fails.
    RowFails,
    /// The channel may be the cause: pause, and blame no row.
    Pause,
}

impl Shape {
    /// Returns the shape and the consequence after a call with `rows` rows was refused as a whole.
    ///
    /// A row that is refused alone fails, but only the first few consecutive ones. When every row is refused and no
    /// call succeeds, the rows are not the cause, and failing them would turn the whole backlog into `failed`.
    #[must_use]
    pub fn refused(self, rows: usize, channel: bool) -> (Self, Refusal) {
        if channel {
            return (Self { refusals: self.refusals.saturating_add(1), ..self }, Refusal::Pause);
        }
        if rows <= 1 {
            let alone = if self.row_cap == Some(1) { self.refusals.saturating_add(1) } else { 1 };
            let refusal = if alone < CHANNEL_REFUSALS { Refusal::RowFails } else { Refusal::Pause };
            return (Self { row_cap: Some(1), refusals: alone }, refusal);
        }
        let refusals = self.refusals.saturating_add(1);
        let cap = rows.div_ceil(2);
        let pause = refusals.is_multiple_of(CHANNEL_REFUSALS);
        // At cap 1 the count restarts: from there it counts rows instead of halvings.
        let shape = Self { row_cap: Some(cap), refusals: if cap == 1 { 0 } else { refusals } };
        (shape, if pause { Refusal::Pause } else { Refusal::Shrink })
    }

    /// Returns the shape after a call was accepted: the cap grows by half, up to the setting.
    #[must_use]
    pub fn accepted(self, setting: usize) -> Self {
        let grown = self.row_cap.map(|cap| cap + cap.div_ceil(2)).filter(|cap| *cap < setting);
        Self { row_cap: grown, refusals: 0 }
    }

    /// Returns the largest number of rows of the next call.
    #[must_use]
    pub fn cap(self, setting: usize) -> usize {
        self.row_cap.map_or(setting, |cap| cap.min(setting)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_row_is_found_by_halving_and_the_cap_grows_back() {
        let mut shape = Shape::default();
        let mut rows = 5000;
        let mut refusals = Vec::new();
        while rows > 1 {
            let (next, refusal) = shape.refused(rows, false);
            refusals.push(refusal);
            shape = next;
            rows = shape.cap(5000);
        }
        assert_eq!(refusals.len(), 13);
        assert_eq!(refusals.iter().filter(|r| **r == Refusal::Pause).count(), 3);
        let (next, refusal) = shape.refused(1, false);
        assert_eq!((next.cap(5000), refusal), (1, Refusal::RowFails));

        let mut shape = next;
        let mut calls = 0;
        while shape.row_cap.is_some() {
            shape = shape.accepted(5000);
            calls += 1;
        }
        assert!((15..30).contains(&calls), "grows back slowly, took {calls} calls");
    }

    #[test]
    fn row_after_row_refused_is_the_channel() {
        let mut shape = Shape { row_cap: Some(2), refusals: 2 };
        let mut refusals = Vec::new();
        for rows in [2, 1, 1, 1, 1, 1] {
            let (next, refusal) = shape.refused(rows, false);
            refusals.push(refusal);
            shape = next;
        }
        use Refusal::{Pause, RowFails, Shrink};
        assert_eq!(refusals, [Shrink, RowFails, RowFails, RowFails, Pause, Pause]);
        // A success resets the count: the next row that is refused alone fails again.
        assert_eq!(shape.accepted(1).refused(1, false).1, RowFails);
    }

    #[test]
    fn a_refused_catalog_pauses_at_once_and_shrinks_nothing() {
        let (shape, refusal) = Shape::default().refused(500, true);
        assert_eq!((shape.row_cap, refusal), (None, Refusal::Pause));
    }
}
