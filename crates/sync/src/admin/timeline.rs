//! What became of one variant, the latest first: what was asked, what was sent, what Meta said.
//!
//! It is read from rows that the pipeline needs anyway, so it reaches back as far as they are kept: intents for some weeks,
//! calls for some days.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AdminError;
use super::intents::not_found;
use super::time::iso;
use crate::app::App;
use crate::clock::Millis;
use crate::domain::verdict::VERDICT_INCOMPLETE;
use crate::store::items;
use crate::store::timeline::{self, PastCall, PastIntent};
use meta_graph::shown_cleaned;

/// The most intents that are looked at.
const MOST: i64 = 25;

/// The words for what an event is.
pub const KINDS: [&str; 7] = ["queued", "held", "released", "parked", "decided", "sent", "verdict"];

/// Something that happened to a variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimelineEvent {
    /// When, ISO 8601.
    pub at: Option<String>,
    /// `queued`, `held` (by the mass-delete guard), `released`, `parked` (after too many faults), `decided` (without a call),
    /// `sent` or `verdict`.
    #[schema(schema_with = super::schema::timeline_kind)]
    pub kind: &'static str,
    /// `upsert` or `delete`.
    pub intent: String,
    /// Of `queued`: `event`, `operator`, `import`, `window`, `recovery` or `drift`.
    pub origin: Option<String>,
    /// Of `queued`: whether it is still open.
    pub open: bool,
    /// Of `decided`: `noop`, `skipped`, `dropped`, `previewed`, `requeued` or `failed`; of `sent`: `taken`, `refused` or
    /// `nothing_taken`; of `verdict`: `synced`, `deleted`, `failed` or `unknown`.
    pub outcome: Option<String>,
    /// What Meta, the mapper or the service said.
    pub message: Option<String>,
    /// The submission, of `sent` and `verdict`.
    pub submission: Option<String>,
}

/// Returns what became of a variant, the latest first.
///
/// # Errors
/// [`AdminError::NotFound`] when the variant is neither in the source nor has a state row.
pub async fn timeline(app: &App, variant_id: &str) -> Result<Vec<TimelineEvent>, AdminError> {
    let mut tx = app.db.read().await?;
    if !items::unknown(&mut tx, &[variant_id.to_owned()]).await?.is_empty() {
        return Err(not_found(variant_id));
    }
    let intents = timeline::intents(&mut tx, variant_id, MOST).await?;
    let recorded: BTreeSet<Millis> = intents.iter().filter_map(|intent| intent.processed_at).collect();
    let recorded: Vec<Millis> = recorded.into_iter().collect();
    let calls = timeline::calls(&mut tx, variant_id, &recorded).await?;
    drop(tx);
    Ok(events(variant_id, &intents, &calls))
}

