//! The HTTP API, and what its pages share with it.
//!
//! Purpose: reads requests, authenticates the caller, calls [`catalog_sync::admin`], writes responses in one envelope.
//! Promises: every response, also of a failure, is JSON of one of two shapes ([`envelope`], [`error`]) with an
//! `X-Request-Id`; every route but health, readiness, the OAuth callback, Meta's notifications and the API's own description
//! checks a permission before it reads anything else of the request; unknown and repeated query keys and body fields are
//! refused, except on the callback and in notifications; bodies and time are limited; the served routes are those of the OpenAPI document,
//! because both are built from one list.
//! Left out on purpose: what the endpoints do.
//!
//! One file per endpoint group.

pub mod api;
pub mod auth;
pub mod code;
pub mod envelope;
pub mod error;
pub mod extract;
pub mod page_session;
pub mod serve;
pub mod session;
pub mod shell;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use tokio::sync::Semaphore;

use self::api::webhook::BadSignatures;
use self::api::{docs, openapi};
use self::auth::Sessions;
use catalog_sync::admin::preview::Previewing;
use catalog_sync::app::App;
use catalog_sync::mapping::MODULE_BYTES;
use catalog_sync::runtime::vitals::VitalsBoard;

/// Limits of requests and connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest body, in bytes.
    pub body: usize,
    /// Most connections; see [`serve`].
    pub connections: u32,
    /// Time limit for the head of a request, and for an idle connection; see [`serve`].
    pub head: Duration,
    /// Time for which a client may read nothing of a response; see [`serve`].
    pub write: Duration,
    /// Time that running requests have after the stop signal.
    pub stop: Duration,
    /// Longest mapper module, in bytes.
    pub module: usize,
    /// Longest file of products, in bytes.
    pub products: usize,
    /// Time limit for a request, and for its body.
    pub time: Duration,
    /// Time limit for a request that walks the whole catalog or makes several calls to Meta.
    pub long_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1024 * 1024,
            module: MODULE_BYTES,
            products: 16 * 1024 * 1024,
            connections: 512,
            head: Duration::from_secs(75),
            write: Duration::from_secs(30),
            stop: Duration::from_secs(10),
            time: Duration::from_secs(30),
            long_time: Duration::from_secs(10 * 60),
        }
    }
}

/// The state that every handler has access to.
#[derive(Clone, Debug)]
pub struct Api {
    /// The state that the actors share.
    pub app: Arc<App>,
    /// The vitals of the actors.
    pub board: VitalsBoard,
    /// One preview of a mapper module at a time.
    pub previewing: Previewing,
    /// One import through the API at a time, since each keeps its file in memory.
    pub importing: Arc<Semaphore>,
    /// Verifies sessions of signed-in users. `None` means that only API tokens are accepted.
    pub sessions: Option<Arc<Sessions>>,
    /// What bad signatures of notifications may cost.
    pub bad_signatures: BadSignatures,
    /// The configuration of the API itself.
    pub site: Arc<Site>,
    /// Limits of requests and connections.
    pub limits: Limits,
}

/// The configuration of the API itself.
#[derive(Clone, Debug)]
pub struct Site {
    /// `false` means that only health, readiness and the API's description are served.
    pub enabled: bool,
    /// URL at which browsers reach this API.
    pub api_url: String,
    /// URL at which browsers reach the admin UI.
    pub admin_url: Option<String>,
    /// Origins of further pages that may use this API with the session of their user.
    pub allowed_origins: Vec<String>,
}

impl Site {
    /// Returns the origins of pages on other hosts or ports that may use this API.
    pub fn page_origins(&self) -> impl Iterator<Item = String> {
        self.admin_url.iter().chain(&self.allowed_origins).filter_map(|url| origin(url))
    }

    /// Returns every origin whose pages may change something with a session cookie.
    pub fn trusted_origins(&self) -> impl Iterator<Item = String> {
        origin(&self.api_url).into_iter().chain(self.page_origins())
    }
}

/// Returns the origin of a URL, as a browser writes it.
fn origin(url: &str) -> Option<String> {
    Some(url::Url::parse(url).ok()?.origin()).filter(url::Origin::is_tuple).map(|origin| origin.ascii_serialization())
}

impl Api {
    /// Returns the state with default limits.
    #[must_use]
    pub fn new(app: Arc<App>, board: VitalsBoard, sessions: Option<Arc<Sessions>>, site: Site) -> Self {
        Self {
            app,
            board,
            previewing: Previewing::default(),
            importing: Arc::new(Semaphore::new(1)),
            sessions,
            bad_signatures: BadSignatures::default(),
            site: Arc::new(site),
            limits: Limits::default(),
        }
    }
}

/// Returns the router with every route: those of the API, and `pages` where the module is enabled. `pages` answer for a path
/// that nothing is at.
pub fn router(api: Api, pages: Router<Api>) -> Router {
    let (routes, document) = api::described(api.site.enabled, api.limits).split_for_parts();
    let pages = if api.site.enabled { pages } else { Router::new().fallback(shell::no_route) };
    routes
        .merge(docs::pages(document))
        .merge(pages)
        .method_not_allowed_fallback(shell::wrong_method)
        .layer(DefaultBodyLimit::max(api.limits.body))
        .layer(shell::catch_panic())
        .layer(shell::cross_origin(&api.site))
        .layer(from_fn(shell::only_preflights))
        .layer(from_fn(shell::per_request))
        .with_state(api)
}

/// Returns the OpenAPI document of these routes. `enabled` includes the routes of the module.
#[must_use]
pub fn document(enabled: bool) -> serde_json::Value {
    openapi::complete(api::described(enabled, Limits::default()).into_openapi())
}
