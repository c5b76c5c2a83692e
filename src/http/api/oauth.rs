//! `/admin/meta/oauth…`: connecting and disconnecting.

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use serde::Serialize;
use tracing::warn;
use utoipa::ToSchema;

use crate::http::Api;
use crate::http::auth::{self, Carried, Manage, Principal};
use crate::http::code::Code;
use crate::http::envelope::Envelope;
use crate::http::error::ApiError;
use crate::http::extract::Params;
use crate::http::shell::to_the_end;
use catalog_sync::admin::connect::{self, Callback, Came, Refusal};
use catalog_sync::admin::select;

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
    description = "Creates a state that is valid for ten minutes and one callback, and returns the address to send the browser to. The state belongs to the caller: the callback completes the login only while the caller may still do this.",
    security(("bearerToken" = ["metaCatalog:manage"])),
    extensions(("x-error-codes" = json!(["meta_misconfigured"]))),
    responses((status = 200, description = "The address of the consent page.", body = Envelope<Started>,
        example = json!({"data": {"authUrl": "https://www.facebook.com/v26.0/dialog/oauth?client_id=1000000001&state=…"}, "message": "Success", "statusCode": 200}))),
)]
pub async fn start(
    Manage(principal): Manage,
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Envelope<Started>, ApiError> {
    let starter = auth::starter(&principal, &headers, &api)?;
    let url = connect::start(&api.app, &api.site.api_url, &starter).await?;
    Ok(Envelope::ok(Started { auth_url: url.into() }))
}

/// `GET /admin/meta/oauth/callback`: open, guarded by the state. Unknown parameters are Facebook's.
///
/// # Errors
/// 400 `meta_oauth_state_invalid`, `meta_oauth_exchange_failed`, or `BAD_REQUEST` when Facebook came back without a
/// code; 401 and 403 when the caller that began the login may not complete it; 500 when Facebook is in trouble.
#[utoipa::path(
    get, path = "/admin/meta/oauth/callback", tag = "Connection", operation_id = "finishOAuth",
    summary = "The redirect target of Facebook Login",
    description = "Needs no credentials: the single-use state of one login protects it, and the caller that began the login must still have the permission `metaCatalog:manage`. A request that carries credentials must carry those of that caller. Facebook adds its own parameters, so unknown parameters are ignored. `code` and `state` must not be repeated. For five minutes, a login that was completed answers as the first time. `HEAD` and prefetching do nothing.",
    params(
        ("code" = Option<String>, Query, description = "The authorization code.", example = "AQB1…"),
        ("state" = Option<String>, Query, description = "The state that the login was started with.",
            example = "kq3v…"),
        ("error" = Option<String>, Query, description = "Set when the operator refused."),
        ("error_reason" = Option<String>, Query, description = "The reason as a code; it is not repeated."),
        ("error_description" = Option<String>, Query, description = "The reason as a sentence; it is not repeated."),
    ),
    extensions(("x-error-codes" = json!(["BAD_REQUEST", "meta_misconfigured", "meta_oauth_state_invalid", "meta_oauth_exchange_failed", "UNAUTHORIZED", "FORBIDDEN", "REQUEST_TIMEOUT", "INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE"]))),
    responses((status = 200, description = "Connected, for a program; no address of another admin UI is configured.", body = Envelope<Connected>,
        example = json!({"data": {"connected": true}, "message": "Success", "statusCode": 200})),
        (status = 303, description = "Redirects to the admin UI, or to the operator's page where no other is configured: connected, or, for a caller that accepts `text/html`, failed.",
            headers(("Location" = String, description = "`${PUBLIC_ADMIN_URL}/settings/meta?connected=1`, or `?error=` and a code such as `access_denied`; without PUBLIC_ADMIN_URL, under PUBLIC_API_URL")))),
)]
pub async fn callback(
    method: Method,
    headers: HeaderMap,
    State(api): State<Api>,
    carried: Result<Carried, ApiError>,
    query: Result<Params<Vec<(String, String)>>, ApiError>,
) -> Result<Response, ApiError> {
    // A browser or a link checker that only looks must not use the state up.
    if method == Method::HEAD {
        return Err(ApiError::new(Code::MethodNotAllowed, "a login is completed only by GET"));
    }
    if is_prefetch(&headers) {
        return Err(ApiError::new(
            Code::Unavailable,
            "a login is completed only by opening this address, not ahead of it",
        ));
    }
    // Without another admin UI, a browser lands on our own page.
    let own = wants_page(&headers).then_some(&*api.site.api_url);
    let page = api.site.admin_url.as_deref().or(own);
    let page = page.map(|url| format!("{}/settings/meta", url.trim_end_matches('/')));
    let done = async { finish(api, carried?.0, query?.0).await }.await;
    match (done, page) {
        (Ok(()), Some(page)) => Ok(see_other(format!("{page}?connected=1"))),
        (Ok(()), None) => Ok(Envelope::ok(Connected { connected: true }).into_response()),
        (Err(error), Some(page)) if wants_page(&headers) => {
            let location = format!("{page}?error={}", error.word());
            // Logs the error, which the page cannot show in full.
            let _ = error.into_response();
            Ok(see_other(location))
        }
        (Err(error), _) => Err(error),
    }
}

async fn finish(api: Api, carried: Option<Principal>, mut query: Vec<(String, String)>) -> Result<(), ApiError> {
    let (code, state) = (take_one(&mut query, "code")?, take_one(&mut query, "state")?);
    let failed = query.iter().any(|(name, _)| name.starts_with("error"));
    let error = query.into_iter().find_map(|(name, text)| (name == "error").then_some(text));
    let refusal = failed.then_some(Refusal { error });
    // Once the state is used up, the login is completed even when the browser disconnects.
    to_the_end(async move {
        let login = match connect::login(&api.app, Callback { code, state, refusal }).await? {
            Came::Back(login) => login,
            Came::Again(began) => return auth::may_repeat(&began, carried.as_ref()),
        };
        // When this cannot be found out, the browser may come again with the same state.
        let may_go_on = auth::may_complete(&api, &login.starter, carried.as_ref()).await?;
        login.use_up(&api.app).await?;
        may_go_on?;
        connect::complete(&api.app, &api.site.api_url, login).await?;
        // The account is connected, whatever becomes of this; the status says so when it fails.
        if let Err(error) = select::select_again(&api.app).await {
            warn!(%error, "the catalog could not be selected again");
        }
        Ok::<_, ApiError>(())
    })
    .await
}

fn see_other(location: String) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// Whether a browser fetches the address ahead of a visit.
fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-moz", "x-purpose"].iter().any(|name| {
        let value = headers.get(*name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.to_ascii_lowercase().contains("prefetch") || value.eq_ignore_ascii_case("preview")
    })
}

/// Whether the caller shows pages: a browser, not a program.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml")
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