/// Puts the rows into one order.
fn events(variant_id: &str, intents: &[PastIntent], calls: &[PastCall]) -> Vec<TimelineEvent> {
    let calls: HashMap<Millis, &PastCall> = calls.iter().filter_map(|call| Some((call.recorded_at()?, call))).collect();
    let mut known = Vec::new();
    // Intents that were processed together were sent once.
    let mut told = BTreeSet::new();
    for intent in intents {
        let event = |at: Millis, kind| {
            (
                at,
                intent.seq,
                TimelineEvent {
                    at: iso(at),
                    kind,
                    intent: intent.intent.clone(),
                    origin: None,
                    open: false,
                    outcome: None,
                    message: None,
                    submission: None,
                },
            )
        };
        let mut queued = event(intent.enqueued_at, "queued");
        queued.2.origin = Some(intent.origin.clone());
        queued.2.open = intent.processed_at.is_none();
        if intent.processed_at.is_none() && intent.parked_at.is_none() {
            queued.2.message.clone_from(&intent.last_error);
        }
        known.push(queued);
        known.extend(intent.held_at.map(|at| event(at, "held")));
        known.extend(intent.released_at.map(|at| event(at, "released")));
        if let Some(at) = intent.parked_at {
            let mut parked = event(at, "parked");
            parked.2.message.clone_from(&intent.last_error);
            known.push(parked);
        }
        let Some(at) = intent.processed_at else { continue };
        if !told.insert(at) {
            continue;
        }
        let outcome = intent.outcome.clone().unwrap_or_default();
        let call = calls.get(&at).copied();
        if outcome != "submitted" && !(outcome == "failed" && call.is_some()) {
            let mut decided = event(at, "decided");
            decided.2.outcome = Some(outcome);
            known.push(decided);
            continue;
        }
        let mut taken = event(at, "sent");
        let sent = &mut taken.2;
        let is_taken = outcome == "submitted";
        sent.outcome = Some(
            match call {
                _ if is_taken => "taken",
                Some(PastCall { handle: Some(_), .. }) => "refused",
                _ => "nothing_taken",
            }
            .into(),
        );
        sent.submission = call.map(|call| call.id.clone());
        if !is_taken {
            sent.message = call.and_then(|call| call.reason.clone());
        }
        known.push(taken);
        if let Some((call, at)) = call.filter(|_| is_taken).and_then(|call| Some((call, call.completed_at?))) {
            let mut closed = event(at, "verdict");
            let (outcome, message) = verdict_of(variant_id, &intent.intent, call);
            closed.2.outcome = Some(outcome.into());
            closed.2.message = message;
            closed.2.submission = Some(call.id.clone());
            known.push(closed);
        }
    }
    // At one instant, what belongs to a later intent is the latest, and then what comes last in an intent's life.
    let rank = |event: &TimelineEvent| KINDS.iter().position(|kind| *kind == event.kind);
    known.sort_by_key(|(at, seq, event)| std::cmp::Reverse((*at, *seq, rank(event))));
    known.into_iter().map(|(_, _, event)| event).collect()
}

/// The part of a stored verdict that is read here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Kept {
    errors: Vec<Message>,
    warnings: Vec<Message>,
    ids_of_invalid_requests: Vec<String>,
}

