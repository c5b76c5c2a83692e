//! The HTTP API.
//!
//! Purpose: read requests, ask who is asking, hand over to [`crate::admin`], write answers in the one envelope.
//! Promises: every answer, of whatever went wrong, is JSON of one of two shapes ([`envelope`], [`error`]) with an
//! `X-Request-Id`; every route but health, readiness, the OAuth callback and the API's own description asks for a
//! permission before it looks at anything else of the request; unknown query keys and body fields, and such that come
//! twice, are refused, but on the callback; bodies and time are limited; what is served is what the OpenAPI document
//! describes, for both are made of one list.
//! Left out on purpose: what the endpoints do.
//!
//! One file per endpoint group.

pub mod api;
pub mod auth;
pub mod code;
pub mod envelope;
pub mod error;
pub mod extract;
pub mod serve;
pub mod session;
mod shell;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;

use self::api::{docs, openapi};
use self::auth::Sessions;
use crate::admin::preview::Previewing;
use crate::app::App;
use crate::mapping::MODULE_BYTES;
use crate::runtime::vitals::VitalsBoard;

/// What a request may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest body, in bytes.
    pub body: usize,
    /// Longest the head of a request may take, and a connection lie idle; see [`serve`].
    pub head: Duration,
    /// Longest mapper module, in bytes.
    pub module: usize,
    /// Longest a request may take, or its body.
    pub time: Duration,
    /// Longest a request may take that walks the whole catalog or makes several calls to Meta.
    pub long_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1024 * 1024,
            module: MODULE_BYTES,
            // Proxies keep idle connections for a minute; one that is closed here just then costs a request.
            head: Duration::from_secs(75),
            time: Duration::from_secs(30),
            long_time: Duration::from_secs(10 * 60),
        }
    }
}

/// What every handler reaches.
#[derive(Clone, Debug)]
pub struct Api {
    /// What the actors share.
    pub app: Arc<App>,
    /// How the actors are doing.
    pub board: VitalsBoard,
    /// One preview of a mapper module at a time.
    pub previewing: Previewing,
    /// How people sign in; none = only API tokens count.
    pub sessions: Option<Arc<Sessions>>,
    /// What the configuration says of the API itself.
    pub site: Arc<Site>,
    /// What a request may cost.
    pub limits: Limits,
}

/// What the configuration says of the API itself.
#[derive(Clone, Debug)]
pub struct Site {
    /// False = only health, readiness and the API's description are served.
    pub enabled: bool,
    /// Where browsers reach this API.
    pub api_url: String,
    /// Where browsers reach the admin UI.
    pub admin_url: Option<String>,
}

impl Api {
    /// Puts it together.
    #[must_use]
    pub fn new(app: Arc<App>, board: VitalsBoard, sessions: Option<Arc<Sessions>>, site: Site) -> Self {
        Self {
            app,
            board,
            previewing: Previewing::default(),
            sessions,
            site: Arc::new(site),
            limits: Limits::default(),
        }
    }
}

/// Every route.
pub fn router(api: Api) -> Router {
    let (routes, document) = api::described(api.site.enabled, api.limits).split_for_parts();
    routes
        .merge(docs::pages(document))
        .fallback(shell::no_route)
        .method_not_allowed_fallback(shell::wrong_method)
        .layer(DefaultBodyLimit::max(api.limits.body))
        .layer(shell::catch_panic())
        .layer(from_fn(shell::per_request))
        .with_state(api)
}

/// The OpenAPI document of these routes. `enabled` = with those of the module.
#[must_use]
pub fn document(enabled: bool) -> serde_json::Value {
    openapi::complete(api::described(enabled, Limits::default()).into_openapi())
}
