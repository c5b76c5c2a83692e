//! `/admin/meta/oauth…`: connecting and disconnecting.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use serde::Serialize;

use super::App;
use super::auth::Manage;
use super::envelope::Envelope;
use super::error::ApiError;
use super::extract::Params;
use super::shell::to_the_end;
use crate::admin::connect::{self, Callback};

/// Where to send the browser.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// Facebook's consent page.
    pub auth_url: String,
}

/// The connection stands.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Connected {
    /// True.
    pub connected: bool,
}

/// The connection is gone.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Disconnected {
    /// True.
    pub disconnected: bool,
}

/// `GET /admin/meta/oauth/start`.
///
/// # Errors
/// 400 `meta_misconfigured` without `app_id` and `app_secret`; 401, 403; 5xx when the store does not answer.
pub async fn start(_: Manage, State(app): State<App>) -> Result<Envelope<Started>, ApiError> {
    let url = connect::start(&app.pipeline, &app.site.api_url).await?;
    Ok(Envelope::ok(Started { auth_url: url.into() }))
}

/// `GET /admin/meta/oauth/callback`: open, guarded by the state. Unknown parameters are Facebook's.
///
/// # Errors
/// 400 `meta_oauth_state_invalid`, `meta_oauth_exchange_failed`, or `BAD_REQUEST` when Facebook came back without a
/// code; 500 when Facebook is in trouble.
pub async fn callback(
    State(app): State<App>,
    Params(mut query): Params<HashMap<String, String>>,
) -> Result<Response, ApiError> {
    let mut secret = |name: &str| query.remove(name).filter(|text| !text.is_empty()).map(SecretString::from);
    let (code, state) = (secret("code"), secret("state"));
    let refusal = query.into_iter().filter(|(name, _)| name.starts_with("error")).collect();
    let site = app.site.clone();
    // The state is used up: the one login it stands for is carried through even when the browser gives up.
    to_the_end(
        async move { connect::callback(&app.pipeline, &app.site.api_url, Callback { code, state, refusal }).await },
    )
    .await?;
    Ok(match &site.admin_url {
        Some(url) => {
            let location = format!("{}/settings/meta?connected=1", url.trim_end_matches('/'));
            (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
        }
        None => Envelope::ok(Connected { connected: true }).into_response(),
    })
}

/// `DELETE /admin/meta/oauth`.
///
/// # Errors
/// 401, 403; 5xx when the store does not answer.
pub async fn disconnect(_: Manage, State(app): State<App>) -> Result<Envelope<Disconnected>, ApiError> {
    connect::disconnect(&app.pipeline).await?;
    Ok(Envelope::ok(Disconnected { disconnected: true }))
}