#[derive(Deserialize)]
struct Message {
    id: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

/// What a closed call means for the variant, and what Meta said of it.
fn verdict_of(variant_id: &str, intent: &str, call: &PastCall) -> (&'static str, Option<String>) {
    let kept: Kept = call.errors.as_deref().and_then(|kept| serde_json::from_str(kept).ok()).unwrap_or_default();
    let cleaned = shown_cleaned([variant_id].into_iter());
    let is_ours = |id: &str| id == variant_id || cleaned.contains_key(id);
    let said = |messages: &[Message]| {
        let ours = messages.iter().filter(|one| one.id.as_deref().is_some_and(is_ours));
        let texts: Vec<&str> = ours.filter_map(|one| one.message.as_deref()).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    };
    let error = said(&kept.errors);
    let is_named = error.is_some() || kept.ids_of_invalid_requests.iter().any(|id| is_ours(id));
    match call.reason.as_deref() {
        _ if is_named => ("failed", error),
        Some(VERDICT_INCOMPLETE) => ("unknown", Some(VERDICT_INCOMPLETE.to_owned())),
        Some(reason) => ("failed", Some(reason.to_owned())),
        None if intent == "delete" => ("deleted", None),
        None => ("synced", said(&kept.warnings)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn intent(seq: i64, processed: Option<(i64, &str)>) -> PastIntent {
        PastIntent {
            seq,
            intent: "upsert".into(),
            origin: "event".into(),
            enqueued_at: seq,
            processed_at: processed.map(|(at, _)| at),
            outcome: processed.map(|(_, outcome)| outcome.into()),
            last_error: None,
            held_at: None,
            released_at: None,
            parked_at: None,
        }
    }

    fn call(handle: Option<&str>, at: i64, completed_at: Option<i64>) -> PastCall {
        PastCall {
            id: format!("call-{at}"),
            state: "pending".into(),
            handle: handle.map(str::to_owned),
            submitted_at: at,
            completed_at,
            reason: None,
            errors: None,
        }
    }

    fn told(intents: &[PastIntent], calls: &[PastCall]) -> Vec<String> {
        let word = |event: TimelineEvent| {
            let parts = [Some(event.kind.to_owned()), event.outcome, event.message];
            parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
        };
        events("v", intents, calls).into_iter().map(word).collect()
    }

    #[test]
    fn intents_that_were_sent_together_are_one_call() {
        let intents = [intent(3, None), intent(2, Some((10, "submitted"))), intent(1, Some((10, "submitted")))];
        let mut known = call(Some("h"), 10, Some(20));
        known.errors = Some(json!({"errors": [{"id": "w", "line": 1, "message": "not ours"}]}).to_string());
        assert_eq!(told(&intents, &[known]), ["verdict synced", "sent taken", "queued", "queued", "queued"]);
        // Older than what is kept of the calls.
        assert_eq!(told(&intents[1..], &[]), ["sent taken", "queued", "queued"]);
        assert_eq!(told(&intents[1..2], &[call(Some("h"), 10, None)]), ["sent taken", "queued"], "no verdict yet");
    }

    #[test]
    fn a_decision_without_a_call_and_refusals_are_told_apart() {
        for (outcome, known, expected) in [
            ("noop", None, "decided noop"),
            ("skipped", Some(call(Some("h"), 10, Some(20))), "decided skipped"),
            ("failed", None, "decided failed"),
            ("failed", Some(call(Some("h"), 10, Some(20))), "sent refused"),
            (
                "failed",
                Some(PastCall { reason: Some("not taken".into()), ..call(None, 5, Some(10)) }),
                "sent nothing_taken not taken",
            ),
        ] {
            let known: Vec<PastCall> = known.into_iter().collect();
            assert_eq!(told(&[intent(1, Some((10, outcome)))], &known), [expected, "queued"]);
        }
    }

    #[test]
    fn a_verdict_is_the_variants_own() {
        let of = |intent: &str, reason: Option<&str>, errors: serde_json::Value| {
            let closed = call(Some("h"), 10, Some(20));
            let closed = PastCall { reason: reason.map(str::to_owned), errors: Some(errors.to_string()), ..closed };
            verdict_of("v", intent, &closed)
        };
        let named = json!({"errors": [{"id": "v", "line": null, "message": "no image"}, {"id": null, "message": "x"}]});
        assert_eq!(of("upsert", None, named.clone()), ("failed", Some("no image".into())));
        assert_eq!(of("upsert", Some(VERDICT_INCOMPLETE), named), ("failed", Some("no image".into())));
        assert_eq!(of("upsert", None, json!({"ids_of_invalid_requests": ["v"]})), ("failed", None));
        assert_eq!(of("upsert", Some(VERDICT_INCOMPLETE), json!({})).0, "unknown");
        assert_eq!(of("upsert", Some("canceled"), json!({})), ("failed", Some("canceled".into())));
        assert_eq!(of("delete", None, json!({})), ("deleted", None));
        let warned = json!({"warnings": [{"id": "v", "message": "small image"}]});
        assert_eq!(of("upsert", None, warned), ("synced", Some("small image".into())));
        assert_eq!(of("upsert", None, json!("nonsense")), ("synced", None));
    }

    #[test]
    fn an_open_intent_tells_its_last_fault() {
        let fault = || Some("the mapper stopped".to_owned());
        let open = PastIntent { last_error: fault(), ..intent(1, None) };
        assert_eq!(told(std::slice::from_ref(&open), &[]), ["queued the mapper stopped"]);
        let parked = PastIntent { parked_at: Some(9), held_at: Some(3), released_at: Some(5), ..open };
        assert_eq!(told(&[parked], &[]), ["parked the mapper stopped", "released", "held", "queued"]);
    }
}
