//! The one decision: what the drain does with a variant, and why.
//!
//! Promises: pure; the drain, the item detail and the preview of a mapper all ask [`plan`], so what an operator is told is
//! what the drain does. `docs/architecture.md`, "Drain", has the table; the tests walk it.
//! Left out on purpose: whether any call may be made at all (settings, connection, breaker, quota), which is no matter of
//! the variant.

use std::borrow::Cow;

use mapper_core::sha256_hex;
use mapper_core::word::{MapperFault, Payload, Word};

use super::intent::Intent;
use super::state::{SyncState, SyncStatus};

/// What is asked for a variant: its open intents as one ([`super::intent::fold`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What is asked for.
    pub intent: Intent,
    /// Whether an operator released it from the mass-delete guard.
    pub released: bool,
}

/// What source and mapper say of the variant. A delete needs neither, and ignores it.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// The mapper's word.
    Word(&'a Word),
    /// The mapper has none.
    Fault(&'a MapperFault),
    /// The source row cannot be read; says why.
    Unreadable(&'a str),
    /// The source does not have the variant.
    Gone,
    /// The mapper did not answer at all.
    Missing,
}

impl<'a> From<&'a Result<Word, MapperFault>> for Answer<'a> {
    fn from(word: &'a Result<Word, MapperFault>) -> Self {
        match word {
            Ok(word) => Self::Word(word),
            Err(fault) => Self::Fault(fault),
        }
    }
}

/// Whether the mass-delete guard ([`super::guard`]) lets an implicit delete through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// It does.
    Open,
    /// So many went out within the hour that it holds further ones back.
    Closed,
}

/// What the drain does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Sends the payload.
    Upsert {
        /// The payload.
        payload: &'a Payload,
        /// Its SHA-256, in hex.
        hash: String,
    },
    /// Sends a delete. An implicit one was not asked for: the variant is not eligible any more, or gone.
    Delete {
        /// Whether it is implicit.
        implicit: bool,
    },
    /// Marks the intents and sends nothing: Meta holds the payload, or is judging exactly it.
    Noop {
        /// When time alone changes the payload.
        reevaluate_at: Option<i64>,
    },
    /// Notes in the state that the variant is not eligible; it is not at Meta.
    Skip {
        /// The mapper's code and sentence.
        text: String,
    },
    /// Marks the intents: nothing is at Meta to remove. A `pending` row goes too.
    Drop,
    /// Leaves the intents open and decides again later.
    Wait,
    /// Holds an implicit delete back until an operator releases it.
    Hold,
    /// Counts a fault of the variant's own; its intents are tried again until `max_attempts`.
    Fault {
        /// What is wrong.
        message: &'a str,
    },
}

impl Action<'_> {
    /// The word on the admin surface.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Upsert { .. } => "upsert",
            Self::Delete { .. } => "delete",
            Self::Noop { .. } => "noop",
            Self::Skip { .. } => "skip",
            Self::Drop => "drop",
            Self::Wait => "wait",
            Self::Hold => "hold",
            Self::Fault { .. } => "fault",
        }
    }
}

/// What the drain does with a variant, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    /// What it does.
    pub action: Action<'a>,
    /// A stable code: an eligibility reason of the mapper, or one of ours.
    pub reason: Cow<'a, str>,
}

impl Plan<'_> {
    /// Whether it is a delete that a closed guard would hold back, so that it must be asked.
    #[must_use]
    pub fn asks_the_guard(&self, ask: Ask) -> bool {
        matches!(self.action, Action::Delete { implicit: true }) && !ask.released
    }
}

