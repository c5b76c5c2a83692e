//! `POST /{catalog}/items_batch`: accepts a batch. Its later processing is in [`crate::processing`].

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::calls::LoggedRow;
use crate::clock::Millis;
use crate::errors::{GraphError, Result};
use crate::faults::Kind;
use crate::items::Fields;
use crate::judge;
use crate::params::Params;
use crate::world::World;

/// What a row asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Create,
    Update,
    Delete,
}

/// A row that passed validation.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its position in the call.
    pub(crate) line: usize,
    pub(crate) method: Method,
    pub(crate) id: String,
    pub(crate) data: Fields,
}

/// The effect of a planned fault on a batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forced {
    /// The status shown instead of the real one, once processing has started or ended.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) uppercase: bool,
    pub(crate) keep_errors: Option<usize>,
    pub(crate) delay: Millis,
}

/// A batch end other than a normal finish.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    NeverEnds,
    Error,
    Canceled,
    Word(String),
}

impl Forced {
    pub(crate) fn by(faults: &[Kind]) -> Self {
        let mut forced = Self::default();
        for fault in faults {
            match fault {
                Kind::HandleNeverEnds {} => forced.outcome = Some(Outcome::NeverEnds),
                Kind::HandleError {} => forced.outcome = Some(Outcome::Error),
                Kind::HandleCanceled {} => forced.outcome = Some(Outcome::Canceled),
                Kind::StatusUnknown { word } => forced.outcome = Some(Outcome::Word(word.clone())),
                Kind::StatusUppercase {} => forced.uppercase = true,
                Kind::IncompleteErrors { keep } => forced.keep_errors = Some(*keep),
                Kind::HandleSlow { ms } => forced.delay = *ms,
                _ => {}
            }
        }
        forced
    }

    /// Nothing of the batch is saved.
    pub(crate) fn stops_processing(&self) -> bool {
        matches!(self.outcome, Some(Outcome::NeverEnds | Outcome::Error | Outcome::Canceled))
    }
}

/// One entry of `errors` or `warnings` in a poll.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) line: usize,
    pub(crate) id: String,
    pub(crate) message: String,
}

/// An accepted batch.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) catalog: String,
    pub(crate) accepted_at: Millis,
    pub(crate) finish_at: Millis,
    pub(crate) allow_upsert: bool,
    /// Emptied by processing.
    pub(crate) rows: Vec<Row>,
    pub(crate) errors: Vec<Finding>,
    pub(crate) warnings: Vec<Finding>,
    /// Errors that are listed under `warnings`, before the real warnings.
    pub(crate) disguised: usize,
    pub(crate) forced: Forced,
}

/// All batches by handle, and the pending work.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    pub(crate) by_handle: HashMap<String, Batch>,
    /// Handles not processed yet, in the order of acceptance.
    pub(crate) pending: Vec<String>,
    /// Items to publish: when, of which catalog, which.
    pub(crate) unpublished: Vec<(Millis, String, Vec<String>)>,
}

/// The parsed call: its rows, separate from the world.
pub(crate) struct Call {
    records: Vec<Value>,
    allow_upsert: bool,
    /// For the log.
    pub(crate) logged: Vec<LoggedRow>,
}

impl Call {
    /// Parses the parameters. Records are checked one by one later: a bad record does not fail the call.
    pub(crate) fn read(params: &mut Params, max_records: usize) -> Result<Self> {
        const TYPES: &[&str] = &[
            "PRODUCT_ITEM",
            "APP_AND_SOFTWARE",
            "DESTINATION",
            "FLIGHT",
            "HOME_LISTING",
            "HOTEL",
            "HOTEL_ROOM",
            "MEDIA_TITLE",
            "STORE_PRODUCT_ITEM",
            "VEHICLE",
            "VEHICLE_OFFER",
        ];
        let item_type = params.required("item_type")?;
        if !TYPES.contains(&item_type.as_str()) {
            let message = format!("(#100) Param item_type must be one of {{{}}}", TYPES.join(", "));
            return Err(GraphError::parameter("item_type", message));
        }
        if item_type != "PRODUCT_ITEM" {
            let message = format!("(#100) The catalog's vertical has no items of type {item_type}");
            return Err(GraphError::parameter("item_type", message));
        }
        let allow_upsert = params.flag("allow_upsert", true)?;
        let records = match params.take_json("requests")? {
            None => return Err(GraphError::required("requests")),
            Some(Value::Array(records)) => records,
            Some(_) => {
                return Err(GraphError::parameter("requests", "(#100) Param requests must be an array."));
            }
        };
        if records.is_empty() {
            return Err(GraphError::parameter("requests", "(#100) Param requests must not be empty"));
        }
        if records.len() > max_records {
            let message =
                format!("(#100) Param requests has {} records, at most {max_records} are allowed", records.len());
            return Err(GraphError::parameter("requests", message));
        }
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(Box::<str>::from);
        let logged = records.iter().map(|record| LoggedRow {
            method: text(record.get("method")).unwrap_or_default(),
            id: text(record.pointer("/data/id")),
        });
        Ok(Self { logged: logged.collect(), records, allow_upsert })
    }
}

