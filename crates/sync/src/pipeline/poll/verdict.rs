//! From a poll answer to rows: Meta's answer, the verdict, and the transaction that records it.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::app::App;
use crate::domain::cause;
use crate::domain::intent::{Intent, Origin};
use crate::domain::settings::Settings;
use crate::domain::state::SyncStatus;
use crate::domain::verdict::{PollAnswer, VERDICT_INCOMPLETE, Verdict, judge};
use crate::failpoints::{Point, at};
use crate::store::lease::Fence;
use crate::store::mapper::{self, MappedWith};
use crate::store::submission::{self, RowVerdict, Submission, Tally};
use crate::store::{StoreError, outbox};
use meta_graph::{BatchState, BatchStatus, RowMessage, shown_cleaned};

/// Returns the verdict that Meta's answer means for this submission.
pub(super) fn judge_status(status: &BatchStatus, call: &Submission) -> Verdict {
    let cleaned = shown_cleaned(call.rows.iter().map(|row| row.0.as_str()));
    let ours = |id: &String| cleaned.get(id).map_or_else(|| id.clone(), |ours| (*ours).to_owned());
    let answer = PollAnswer {
        status: match &status.state {
            BatchState::Scheduled => "scheduled".into(),
            BatchState::Dispatched => "dispatched".into(),
            BatchState::Started => "started".into(),
            BatchState::Finished => "finished".into(),
            BatchState::Canceled => "canceled".into(),
            BatchState::Error => "error".into(),
            BatchState::Other(word) => word.clone(),
        },
        // An error without an id names no row: it counts as not listed.
        errors: status.errors.iter().filter_map(|row| Some((ours(row.id.as_ref()?), row.message.clone()))).collect(),
        errors_total_count: status.errors_total_count,
        ids_of_invalid_requests: status.ids_of_invalid_requests.iter().map(ours).collect(),
    };
    let rows: HashSet<&str> = call.rows.iter().map(|row| row.0.as_str()).collect();
    judge(&answer, &rows)
}

/// The most errors, and the most warnings, of one answer that are stored. Meta's own list is a sample too.
const MOST_KEPT: usize = 1_000;

/// Returns the part of Meta's answers, one answer per handle, that is stored in the `errors` column.
pub(super) fn kept(parts: &[BatchStatus]) -> Value {
    let messages = |rows: fn(&BatchStatus) -> &[RowMessage]| -> Vec<Value> {
        let message = |row: &RowMessage| json!({"id": row.id, "line": row.line, "message": row.message});
        parts.iter().flat_map(|part| rows(part).iter().take(MOST_KEPT)).map(message).collect()
    };
    let sum = |count: fn(&BatchStatus) -> u64| parts.iter().map(count).fold(0, u64::saturating_add);
    json!({
        "errors": messages(|part| &part.errors),
        "errors_total_count": sum(|part| part.errors_total_count),
        "warnings": messages(|part| &part.warnings),
        "warnings_total_count": sum(|part| part.warnings_total_count),
        "ids_of_invalid_requests":
            parts.iter().flat_map(|part| part.ids_of_invalid_requests.iter().take(meta_graph::MAX_ROWS)).collect::<Vec<_>>(),
    })
}

/// Returns the verdict's name for logs.
pub(super) fn name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Open => "open",
        Verdict::Settled { .. } => "settled",
        Verdict::Incomplete { .. } => "incomplete",
        Verdict::NotRun { reason } => reason,
    }
}

/// Returns the deletes that Meta reported with an error, or that an incomplete list leaves open. Only the catalog shows
/// whether they are done: a delete whose item is absent is done in spite of the error.
pub(super) fn doubtful_deletes(call: &Submission, verdict: &Verdict) -> Vec<String> {
    let (named, incomplete) = match verdict {
        Verdict::Settled { failed } => (failed, false),
        Verdict::Incomplete { named } => (named, true),
        Verdict::Open | Verdict::NotRun { .. } => return Vec::new(),
    };
    let doubtful = |id: &String| incomplete || named.contains_key(id);
    call.rows.iter().filter(|row| row.is_delete() && doubtful(&row.0)).map(|row| row.0.clone()).collect()
}

