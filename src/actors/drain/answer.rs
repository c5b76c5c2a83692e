//! From what the Graph client brought home to what it means.

use std::collections::HashMap;

use crate::domain::budget::Verdict;
use crate::domain::outcome::{CallOutcome, Problem};
use crate::graph::{BatchAnswer, ErrorClass, FailureKind, GraphFailure, Usage};

/// What the limiter hears of a call.
pub(crate) struct Report {
    pub(crate) percent: Option<f64>,
    pub(crate) verdict: Verdict,
}

/// What the limiter hears of a call of `catalog`'s.
pub(super) fn report(answered: &Result<BatchAnswer, GraphFailure>, catalog: &str) -> Report {
    match answered {
        Ok(answer) => report_success(&answer.usage, catalog),
        Err(failure) => report_failure(failure, catalog),
    }
}

/// After a good answer.
pub(crate) fn report_success(usage: &Usage, catalog: &str) -> Report {
    Report { percent: usage.percent_for(catalog), verdict: Verdict::Success }
}

/// After a failure.
pub(crate) fn report_failure(failure: &GraphFailure, catalog: &str) -> Report {
    let verdict = match failure.class() {
        ErrorClass::Throttled(_) => Verdict::Throttled { regain: failure.usage().regain_after() },
        _ => Verdict::Success,
    };
    Report { percent: failure.usage().percent_for(catalog), verdict }
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
        ErrorClass::PolicyBlocked
        | ErrorClass::TokenDead(_)
        | ErrorClass::Permission
        | ErrorClass::AccountState(_)
        | ErrorClass::AppRejected => CallOutcome::Stopped(problem(&failure)),
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
    // Meta documents one handle at most.
    match answer.handles.into_iter().next() {
        Some(handle) => CallOutcome::Accepted { handle, refused: named },
        None => CallOutcome::NothingTaken { named },
    }
}
