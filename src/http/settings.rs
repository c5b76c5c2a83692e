//! `/admin/settings/admin`.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::App;
use super::auth::{Manage, View};
use super::envelope::Envelope;
use super::error::ApiError;
use super::extract::Body;
use crate::admin;

/// The settings by group; there is one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsDocument {
    /// The group `meta`: value by key.
    pub meta: Map<String, Value>,
}

/// `GET /admin/settings/admin`.
///
/// # Errors
/// 401, 403; 5xx when the store does not answer.
pub async fn read(_: View, State(app): State<App>) -> Result<Envelope<SettingsDocument>, ApiError> {
    Ok(Envelope::ok(SettingsDocument { meta: admin::settings::read(&app.pipeline).await? }))
}

/// `PATCH /admin/settings/admin`.
///
/// # Errors
/// 400 with each unacceptable key under `details`; 401, 403; 5xx when the store does not answer.
pub async fn patch(
    _: Manage,
    State(app): State<App>,
    Body(asked): Body<SettingsDocument>,
) -> Result<Envelope<SettingsDocument>, ApiError> {
    Ok(Envelope::ok(SettingsDocument { meta: admin::settings::patch(&app.pipeline, &asked.meta).await? }))
}