/// The validation result of one record.
#[derive(Debug, Default)]
struct Status {
    id: Option<String>,
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Status {
    fn body(&self) -> Value {
        let list = |texts: &[String]| texts.iter().map(|text| json!({"message": text})).collect::<Vec<_>>();
        let mut body = json!({ "retailer_id": self.id });
        if !self.errors.is_empty() {
            body["errors"] = list(&self.errors).into();
        }
        if !self.warnings.is_empty() {
            body["warnings"] = list(&self.warnings).into();
        }
        body
    }
}

/// Accepts the batch: validates each record and opens a handle for the valid ones.
pub(crate) fn submit(world: &mut World, now: Millis, catalog: &str, call: Call, faults: &[Kind]) -> Value {
    let mut rows = Vec::with_capacity(call.records.len());
    let mut statuses = Vec::new();
    for (line, record) in call.records.into_iter().enumerate() {
        let (row, mut status) = validate(line, record);
        if let Some(message) = planned_refusal(faults, status.id.as_deref()) {
            status.errors.push(message);
        }
        let good = status.errors.is_empty();
        if !good || !status.warnings.is_empty() {
            statuses.push(status.body());
        }
        rows.extend(row.filter(|_| good));
    }
    if faults.contains(&(Kind::HandlesEmpty {})) {
        rows.clear();
    }
    let mut handles = Vec::new();
    world.calls.counters.batch_rows += rows.len() as u64;
    if faults.contains(&(Kind::TwoHandles {})) && rows.len() > 1 {
        let second = rows.split_off(rows.len() / 2);
        handles.push(open(world, now, catalog, rows, call.allow_upsert, faults));
        handles.push(open(world, now, catalog, second, call.allow_upsert, faults));
    } else if !rows.is_empty() {
        handles.push(open(world, now, catalog, rows, call.allow_upsert, faults));
    }
    let mut body = json!({ "handles": handles });
    if !statuses.is_empty() && !world.config.switches.omit_validation_status {
        body["validation_status"] = statuses.into();
    }
    body
}

fn open(world: &mut World, now: Millis, catalog: &str, rows: Vec<Row>, allow_upsert: bool, faults: &[Kind]) -> String {
    let forced = Forced::by(faults);
    let handle = world.ids.opaque("Ac", 100);
    let batch = Batch {
        catalog: catalog.to_owned(),
        accepted_at: now,
        finish_at: now + world.config.times.processing_ms + forced.delay,
        allow_upsert,
        rows,
        errors: Vec::new(),
        warnings: Vec::new(),
        disguised: 0,
        forced,
    };
    world.batches.by_handle.insert(handle.clone(), batch);
    world.batches.pending.push(handle.clone());
    handle
}

fn planned_refusal(faults: &[Kind], id: Option<&str>) -> Option<String> {
    faults.iter().find_map(|fault| match fault {
        Kind::ValidationErrors { ids, message } if ids.iter().any(|planned| Some(planned.as_str()) == id) => {
            Some(message.clone())
        }
        _ => None,
    })
}

fn validate(line: usize, record: Value) -> (Option<Row>, Status) {
    let mut status = Status::default();
    let Value::Object(mut record) = record else {
        status.errors.push("A request must be an object with `method` and `data`".into());
        return (None, status);
    };
    let method = match record.get("method").and_then(Value::as_str) {
        Some("CREATE") => Some(Method::Create),
        Some("UPDATE") => Some(Method::Update),
        Some("DELETE") => Some(Method::Delete),
        other => {
            let given = other.unwrap_or("nothing");
            status.errors.push(format!("Invalid method: {given}. It must be one of CREATE, UPDATE, DELETE"));
            None
        }
    };
    for name in record.keys().filter(|name| !matches!(name.as_str(), "method" | "data")) {
        status.warnings.push(format!("Unrecognised field: A request contains unrecognised field: '{name}'"));
    }
    let Some(Value::Object(data)) = record.remove("data") else {
        status.errors.push("A required field is missing: data".into());
        return (None, status);
    };
    let id = match data.get("id") {
        Some(Value::String(id)) if !id.trim().is_empty() => id.clone(),
        Some(Value::String(_)) | None => {
            status.errors.push("A required field is missing: id".into());
            return (None, status);
        }
        Some(_) => {
            status.errors.push("Invalid value for id: it must be a string".into());
            return (None, status);
        }
    };
    status.id = Some(id.clone());
    if id.chars().count() > 100 {
        status.errors.push("Invalid value for id: at most 100 characters are allowed".into());
    }
    status.warnings.extend(
        judge::unknown_fields(&data)
            .map(|name| format!("Unrecognised field: A request for item {id} contains unrecognised field: '{name}'")),
    );
    let row = method.map(|method| Row { line, method, id, data });
    (row, status)
}
