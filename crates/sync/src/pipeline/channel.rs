//! What drain and poll both do after a call: report it to the limiter, derive the problem, store the budgets.

use meta_graph::{Bucket as ThrottledBy, ErrorClass, GraphFailure, Usage};
use tracing::debug;

use crate::actors::limiter::Limiter;
use crate::app::App;
use crate::domain::budget::{Bucket, CallReport};
use crate::domain::outcome::Problem;
use crate::store::{StoreError, Tx, limiter};

/// Reports a call on `catalog` that used `bucket` to the limiter.
///
/// A throttle closes the bucket that the call used. It also closes the other bucket, unless Meta's code names exactly
/// this catalog's bucket: an app or a user that is blocked gets the same answer there, and each further call makes the
/// block longer.
pub(super) fn report(limiter: &Limiter, catalog: &str, bucket: Bucket, answered: Result<&Usage, &GraphFailure>) {
    let usage = answered.unwrap_or_else(GraphFailure::usage);
    let percent = usage.percent_for(catalog);
    let throttled = answered.err().and_then(|failure| match failure.class() {
        ErrorClass::Throttled(by) => Some(by),
        _ => None,
    });
    let verdict = match throttled {
        Some(_) => CallReport::Throttled { regain: usage.regain_after() },
        None => CallReport::Success,
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
        debug!(%error, "call not reported to the limiter");
    }
}

/// Returns the problem that an operator reads for a failure.
pub(super) fn problem(failure: &GraphFailure) -> Problem {
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

/// Stores the limiter's budgets. When the limiter is down there is nothing to store: its last known budgets were stored
/// with the previous call.
pub(super) async fn save_budgets(app: &App, tx: &mut Tx) -> Result<(), StoreError> {
    if let Ok(rows) = app.limiter.snapshot().await {
        limiter::save(tx, &rows).await?;
    }
    Ok(())
}
