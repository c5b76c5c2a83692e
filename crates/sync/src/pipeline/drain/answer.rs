//! From the Graph client's result to the outcome of a call.

use std::collections::HashMap;

use meta_graph::{BatchAnswer, ErrorClass, GraphFailure};
use tracing::warn;

use crate::domain::outcome::CallOutcome;
use crate::pipeline::channel::problem;
use crate::report::{LONGEST_MESSAGE, clip};
use crate::store::submission::join_handles;

/// Returns the outcome of the call for its rows.
pub(super) fn judge(answered: Result<BatchAnswer, GraphFailure>) -> CallOutcome {
    let failure = match answered {
        Ok(answer) => return judge_answer(answer),
        Err(failure) => failure,
    };
    let reason = failure.to_string();
    match failure.class() {
        ErrorClass::Transient | ErrorClass::Unknown if failure.outcome_unknown() => CallOutcome::Unknown { reason },
        ErrorClass::Transient | ErrorClass::Unknown => CallOutcome::NotSent { reason },
        ErrorClass::Throttled(_) => CallOutcome::Throttled { reason },
        ErrorClass::ReduceData | ErrorClass::BadRequest => CallOutcome::RefusedWhole { reason, channel: false },
        ErrorClass::CatalogGone => CallOutcome::RefusedWhole { reason, channel: true },
        ErrorClass::PolicyBlocked | ErrorClass::TokenDead(_) | ErrorClass::Permission => {
            CallOutcome::Stopped(problem(&failure))
        }
        ErrorClass::AccountState(_) | ErrorClass::AppRejected => CallOutcome::Hindered(problem(&failure)),
    }
}

fn judge_answer(answer: BatchAnswer) -> CallOutcome {
    let mut named: HashMap<String, String> = HashMap::new();
    for row in answer.validation {
        if let (Some(id), false) = (row.retailer_id, row.errors.is_empty()) {
            named.insert(id, clip(&row.errors.join("; "), LONGEST_MESSAGE).into_owned());
        }
    }
    // Meta documents at most one handle. With several handles, the answer does not say which row belongs to which
    // handle: the submission waits for all of them.
    if answer.handles.len() > 1 {
        warn!(handles = answer.handles.len(), "Meta returned more than one handle");
    }
    match join_handles(&answer.handles) {
        Some(handle) => CallOutcome::Accepted { handle, refused: named },
        None => CallOutcome::NothingTaken { named },
    }
}