/// The variant as source and mapper show it.
#[derive(Clone, Copy)]
enum Now<'a> {
    Eligible(&'a Payload),
    NotEligible(&'a mapper_core::word::Rejection),
    Gone,
}

/// Decides. `state` is what the store remembers of the variant, `catalog` the selected one: what is known of another
/// catalog does not count.
#[must_use]
pub fn plan<'a>(ask: Ask, answer: Answer<'a>, state: Option<&SyncState>, guard: Guard, catalog: &str) -> Plan<'a> {
    let now = match (ask.intent, answer) {
        (Intent::Delete, _) => Now::Gone,
        (Intent::Upsert, Answer::Word(Word::Mapped(payload))) => Now::Eligible(payload),
        (Intent::Upsert, Answer::Word(Word::Rejected(why))) => Now::NotEligible(why),
        (Intent::Upsert, Answer::Gone) => Now::Gone,
        // Nothing is known of the variant itself: it is asked about again, and nothing counts against it.
        (Intent::Upsert, Answer::Missing) => return Plan::wait("mapper_not_ready"),
        (Intent::Upsert, Answer::Fault(fault)) if !fault.kind.blames_the_row() => {
            return Plan::wait("mapper_not_ready");
        }
        (Intent::Upsert, Answer::Fault(MapperFault { message, .. })) => return fault(state, message),
        (Intent::Upsert, Answer::Unreadable(message)) => return fault(state, message),
    };
    // Claims count only for the selected catalog.
    let claims = state.filter(|state| state.catalog_id.as_deref() == Some(catalog));
    let is_submitted = claims.is_some_and(|state| state.status == SyncStatus::Submitted);
    let at_meta = claims.is_some_and(|state| state.at_meta);
    if let Now::Eligible(payload) = now {
        let hash = sha256_hex(&payload.data);
        let is_same = claims.is_some_and(|state| state.hash.as_deref() == Some(&hash));
        let is_synced = claims.is_some_and(|state| state.status == SyncStatus::Synced);
        let noop = Action::Noop { reevaluate_at: payload.reevaluate_at };
        return match () {
            () if is_same && is_synced => Plan::of(noop, "unchanged"),
            () if is_same && is_submitted => Plan::of(noop, "being_judged"),
            () if is_submitted => Plan::wait("submission_open"),
            () => Plan::of(Action::Upsert { payload, hash }, why_upsert(claims)),
        };
    }
    match (ask.intent, now) {
        // Meta documents no order between batches, so a variant never has two open submissions.
        _ if is_submitted => Plan::wait("submission_open"),
        (Intent::Upsert, _) if at_meta && guard == Guard::Closed && !ask.released => {
            Plan::of(Action::Hold, "mass_delete_guard")
        }
        (Intent::Upsert, Now::NotEligible(why)) if at_meta => {
            Plan { action: Action::Delete { implicit: true }, reason: Cow::Borrowed(&why.code) }
        }
        (Intent::Upsert, _) if at_meta => Plan::of(Action::Delete { implicit: true }, "gone"),
        (Intent::Delete, _) if at_meta => Plan::of(Action::Delete { implicit: false }, "delete_asked"),
        (Intent::Upsert, Now::NotEligible(why)) => {
            Plan { action: Action::Skip { text: why.text() }, reason: Cow::Borrowed(&why.code) }
        }
        _ => Plan::of(Action::Drop, "not_at_meta"),
    }
}

impl<'a> Plan<'a> {
    fn of(action: Action<'a>, reason: &'static str) -> Self {
        Self { action, reason: Cow::Borrowed(reason) }
    }

    fn wait(reason: &'static str) -> Self {
        Self::of(Action::Wait, reason)
    }
}

/// A fault is the business of the next decision, not of a submission that waits for its verdict.
fn fault<'a>(state: Option<&SyncState>, message: &'a str) -> Plan<'a> {
    if state.is_some_and(|state| state.status == SyncStatus::Submitted) {
        return Plan::wait("submission_open");
    }
    Plan::of(Action::Fault { message }, "mapper_error")
}

fn why_upsert(claims: Option<&SyncState>) -> &'static str {
    match claims.map(|state| state.status) {
        Some(SyncStatus::Synced) => "changed",
        Some(SyncStatus::Failed) => "failed_before",
        Some(SyncStatus::Deleted) => "deleted_before",
        Some(SyncStatus::Submitted | SyncStatus::Pending | SyncStatus::Skipped) | None => "not_at_meta",
    }
}

#[cfg(test)]
mod tests;
