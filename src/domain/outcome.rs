//! What an `items_batch` call came to, and what follows for its rows and for the channel.
//!
//! Judged by Meta's `error.code`, never by the HTTP status; the Graph client does that part
//! ([`meta_graph`]) and hands over one of these.

use std::collections::HashMap;

/// A reason why no call is made, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable code for programs.
    pub code: String,
    /// Sentence for the operator; says the next step.
    pub message: String,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// Meta took the batch: the rows wait for the verdict on `handle`, but those named in `refused` fail now.
    Accepted {
        /// Meta's handle.
        handle: String,
        /// Retailer id → message of `validation_status`.
        refused: HashMap<String, String>,
    },
    /// No handle: nothing was taken. Named rows fail with their message, the others with [`NOT_TAKEN`].
    NothingTaken {
        /// Retailer id → message of `validation_status`.
        named: HashMap<String, String>,
    },
    /// Whether Meta took the batch is not known: claims are dropped, the rows are sent again.
    Unknown {
        /// What happened.
        reason: String,
    },
    /// Meta never saw the call: nothing is unknown, it is made again.
    NotSent {
        /// What happened.
        reason: String,
    },
    /// The bucket is used up; it opens by itself.
    Throttled {
        /// Meta's text.
        reason: String,
    },
    /// A person has to act and then connect again: no call is made until there is another credential.
    Stopped(Problem),
    /// A person has to act, but nothing tells us when they have: tried again at the breaker's pace.
    Hindered(Problem),
    /// Meta refused the call as a whole: too much data, or something in it.
    RefusedWhole {
        /// Meta's text.
        reason: String,
        /// The catalog itself is refused: never the rows' fault.
        channel: bool,
    },
}

impl CallOutcome {
    /// The class of the outcome, for logs and for intents that stay open.
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

    /// Whether Meta may have carried the call out.
    #[must_use]
    pub fn may_be_taken(&self) -> bool {
        matches!(self, Self::Accepted { .. } | Self::Unknown { .. })
    }

    /// Whether the rows wait for a verdict now.
    #[must_use]
    pub fn accepted(&self) -> bool {
        matches!(self, Self::Accepted { .. })
    }
}

/// The reason on unnamed rows of an answer without a handle.
pub const NOT_TAKEN: &str = "not taken: Meta answered without a handle";

/// How the next call is shaped after refusals of whole calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Most rows of the next call; none = the setting.
    pub row_cap: Option<usize>,
    /// Refusals in a row without a success; of rows alone, once the cap is 1.
    pub refusals: u32,
}

/// After this many refusals in a row it may be the channel, not the rows.
pub const CHANNEL_REFUSALS: u32 = 4;

/// What a refusal of the whole call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Try again with fewer rows.
    Shrink,
    /// It was one row alone: that row fails.
    RowFails,
    /// It may be the channel: pause, and blame no row.
    Pause,
}

impl Shape {
    /// After a call of `rows` rows was refused whole.
    ///
    /// A row that is refused alone fails, but only the first few in a row: when row after row is refused and nothing
    /// goes through, it is not the rows, and failing them would empty the backlog into `failed`.
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
        // At cap 1 the count begins anew: from there it counts rows, not halvings.
        let shape = Self { row_cap: Some(cap), refusals: if cap == 1 { 0 } else { refusals } };
        (shape, if pause { Refusal::Pause } else { Refusal::Shrink })
    }

    /// After a call was taken: the cap grows by half, up to the setting.
    #[must_use]
    pub fn accepted(self, setting: usize) -> Self {
        let grown = self.row_cap.map(|cap| cap + cap.div_ceil(2)).filter(|cap| *cap < setting);
        Self { row_cap: grown, refusals: 0 }
    }

    /// Most rows of the next call.
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
        // A success ends the suspicion: the next row alone is to blame again.
        assert_eq!(shape.accepted(1).refused(1, false).1, RowFails);
    }

    #[test]
    fn a_refused_catalog_pauses_at_once_and_shrinks_nothing() {
        let (shape, refusal) = Shape::default().refused(500, true);
        assert_eq!((shape.row_cap, refusal), (None, Refusal::Pause));
    }
}
