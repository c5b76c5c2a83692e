//! The HTTP API.
//!
//! Purpose: read requests, ask who is asking, hand over to [`crate::admin`], write answers in the one envelope.
//! Promises: every answer, of whatever went wrong, is JSON of one of two shapes ([`envelope`], [`error`]) with an
//! `X-Request-Id`; every route but health, readiness and the OAuth callback asks for a permission before it looks at
//! anything else of the request; unknown query keys and body fields are refused, but on the callback; bodies and time
//! are limited.
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
pub mod oauth;
pub mod selection;
pub mod session;
pub mod settings;
mod shell;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post};

use crate::actors::vitals::VitalsBoard;
use crate::admin::select::Selecting;
use crate::config::Config;
use crate::pipeline::Pipeline;
use auth::Sessions;

/// Longest request body, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;
/// Longest a request may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Longest a request may take that walks the whole catalog or makes several calls to Meta.
const LONG_TIME_LIMIT: Duration = Duration::from_secs(10 * 60);

/// What every handler reaches.
#[derive(Clone, Debug)]
pub struct App {
    /// What the actors share.
    pub pipeline: Arc<Pipeline>,
    /// How the actors are doing.
    pub board: VitalsBoard,
    /// One selection at a time.
    pub selecting: Selecting,
    /// How people sign in; none = only API tokens count.
    pub sessions: Option<Arc<Sessions>>,
    /// What the configuration says of the API itself.
    pub site: Arc<Site>,
}

/// What the configuration says of the API itself.
#[derive(Clone, Debug)]
pub struct Site {
    /// False = only health and readiness are served.
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
        Self { pipeline, board, selecting: Selecting::default(), sessions, site: Arc::new(site) }
    }
}

/// Every route.
pub fn router(app: App) -> Router {
    let mut routes = quick(health::routes());
    if app.site.enabled {
        routes = routes.merge(quick(strict())).merge(quick(open_query())).merge(long());
    }
    routes
        .fallback(shell::no_route)
        .method_not_allowed_fallback(shell::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(shell::catch_panic())
        .layer(from_fn(shell::per_request))
        .with_state(app)
}

/// Routes that take no query.
fn strict() -> Router<App> {
    Router::new()
        .route("/admin/settings/admin", get(settings::read).patch(settings::patch))
        .route("/admin/meta/status", get(lifecycle::status))
        .route("/admin/meta/businesses", get(selection::businesses))
        .route("/admin/meta/oauth/start", get(oauth::start))
        .route("/admin/meta/oauth", delete(oauth::disconnect))
        .route("/admin/meta/items/{variantId}", get(items::detail))
        .route("/admin/meta/items/{variantId}/meta-status", get(items::meta_status))
        .route("/admin/meta/resync/{variantId}", post(lifecycle::resync))
        .route("/admin/meta/items/{variantId}/resync", post(lifecycle::resync))
        .route("/admin/meta/items/{variantId}/delete-from-meta", post(lifecycle::delete_from_meta))
        .route("/events", post(events::take))
        .route("/admin/meta/events", post(events::take))
        .layer(from_fn(shell::refuse_query))
}

/// Routes with a query of their own.
fn open_query() -> Router<App> {
    Router::new().route("/admin/meta/items", get(items::list)).route("/admin/meta/errors", get(items::errors))
}

/// Routes that walk the whole catalog or make several calls to Meta. What they began they end, whoever waits.
fn long() -> Router<App> {
    Router::new()
        .route("/admin/meta/select-catalog", post(selection::select_catalog))
        .route("/admin/meta/bootstrap", post(lifecycle::bootstrap))
        .route("/admin/meta/items/bulk/resync-failed", post(items::resync_failed))
        .route("/admin/meta/items/bulk/resync-skipped", post(items::resync_skipped))
        .route("/admin/meta/held-deletes/release", post(items::release_held))
        .layer(from_fn(shell::refuse_query))
        // Facebook adds parameters of its own.
        .route("/admin/meta/oauth/callback", get(oauth::callback))
        .layer(from_fn_with_state(LONG_TIME_LIMIT, shell::limit_time))
}

fn quick(routes: Router<App>) -> Router<App> {
    routes.layer(from_fn_with_state(TIME_LIMIT, shell::limit_time))
}
