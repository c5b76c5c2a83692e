//! `GET /{catalog}/check_batch_request_status`.

use serde_json::{Map, Value, json};

use crate::batch::{Batch, Finding, Forced, Outcome};
use crate::clock::Millis;
use crate::errors::{GraphError, Result};
use crate::faults::Kind;
use crate::fields;
use crate::params::Params;
use crate::world::World;

const FIELDS: &[&str] = &[
    "handle",
    "status",
    "errors",
    "errors_total_count",
    "warnings",
    "warnings_total_count",
    "ids_of_invalid_requests",
];

/// Answers one poll.
pub(crate) fn poll(world: &World, now: Millis, catalog: &str, params: &Params, faults: &[Kind]) -> Result<Value> {
    let handle = params.required("handle")?;
    let load_ids = params.flag("load_ids_of_invalid_requests", false)?;
    let with_warnings = match params.text("error_priority").as_deref() {
        None | Some("MEDIUM" | "LOW") => true,
        Some("HIGH") => false,
        Some(_) => {
            let message = "(#100) Param error_priority must be one of {HIGH, MEDIUM, LOW}";
            return Err(GraphError::parameter("error_priority", message));
        }
    };
    let asked: Vec<String> = match params.fields() {
        None => FIELDS.iter().map(|&name| name.to_owned()).collect(),
        Some(text) => fields::parse(&text)?.into_iter().map(|field| field.name).collect(),
    };
    if let Some(unknown) = asked.iter().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(GraphError::unknown_field(unknown, "CheckBatchRequestStatus"));
    }
    let found =
        world.batches.by_handle.get(&handle).filter(|batch| {
            batch.catalog == catalog && batch.accepted_at + world.config.times.handle_lifetime_ms > now
        });
    let batch = found.ok_or_else(|| GraphError::parameter("handle", "(#100) Invalid parameter: unknown handle"))?;

    let once = Forced::by(faults);
    let keep = once.keep_errors.or(batch.forced.keep_errors);
    let sample = world.config.rules.error_sample;
    let list = |findings: &[Finding], at_most: usize| -> Value {
        let shown = findings.iter().take(at_most);
        shown.map(|f| json!({"line": f.line, "id": f.id, "message": f.message})).collect()
    };
    let (disguised, told) = batch.errors.split_at(batch.disguised.min(batch.errors.len()));
    let mut values = Map::new();
    values.insert("handle".into(), handle.into());
    values.insert("status".into(), status(batch, &once, now).into());
    values.insert("errors".into(), list(told, keep.unwrap_or(sample)));
    values.insert("errors_total_count".into(), batch.errors.len().into());
    let warnings = if !with_warnings {
        json!([])
    } else if disguised.is_empty() {
        list(&batch.warnings, sample)
    } else {
        list(disguised, sample)
    };
    let count = if with_warnings { batch.warnings.len() + disguised.len() } else { 0 };
    values.insert("warnings".into(), warnings);
    values.insert("warnings_total_count".into(), count.into());
    let ids: Value = match (load_ids, keep) {
        // One entry per error, so an id with two errors is there twice.
        (true, None) => batch.errors.iter().map(|finding| finding.id.as_str()).collect(),
        _ => json!([]),
    };
    values.insert("ids_of_invalid_requests".into(), ids);
    values.retain(|name, _| asked.contains(name));
    Ok(json!({ "data": [values] }))
}

fn status(batch: &Batch, once: &Forced, now: Millis) -> String {
    let whole = (batch.finish_at - batch.accepted_at).max(1);
    let outcome = once.outcome.as_ref().or(batch.forced.outcome.as_ref());
    let ended = now >= batch.finish_at || once.outcome.is_some();
    let word = match (now - batch.accepted_at, outcome) {
        (_, Some(Outcome::NeverEnds)) if ended => "started",
        (_, Some(Outcome::Error)) if ended => "error",
        (_, Some(Outcome::Canceled)) if ended => "canceled",
        (_, Some(Outcome::Word(word))) if ended => word,
        _ if ended => "finished",
        (passed, _) if passed * 4 < whole => "scheduled",
        (passed, _) if passed * 2 < whole => "dispatched",
        _ => "started",
    };
    if once.uppercase || batch.forced.uppercase { word.to_uppercase() } else { word.to_owned() }
}
