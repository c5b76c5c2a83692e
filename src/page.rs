//! The operator's page: everything that an operator does, in a browser, rendered by this server.
//!
//! Purpose: reads queries and forms, calls the use cases of [`catalog_sync::admin`], and renders templates.
//! Promises: every form works without script; nothing is loaded from elsewhere, and the policy forbids inline script and
//! style ([`shell`]); every page checks a permission first, by the same extractors as the API; a page changes something
//! only by a POST that comes from a page of this site; an action that touches several items tells their number before.
//! Left out on purpose: what the actions do, and anything that only a script could do.
//!
//! One file per page, with its templates under `templates/`.

pub mod activity;
pub mod assets;
pub mod drift;
pub mod flash;
pub mod frame;
pub mod health;
pub mod issues;
pub mod item;
pub mod items;
pub mod landing;
pub mod limits;
pub mod mapper;
pub mod overview;
pub mod settings;
pub mod setup;
pub mod shell;
pub mod sign_in;
pub mod spark;
pub mod system;
pub mod words;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::compression::CompressionLayer;

use crate::http::{Api, Limits, shell as http};

/// Returns every route of the page. What a form asks for may take as long as the API's longest operations.
pub fn routes(limits: Limits) -> Router<Api> {
    Router::new()
        .merge(overview::routes())
        .merge(activity::routes())
        .merge(issues::routes())
        .merge(drift::routes())
        .merge(mapper::routes())
        .merge(item::routes())
        .merge(system::routes())
        .merge(items::routes())
        .merge(sign_in::routes())
        .merge(landing::routes())
        .merge(setup::routes())
        .merge(settings::routes())
        .fallback(http::no_route)
        .method_not_allowed_fallback(http::wrong_method)
        .layer(from_fn(http::finish_changes))
        .layer(from_fn_with_state(limits.long_time, http::limit_time))
        .layer(http::catch_panic())
        // Around everything that may fail.
        .layer(from_fn(shell::dress))
        .merge(assets::routes())
        .layer(CompressionLayer::new())
}
