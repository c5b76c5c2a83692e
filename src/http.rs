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

pub mod auth;
pub mod envelope;
pub mod error;
pub mod events;
pub mod extract;
pub mod health;
pub mod items;
pub mod lifecycle;
pub mod mapper;
pub mod oauth;
pub mod openapi;
pub mod selection;
pub mod serve;
pub mod session;
pub mod settings;
mod shell;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::actors::vitals::VitalsBoard;
use crate::admin::preview::Previewing;
use crate::config::Config;
use crate::mapping::MODULE_BYTES;
use crate::pipeline::Pipeline;
use auth::Sessions;

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
pub struct App {
    /// What the actors share.
    pub pipeline: Arc<Pipeline>,
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

impl App {
    /// Puts it together. `address` stands in for a public URL that is not configured.
    #[must_use]
    pub fn new(
        pipeline: Arc<Pipeline>,
        board: VitalsBoard,
        sessions: Option<Arc<Sessions>>,
        config: &Config,
        address: SocketAddr,
    ) -> Self {
        let site = Site {
            enabled: config.enabled,
            api_url: config.public_api_url.clone().unwrap_or_else(|| format!("http://{address}")),
            admin_url: config.public_admin_url.clone(),
        };
        Self {
            pipeline,
            board,
            previewing: Previewing::default(),
            sessions,
            site: Arc::new(site),
            limits: Limits::default(),
        }
    }
}

/// Every route.
pub fn router(app: App) -> Router {
    let (routes, document) = described(app.site.enabled, app.limits).split_for_parts();
    routes
        .merge(openapi::pages(document))
        .fallback(shell::no_route)
        .method_not_allowed_fallback(shell::wrong_method)
        .layer(DefaultBodyLimit::max(app.limits.body))
        .layer(shell::catch_panic())
        .layer(from_fn(shell::per_request))
        .with_state(app)
}

/// The OpenAPI document of these routes. `enabled` = with those of the module.
#[must_use]
pub fn document(enabled: bool) -> serde_json::Value {
    openapi::complete(described(enabled, Limits::default()).into_openapi())
}

/// Every route that the document describes, which is every one but the document and its page.
fn described(enabled: bool, limits: Limits) -> OpenApiRouter<App> {
    let time = |routes: OpenApiRouter<App>, limit| routes.layer(from_fn_with_state(limit, shell::limit_time));
    let mut routes = time(health::routes(), limits.time);
    if enabled {
        routes = routes
            .merge(time(strict(), limits.time))
            .merge(time(open_query(), limits.time))
            .merge(time(long(), limits.long_time));
    }
    routes
}

/// Routes that take no query.
fn strict() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(settings::read, settings::patch))
        .routes(routes!(lifecycle::status))
        .routes(routes!(mapper::remap))
        .routes(routes!(mapper::preview_report))
        .routes(routes!(selection::businesses))
        .routes(routes!(oauth::start))
        .routes(routes!(oauth::disconnect))
        .routes(routes!(items::detail))
        .routes(routes!(items::meta_status))
        .routes(routes!(lifecycle::resync))
        .routes(routes!(lifecycle::resync_variant))
        .routes(routes!(lifecycle::delete_from_meta))
        .routes(routes!(events::take))
        .routes(routes!(events::take_admin))
        .layer(from_fn(shell::refuse_query))
}

/// Routes with a query of their own.
fn open_query() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(items::list)).routes(routes!(items::errors))
}

/// Routes that walk the whole catalog, make several calls to Meta or compile a module. What they began they end,
/// whoever waits.
fn long() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(selection::select_catalog))
        .routes(routes!(lifecycle::bootstrap))
        .routes(routes!(items::resync_failed))
        .routes(routes!(items::resync_skipped))
        .routes(routes!(items::release_held))
        .routes(routes!(mapper::preview))
        .layer(from_fn(shell::refuse_query))
        .routes(routes!(mapper::read, mapper::activate, mapper::reset))
        .routes(routes!(mapper::rollback))
        // Facebook adds parameters of its own.
        .routes(routes!(oauth::callback))
}
