//! The submissions as a page shows them: by time, with the numbers of their errors, and one with what Meta said of it.
//!
//! Promises: a page of the list costs the same wherever it begins, and reads no verdict as a whole.
//! Left out on purpose: the list of the API, which is paged by numbers ([`super::queue`]).

use serde_json::Value;

use super::AdminError;
use super::audit::{Act, Action, recorded};
use crate::app::App;
use crate::clock::Millis;
use crate::store::submission::{self, Told};
pub use crate::store::submission::{Recent, Show};

/// A part of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentPage {
    /// Submissions, the latest first.
    pub rows: Vec<Recent>,
    /// The place after which the next part begins; `None` when there is none.
    pub next: Option<String>,
}

/// Lists submissions after a place, the latest first.
///
/// # Errors
/// [`AdminError::Invalid`] for a place that this list never gave.
pub async fn recent(app: &App, show: Show, after: Option<&str>, most: usize) -> Result<RecentPage, AdminError> {
    let before = match after.filter(|after| !after.is_empty()) {
        None => None,
        Some(after) => Some(read(after).ok_or_else(|| AdminError::invalid("the place in the list is not valid"))?),
    };
    let mut tx = app.db.read().await?;
    let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows = submission::recent(&mut tx, show, before, limit).await?;
    let has_more = rows.len() > most;
    rows.truncate(most);
    let next = rows.last().filter(|_| has_more).map(|last| format!("{}.{}", last.submitted_at, last.id));
    Ok(RecentPage { rows, next })
}

/// Reads a place: the time of a submission and its id.
fn read(place: &str) -> Option<(Millis, &str)> {
    let (at, id) = place.split_once('.')?;
    let is_id = id.len() <= 100 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    Some((at.parse().ok()?, id)).filter(|_| is_id)
}

/// One thing that Meta said of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The variant, if Meta names one.
    pub variant_id: Option<String>,
    /// What it said.
    pub message: String,
}

/// A submission with what Meta said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The submission.
    pub about: Recent,
    /// The catalog it was made for.
    pub catalog_id: String,
    /// A sample of the errors.
    pub errors: Vec<Said>,
    /// A sample of the warnings.
    pub warnings: Vec<Said>,
}

/// Most errors, and most warnings, of one submission.
const SAMPLE: usize = 100;

/// Returns a submission.
///
/// # Errors
/// [`AdminError::NotFound`] when it is not kept any more.
pub async fn find(app: &App, id: &str) -> Result<Submission, AdminError> {
    let mut tx = app.db.read().await?;
    let Some(Told { submission, catalog_id, verdict }) = submission::find(&mut tx, id).await? else {
        return Err(AdminError::NotFound(
            "this submission is not kept any more; they go some days after their verdict".into(),
        ));
    };
    let verdict: Value = verdict.and_then(|verdict| serde_json::from_str(&verdict).ok()).unwrap_or_default();
    Ok(Submission {
        about: submission,
        catalog_id,
        errors: said(&verdict["errors"]),
        warnings: said(&verdict["warnings"]),
    })
}

fn said(list: &Value) -> Vec<Said> {
    let one = |one: &Value| Said {
        variant_id: one["id"].as_str().map(str::to_owned),
        message: one["message"].as_str().unwrap_or_default().to_owned(),
    };
    list.as_array().into_iter().flatten().take(SAMPLE).map(one).collect()
}

/// Asks for the verdicts of all open submissions at once, without the pauses between two questions; returns their number.
///
/// # Errors
/// When the database query fails.
pub async fn ask_again(app: &App) -> Result<u64, AdminError> {
    let work = async {
        let mut tx = app.db.write().await?;
        let open = submission::ask_again(&mut tx).await?;
        tx.commit().await?;
        app.wake.poll.nudge();
        Ok(open)
    };
    recorded(app, Act::new(Action::VerdictsAsked), work, |open, details| details.add("submissions", *open)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_that_was_given() {
        assert_eq!(read("17.0199-a"), Some((17, "0199-a")));
        for other in ["", "17", "x.a", "17.a b", "17.\0", "17.a.b"] {
            assert_eq!(read(other), None, "{other:?}");
        }
    }

    #[test]
    fn what_meta_said_is_a_sample() {
        let many: Vec<Value> =
            (0..500).map(|n| serde_json::json!({"id": n.to_string(), "line": 1, "message": "m"})).collect();
        assert_eq!(said(&many.into()).len(), SAMPLE);
        assert_eq!(said(&Value::Null), []);
        let odd = serde_json::json!([{"id": null, "message": null}]);
        assert_eq!(said(&odd), [Said { variant_id: None, message: String::new() }]);
    }
}
