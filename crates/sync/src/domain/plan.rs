//! The one decision: the drain's action for a variant, and the reason.
//!
//! Promises: pure. The drain, the item detail and the preview of a mapper all call [`plan`], so operators see what the
//! drain does. `docs/architecture.md`, "Drain", has the table; the tests cover it.
//! Left out on purpose: whether any call may be made at all (settings, connection, breaker, quota), which does not
//! depend on the variant.

use std::borrow::Cow;

use mapper_core::sha256_hex;
use mapper_core::word::{MapperFault, Payload, Word};

use super::intent::Intent;
use super::state::{SyncState, SyncStatus};

/// The request for a variant: its open intents folded into one ([`super::intent::fold`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What is requested.
    pub intent: Intent,
    /// Whether an operator released it from the mass-delete guard.
    pub released: bool,
}

/// The answer of source and mapper for the variant. A delete does not use it.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// The mapper's word.
    Word(&'a Word),
    /// The mapper returned a fault instead of a word.
    Fault(&'a MapperFault),
    /// The source row cannot be read. Holds the reason.
    Unreadable(&'a str),
    /// The source does not have the variant.
    Gone,
    /// The mapper returned no answer.
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

/// Whether the mass-delete guard ([`super::guard`]) allows an implicit delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// It allows it.
    Open,
    /// The hour's limit is reached, so it holds further ones.
    Closed,
}

/// The drain's action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Sends the payload.
    Upsert {
        /// The payload.
        payload: &'a Payload,
        /// Its SHA-256, in hex.
        hash: String,
    },
    /// Sends a delete.
    Delete {
        /// Whether it is implicit: the variant is no longer eligible, or gone, and the delete was not requested.
        implicit: bool,
    },
    /// Marks the intents and sends nothing: Meta holds exactly this payload, or is processing it.
    Noop {
        /// When the payload changes by time alone.
        reevaluate_at: Option<i64>,
    },
    /// Records in the state that the variant is not eligible. It is not at Meta.
    Skip {
        /// The mapper's code and message.
        text: String,
    },
    /// Marks the intents: Meta holds no item to remove. A `pending` row is deleted.
    Drop,
    /// Leaves the intents open and decides again later.
    Wait,
    /// Holds an implicit delete until an operator releases it.
    Hold,
    /// Counts a fault of the variant's own. Its intents are retried until `max_attempts`.
    Fault {
        /// What is wrong.
        message: &'a str,
    },
}

impl Action<'_> {
    /// Its words in the admin API.
    pub const WORDS: [&'static str; 8] = ["upsert", "delete", "noop", "skip", "drop", "wait", "hold", "fault"];

    /// Returns its word in the admin API.
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

/// The drain's action for a variant, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    /// The action.
    pub action: Action<'a>,
    /// A stable code: an eligibility reason of the mapper, or one of this service.
    pub reason: Cow<'a, str>,
}

impl Plan<'_> {
    /// Returns whether this is a delete that a closed guard would hold, so that the guard must be consulted.
    #[must_use]
    pub fn asks_the_guard(&self, ask: Ask) -> bool {
        matches!(self.action, Action::Delete { implicit: true }) && !ask.released
    }
}

/// The variant according to source and mapper.
#[derive(Clone, Copy)]
enum Now<'a> {
    Eligible(&'a Payload),
    NotEligible(&'a mapper_core::word::Rejection),
    Excluded,
    Gone,
}

/// The reason of a variant that an operator keeps out.
pub const EXCLUDED: &str = "excluded_by_operator";

/// Decides. `state` is the stored state of the variant and `catalog` the selected catalog. A state about another
/// catalog does not count.
#[must_use]
pub fn plan<'a>(ask: Ask, answer: Answer<'a>, state: Option<&SyncState>, guard: Guard, catalog: &str) -> Plan<'a> {
    let now = match (ask.intent, answer) {
        (Intent::Delete, _) => Now::Gone,
        // Counts in every catalog, and whatever the mapper would say.
        (Intent::Upsert, _) if state.is_some_and(|state| state.excluded) => Now::Excluded,
        (Intent::Upsert, Answer::Word(Word::Mapped(payload))) => Now::Eligible(payload),
        (Intent::Upsert, Answer::Word(Word::Rejected(why))) => Now::NotEligible(why),
        (Intent::Upsert, Answer::Gone) => Now::Gone,
        // Nothing is known about the variant itself: it is mapped again later, and nothing counts against it.
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
        // The operator asked for it, so the guard has no say.
        (Intent::Upsert, Now::Excluded) if at_meta => Plan::of(Action::Delete { implicit: false }, EXCLUDED),
        (Intent::Upsert, Now::Excluded) => Plan::of(Action::Skip { text: EXCLUDED.to_owned() }, EXCLUDED),
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

/// A fault affects the next decision, not a submission that waits for its verdict.
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
