//! From what the Graph client brought home to what it means.

use std::collections::HashMap;

use tracing::{debug, warn};

use crate::actors::limiter::Limiter;
use crate::domain::budget::{Bucket, Verdict};
use crate::domain::outcome::{CallOutcome, Problem};
use crate::graph::{BatchAnswer, Bucket as ThrottledBy, ErrorClass, FailureKind, GraphFailure, Usage};
use crate::store::submission::join_handles;

/// Tells the limiter of a call on `catalog` that drew on `bucket`.
///
/// A throttle closes the bucket that the call drew on. It closes the other one too, unless Meta's code names exactly
/// this catalog's bucket: an app or a user that may not call gets no better answer there, and each further call
/// makes the block longer.
pub(crate) fn report(limiter: &Limiter, catalog: &str, bucket: Bucket, answered: Result<&Usage, &GraphFailure>) {
    let usage = answered.unwrap_or_else(GraphFailure::usage);
    let percent = usage.percent_for(catalog);
    let throttled = answered.err().and_then(|failure| match failure.class() {
        ErrorClass::Throttled(by) => Some(by),
        _ => None,
    });
    let verdict = match throttled {
        Some(_) => Verdict::Throttled { regain: usage.regain_after() },
        None => Verdict::Success,
    };
    let heard = limiter.report(catalog, bucket, percent, verdict).and_then(|()| {
        let (own, other) = match bucket {
            Bucket::Batch => (ThrottledBy::CatalogBatch, Bucket::Management),
            Bucket::Management => (ThrottledBy::CatalogManagement, Bucket::Batch),
        };
        match throttled {
            Some(by) if by != own => limiter.report(catalog, other, None, verdict),
            _ => Ok(()),
        }
    });
    if let Err(error) = heard {
        debug!(%error, "the limiter did not hear of the call");
    }
}

/// What the call means for its rows.
pub(super) fn judge(answered: Result<BatchAnswer, GraphFailure>) -> CallOutcome {
    let failure = match answered {
        Ok(answer) => return judge_answer(answer),
        Err(failure) => failure,
    };
    let reason = failure.to_string();
    match failure.class() {
        ErrorClass::Transient | ErrorClass::Unknown => match failure.kind() {
            FailureKind::Connect | FailureKind::NotSent => CallOutcome::NotSent { reason },
            _ => CallOutcome::Unknown { reason },
        },
        ErrorClass::Throttled(_) => CallOutcome::Throttled { reason },
        ErrorClass::ReduceData | ErrorClass::BadRequest => CallOutcome::RefusedWhole { reason, channel: false },
        ErrorClass::CatalogGone => CallOutcome::RefusedWhole { reason, channel: true },
        ErrorClass::PolicyBlocked | ErrorClass::TokenDead(_) | ErrorClass::Permission => {
            CallOutcome::Stopped(problem(&failure))
        }
        ErrorClass::AccountState(_) | ErrorClass::AppRejected => CallOutcome::Hindered(problem(&failure)),
    }
}

/// What an operator is told about a failure that a person has to mend.
pub(crate) fn problem(failure: &GraphFailure) -> Problem {
    let code = match failure.class() {
        ErrorClass::TokenDead(_) => "meta_token_dead",
        ErrorClass::Permission => "meta_permission",
        ErrorClass::PolicyBlocked => "meta_policy_block",
        ErrorClass::AccountState(_) => "meta_account_error",
        ErrorClass::AppRejected => "meta_app_rejected",
        ErrorClass::CatalogGone => "meta_catalog_gone",
        ErrorClass::Throttled(_) => "meta_throttled",
        ErrorClass::Transient | ErrorClass::Unknown => "meta_unreachable",
        ErrorClass::ReduceData | ErrorClass::BadRequest => "meta_refused",
    };
    Problem { code: code.into(), message: format!("{} ({failure})", failure.operator_hint()) }
}

fn judge_answer(answer: BatchAnswer) -> CallOutcome {
    let mut named: HashMap<String, String> = HashMap::new();
    for row in answer.validation {
        if let (Some(id), false) = (row.retailer_id, row.errors.is_empty()) {
            named.insert(id, row.errors.join("; "));
        }
    }
    // Meta documents one handle at most. Should there be more, nothing tells which row is in which: the submission
    // waits for all of them.
    if answer.handles.len() > 1 {
        warn!(handles = answer.handles.len(), "Meta answered with more than one handle");
    }
    match join_handles(&answer.handles) {
        Some(handle) => CallOutcome::Accepted { handle, refused: named },
        None => CallOutcome::NothingTaken { named },
    }
}