/// Records a final verdict in one transaction: rows, fresh intents, the submission.
#[expect(clippy::too_many_arguments, reason = "one verdict with everything it rests on")]
pub(super) async fn record(
    app: &App,
    fence: &Fence,
    settings: &Settings,
    call: &Submission,
    handle: &str,
    verdict: &Verdict,
    absent: &HashSet<String>,
    errors: Option<Value>,
) -> Result<(), StoreError> {
    let now = app.now();
    let none = HashMap::new();
    let (named, others, again): (&HashMap<String, String>, Option<String>, bool) = match verdict {
        Verdict::Open => return Ok(()),
        Verdict::Settled { failed: named } => (named, None, false),
        Verdict::Incomplete { named } => (named, Some(VERDICT_INCOMPLETE.into()), false),
        Verdict::NotRun { reason } => (&none, Some((*reason).into()), true),
    };
    let rows: Vec<RowVerdict<'_>> = call
        .rows
        .iter()
        .map(|row| {
            let error = named.get(&row.0).or(others.as_ref()).map(String::as_str);
            let gone = row.is_delete() && (error.is_none() || absent.contains(&row.0));
            RowVerdict {
                variant_id: &row.0,
                status: match error {
                    _ if gone => SyncStatus::Deleted,
                    None => SyncStatus::Synced,
                    Some(_) => SyncStatus::Failed,
                },
                error: error.filter(|_| !gone),
                fields: row.3,
                cause: error.filter(|_| !gone).map(|error| match named.get(&row.0) {
                    Some(message) => cause::of_meta(message),
                    None => cause::of_service(error),
                }),
            }
        })
        .collect();

    let mut tx = fence.begin(&app.db, None).await?;
    let changed = submission::apply_verdict(&mut tx, handle, &rows, now).await?;
    let failed: Vec<&str> = rows
        .iter()
        .zip(&call.rows)
        .filter(|(verdict, row)| verdict.status == SyncStatus::Failed && row.1.intent() == Intent::Upsert)
        .filter(|(verdict, _)| changed.contains_key(verdict.variant_id))
        .map(|(verdict, _)| verdict.variant_id)
        .collect();
    // A changed setting requeues these rows without this: they are `submitted` during its re-ask.
    let with = MappedWith { digest: call.mapper_digest.as_deref().unwrap_or_default(), settings: None };
    mapper::ask_again_if_replaced(&mut tx, with, &failed, now).await?;
    if again {
        let limit = settings.max_attempts;
        for intent in [Intent::Delete, Intent::Upsert] {
            let mut ids: Vec<String> = call
                .rows
                .iter()
                .filter(|row| row.1.intent() == intent)
                .filter(|row| changed.get(&row.0).is_some_and(|attempts| *attempts < limit))
                .map(|row| row.0.clone())
                .collect();
            ids.sort_unstable();
            if !ids.is_empty() {
                outbox::append(&mut tx, &ids, intent, Origin::Recovery, now).await?;
            }
        }
    }
    let reason = match verdict {
        Verdict::NotRun { reason } => Some(*reason),
        Verdict::Incomplete { .. } => Some(VERDICT_INCOMPLETE),
        Verdict::Open | Verdict::Settled { .. } => None,
    };
    let tally = matches!(verdict, Verdict::Settled { .. } | Verdict::Incomplete { .. }).then(|| {
        let changed = || rows.iter().filter(|row| changed.contains_key(row.variant_id));
        let is_refused = |row: &&RowVerdict<'_>| row.status == SyncStatus::Failed && named.contains_key(row.variant_id);
        Tally {
            confirmed: changed().filter(|row| row.status != SyncStatus::Failed).count(),
            refused: changed().filter(is_refused).count(),
        }
    });
    submission::close_with(&mut tx, &call.id, reason, errors.as_ref(), tally, now).await?;
    at(Point::PollRecording).await;
    tx.commit().await?;
    app.states_changed();
    at(Point::PollRecorded).await;
    Ok(())
}
