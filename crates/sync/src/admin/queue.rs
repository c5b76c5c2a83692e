//! The open intents and the submissions, as lists.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::AdminError;
use super::items::{Listed, Page};
use super::time::iso;
use crate::app::App;
use crate::domain::intent::Lane;
use crate::store::intents::{self, IntentRow, Standing};
use crate::store::submission::{self, Listing};

/// The words for what becomes of an open intent.
pub const STANDINGS: [&str; 3] = ["live", "held", "parked"];
/// The states of a submission.
pub const STATES: [&str; 4] = ["sending", "pending", "completed", "failed"];

/// An open intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntentView {
    /// Its number; the intents of a lane are processed in the order of their numbers.
    pub seq: i64,
    /// The variant's id.
    pub variant_id: String,
    /// `upsert` or `delete`.
    pub intent: String,
    /// `event`, `operator`, `import`, `window` (a sale begins or ends), `recovery` (the service itself) or
    /// `drift` (a repair of what Meta showed differently).
    pub origin: String,
    /// `prompt` (stock, deletes, an operator about single variants), `change` (other changes) or `bulk` (imports, bootstraps,
    /// re-maps). Each lane has its share of every call, so none waits for the backlog of another.
    pub lane: String,
    /// When it was queued, ISO 8601.
    pub enqueued_at: Option<String>,
    /// How often it was tried.
    pub attempts: i64,
    /// The class of its last fault.
    pub fault: Option<String>,
    /// Its last fault.
    pub last_error: Option<String>,
    /// Since when the mass-delete guard holds it, ISO 8601.
    pub held_at: Option<String>,
    /// Since when it is parked, ISO 8601.
    pub parked_at: Option<String>,
}

impl From<IntentRow> for IntentView {
    fn from(row: IntentRow) -> Self {
        Self {
            seq: row.seq,
            variant_id: row.variant_id,
            intent: row.intent,
            origin: row.origin,
            lane: Lane::numbered(row.lane).map_or_else(|| row.lane.to_string(), |lane| lane.as_str().to_owned()),
            enqueued_at: iso(row.enqueued_at),
            attempts: row.attempts,
            fault: row.class,
            last_error: row.last_error,
            held_at: row.held_at.and_then(iso),
            parked_at: row.parked_at.and_then(iso),
        }
    }
}

/// Lists open intents, lane by lane, the oldest of a lane first.
///
/// # Errors
/// [`AdminError::Invalid`] names each parameter that is not valid.
pub async fn open_intents(
    app: &App,
    page: Option<&str>,
    limit: Option<&str>,
    state: Option<&str>,
) -> Result<Listed<IntentView>, AdminError> {
    let mut wrong = BTreeMap::new();
    let page = Page::read(page, limit, 200, &mut wrong);
    let standing = match state.filter(|state| !state.is_empty()) {
        None | Some("live") => Standing::Live,
        Some("held") => Standing::Held,
        Some("parked") => Standing::Parked,
        Some(_) => {
            wrong.insert("state".into(), format!("takes one of {}", STANDINGS.join(", ")));
            Standing::Live
        }
    };
    if !wrong.is_empty() {
        return Err(AdminError::invalid_parts("some query parameters are not valid", wrong));
    }
    let mut tx = app.db.read().await?;
    let (rows, total) = intents::list(&mut tx, standing, page.stretch()).await?;
    Ok(Listed { rows: rows.into_iter().map(Into::into).collect(), page, total: u64::try_from(total).unwrap_or(0) })
}

/// A call to `items_batch` and its verdict.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubmissionView {
    /// Its id.
    pub id: String,
    /// The catalog it was made for.
    pub catalog_id: String,
    /// `sending` (its outcome is not known yet), `pending` (the verdict is open), `completed` or `failed`.
    pub state: String,
    /// Meta's handle; null until Meta accepts it. Several are separated by blanks.
    pub handle: Option<String>,
    /// Number of items.
    pub items: i64,
    /// Number of deletes among them that nobody asked for.
    pub implicit_deletes: i64,
    /// When it was made, ISO 8601.
    pub submitted_at: Option<String>,
    /// When the verdict was last asked for, ISO 8601.
    pub last_polled_at: Option<String>,
    /// When the verdict came, ISO 8601.
    pub completed_at: Option<String>,
    /// Why it failed as a whole, or why its verdict says nothing.
    pub reason: Option<String>,
    /// What Meta says: a sample of its errors and warnings, and how many there are.
    #[schema(value_type = Option<Object>)]
    pub verdict: Option<Value>,
}

impl From<Listing> for SubmissionView {
    fn from(row: Listing) -> Self {
        Self {
            id: row.id,
            catalog_id: row.catalog_id,
            state: row.state,
            handle: row.handle,
            items: row.row_count,
            implicit_deletes: row.implicit_deletes,
            submitted_at: iso(row.submitted_at),
            last_polled_at: row.last_polled_at.and_then(iso),
            completed_at: row.completed_at.and_then(iso),
            reason: row.reason,
            verdict: row.errors.and_then(|errors| serde_json::from_str(&errors).ok()).map(sampled),
        }
    }
}

/// The most errors and warnings of one submission in a list.
const SAMPLE: usize = 20;

/// Cuts the lists of a stored verdict. The counts say how many there are.
fn sampled(mut verdict: Value) -> Value {
    if let Some(fields) = verdict.as_object_mut() {
        for list in fields.values_mut().filter_map(Value::as_array_mut) {
            list.truncate(SAMPLE);
        }
    }
    verdict
}

/// Lists submissions, the latest first.
///
/// # Errors
/// [`AdminError::Invalid`] names each parameter that is not valid.
pub async fn submissions(
    app: &App,
    page: Option<&str>,
    limit: Option<&str>,
    state: Option<&str>,
) -> Result<Listed<SubmissionView>, AdminError> {
    let mut wrong = BTreeMap::new();
    let page = Page::read(page, limit, 100, &mut wrong);
    let state = state.filter(|state| !state.is_empty());
    if state.is_some_and(|state| !STATES.contains(&state)) {
        wrong.insert("state".into(), format!("takes one of {}", STATES.join(", ")));
    }
    if !wrong.is_empty() {
        return Err(AdminError::invalid_parts("some query parameters are not valid", wrong));
    }
    let mut tx = app.db.read().await?;
    let (rows, total) = submission::list(&mut tx, state, page.stretch()).await?;
    Ok(Listed { rows: rows.into_iter().map(Into::into).collect(), page, total: u64::try_from(total).unwrap_or(0) })
}
