//! `/setup/connect` and `/setup/disconnect`: the way to Facebook and back, and its end.
//!
//! The policy of the page lets a form go nowhere but to this site, also by a redirect. So the answer to the form is a page
//! that goes on to Facebook by itself, with a link for browsers that do not.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use catalog_sync::admin::{AdminError, connect};
use meta_graph::SCOPES;

use crate::http::Api;
use crate::http::auth::{self, Manage};
use crate::http::error::ApiError;
use crate::page::assets::{ASSETS, Assets};
use crate::page::flash;
use crate::page::frame::{Frame, Place, Visit};
use crate::page::shell::{page, see_other, with_status};
use crate::page::words::{self, sentence};

#[derive(Template)]
#[template(path = "setup_connect.html")]
struct Connect {
    frame: Frame,
    scopes: [&'static str; 2],
    /// Why it cannot be begun.
    wrong: Option<String>,
}

/// `GET /setup/connect`: what will happen.
pub(super) async fn before(_: Manage, State(api): State<Api>, visit: Visit) -> Result<Response, ApiError> {
    shown(&api, visit, StatusCode::OK, None).await
}

async fn shown(api: &Api, visit: Visit, status: StatusCode, wrong: Option<String>) -> Result<Response, ApiError> {
    let frame = Frame::load(api, visit, Place::Setup, "Connect Facebook").await?;
    with_status(status, &Connect { frame, scopes: SCOPES, wrong })
}

#[derive(Template)]
#[template(path = "setup_leaving.html")]
struct Leaving {
    assets: &'static Assets,
    url: String,
}

/// `POST /setup/connect`: begins a login and goes to Facebook.
pub(super) async fn begin(
    Manage(principal): Manage,
    State(api): State<Api>,
    visit: Visit,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let starter = auth::starter(&principal, &headers, &api)?;
    match connect::start(&api.app, &api.site.api_url, &starter).await {
        Ok(url) => {
            let mut response = page(&Leaving { assets: &ASSETS, url: url.into() })?;
            // It holds the state of the login.
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(response)
        }
        Err(AdminError::Misconfigured(why)) => {
            let why = match &*why {
                why if why.contains("app_secret") => {
                    "The app's ID or secret is missing: enter both in the first step of the set-up.".to_owned()
                }
                why => sentence(why),
            };
            shown(&api, visit, StatusCode::UNPROCESSABLE_ENTITY, Some(why)).await
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "setup_disconnect.html")]
struct Disconnect {
    frame: Frame,
}

/// `GET /setup/disconnect`: what it leads to.
pub(super) async fn ask_to_disconnect(_: Manage, State(api): State<Api>, visit: Visit) -> Result<Response, ApiError> {
    page(&Disconnect { frame: Frame::load(&api, visit, Place::Setup, "Disconnect Facebook?").await? })
}

/// `POST /setup/disconnect`.
pub(super) async fn disconnect(_: Manage, State(api): State<Api>) -> Result<Response, ApiError> {
    connect::disconnect(&api.app).await?;
    Ok(see_other(&flash::with("/setup", "disconnected", 0)).into_response())
}
