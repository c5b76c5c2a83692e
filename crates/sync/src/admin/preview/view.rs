//! How a preview is shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::time::iso;
use crate::clock::Millis;
use crate::mapping::preview::{Compared, PreviewReport};
use crate::store::preview::Preview;

/// A preview without progress for this long is lost. The slowest chunk of two mappers takes less time.
const LOST_AFTER_MS: Millis = 3 * 60 * 1_000;

/// The state of a preview.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum PreviewState {
    /// The preview is running.
    Running,
    /// The preview ended, and its report is available.
    Done,
    /// The preview failed; `error` says why.
    Failed,
    /// An operator cancelled the preview.
    Cancelled,
    /// The process that ran the preview ended; start it again.
    Lost,
}

/// A preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewView {
    /// The id with which the preview is queried.
    pub id: String,
    /// The state of the preview.
    pub state: PreviewState,
    /// The module that is compared with the active mapper.
    pub module: Compared,
    /// Variants at the start of the preview.
    pub total: i64,
    /// Variants compared so far.
    pub done: i64,
    /// Whether the module's file is still stored, so that a preview that is done can be activated without it.
    pub file_stored: bool,
    /// When the preview began.
    pub started_at: Option<String>,
    /// When the preview ended; null while it runs.
    pub finished_at: Option<String>,
    /// Why there is no report; null when there is none to explain.
    pub error: Option<String>,
    /// What would change; null until the preview is done.
    pub report: Option<PreviewReport>,
}

/// Returns the view of a stored preview, with its report where that is loaded.
pub(super) fn view(row: Preview, report: Option<PreviewReport>, now: Millis) -> PreviewView {
    let lost = row.finished_at.is_none() && row.updated_at + LOST_AFTER_MS < now;
    let (state, error) = match row.error {
        _ if row.is_reported => (PreviewState::Done, None),
        _ if row.cancelled_at.is_some() => {
            (PreviewState::Cancelled, Some("this preview was cancelled; start it again for a report".into()))
        }
        Some(error) => (PreviewState::Failed, Some(error)),
        None if lost => (
            PreviewState::Lost,
            Some("the process that ran this preview ended before the preview was done; start it again".into()),
        ),
        None => (PreviewState::Running, None),
    };
    PreviewView {
        id: row.id,
        state,
        module: Compared { name: row.name, version: row.version, digest: row.digest },
        total: row.total,
        done: row.done,
        file_stored: row.is_kept,
        started_at: iso(row.started_at),
        finished_at: row.finished_at.and_then(iso),
        error,
        report,
    }
}
