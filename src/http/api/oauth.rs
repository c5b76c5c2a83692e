//! `/admin/meta/oauth…`: connecting and disconnecting.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::envelope::Envelope;
use crate::http::error::ApiError;
use crate::http::extract::Params;
use crate::http::shell::to_the_end;
use catalog_sync::admin::connect::{self, Callback};

/// Where to send the browser.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// Facebook's consent page.
    pub auth_url: String,
}

/// Meta is connected.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Connected {
    /// Always `true`.
    pub connected: bool,
}

/// Meta is disconnected.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Disconnected {
    /// Always `true`.
    pub disconnected: bool,
}

/// `GET /admin/meta/oauth/start`.
///
/// # Errors
/// 400 `meta_misconfigured` without `app_id` and `app_secret`; 401, 403; 5xx when the database query fails.
#[utoipa::path(
    get, path = "/admin/meta/oauth/start", tag = "Connection", operation_id = "startOAuth",
    summary = "Start Facebook Login",
    description = "Creates a state that is valid for ten minutes and one callback, and returns the address to send the browser to.",
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["meta_misconfigured"]))),
    responses((status = 200, description = "The address of the consent page.", body = Envelope<Started>,
        example = json!({"data": {"authUrl": "https://www.facebook.com/v25.0/dialog/oauth?client_id=1000000001&state=…"}, "message": "Success", "statusCode": 200}))),
)]
pub async fn start(_: Manage, State(api): State<Api>) -> Result<Envelope<Started>, ApiError> {
    let url = connect::start(&api.app, &api.site.api_url).await?;
    Ok(Envelope::ok(Started { auth_url: url.into() }))
}

/// `GET /admin/meta/oauth/callback`: open, guarded by the state. Unknown parameters are Facebook's.
///
/// # Errors
/// 400 `meta_oauth_state_invalid`, `meta_oauth_exchange_failed`, or `BAD_REQUEST` when Facebook came back without a
/// code; 500 when Facebook is in trouble.
#[utoipa::path(
    get, path = "/admin/meta/oauth/callback", tag = "Connection", operation_id = "finishOAuth",
    summary = "The redirect target of Facebook Login",
    description = "Needs no credentials: the single-use state of one login protects it. Facebook adds its own parameters, so unknown parameters are ignored. `code` and `state` must not be repeated.",
    params(
        ("code" = Option<String>, Query, description = "The authorization code.", example = "AQB1…"),
        ("state" = Option<String>, Query, description = "The state that the login was started with.",
            example = "kq3v…"),
        ("error" = Option<String>, Query, description = "Set when the operator refused."),
        ("error_reason" = Option<String>, Query, description = "The reason as a code."),
        ("error_description" = Option<String>, Query, description = "The reason as a sentence."),
    ),
    extensions(("x-error-codes" = json!(["BAD_REQUEST", "meta_misconfigured", "meta_oauth_state_invalid", "meta_oauth_exchange_failed", "REQUEST_TIMEOUT", "INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE"]))),
    responses((status = 200, description = "Connected; no address of the admin UI is configured.", body = Envelope<Connected>,
        example = json!({"data": {"connected": true}, "message": "Success", "statusCode": 200})),
        (status = 303, description = "Connected; redirects to the admin UI.",
            headers(("Location" = String, description = "`${PUBLIC_ADMIN_URL}/settings/meta?connected=1`")))),
)]
pub async fn callback(
    State(api): State<Api>,
    Params(mut query): Params<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    let (code, state) = (take_one(&mut query, "code")?, take_one(&mut query, "state")?);
    let refusal = query.into_iter().filter(|(name, _)| name.starts_with("error")).collect();
    let site = api.site.clone();
    // The state is used up: its login is completed even when the browser disconnects.
    to_the_end(async move { connect::callback(&api.app, &api.site.api_url, Callback { code, state, refusal }).await })
        .await?;
    Ok(match &site.admin_url {
        Some(url) => {
            let location = format!("{}/settings/meta?connected=1", url.trim_end_matches('/'));
            (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
        }
        None => Envelope::ok(Connected { connected: true }).into_response(),
    })
}

/// Removes a parameter from the query. A repeated parameter is refused, because its intended value is ambiguous.
fn take_one(query: &mut Vec<(String, String)>, name: &str) -> Result<Option<SecretString>, ApiError> {
    let mut found = query.extract_if(.., |(key, _)| key == name).map(|(_, value)| value);
    let one = found.next();
    if found.next().is_some() {
        return Err(ApiError::bad_request(format!("{name} comes twice; start the login again from the settings page")));
    }
    drop(found);
    Ok(one.filter(|text| !text.is_empty()).map(SecretString::from))
}

/// `DELETE /admin/meta/oauth`.
///
/// # Errors
/// 401, 403; 5xx when the database query fails.
#[utoipa::path(
    delete, path = "/admin/meta/oauth", tag = "Connection", operation_id = "disconnect",
    summary = "Disconnect from Meta",
    description = "Deletes the token. The state of variants and of open submissions is kept, because the operator may connect again.",
    security(("bearerToken" = ["metaCatalog:manage"])),
    responses((status = 200, description = "Disconnected, also when Meta was not connected.", body = Envelope<Disconnected>,
        example = json!({"data": {"disconnected": true}, "message": "Success", "statusCode": 200}))),
)]
pub async fn disconnect(_: Manage, State(api): State<Api>) -> Result<Envelope<Disconnected>, ApiError> {
    connect::disconnect(&api.app).await?;
    Ok(Envelope::ok(Disconnected { disconnected: true }))
}
