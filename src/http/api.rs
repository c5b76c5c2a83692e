//! The JSON API: one file per endpoint group, and its description.
//!
//! Left out on purpose: what the endpoints do ([`catalog_sync::admin`], [`catalog_sync::intake`]).

pub mod audit;
pub mod bulk;
pub mod docs;
pub mod drift;
pub mod events;
pub mod health;
pub mod import;
pub mod issues;
pub mod items;
pub mod lifecycle;
pub mod mapper;
pub mod oauth;
pub mod openapi;
pub mod selection;
pub mod settings;
pub mod system;
pub mod webhook;

use axum::Extension;
use axum::middleware::{from_fn, from_fn_with_state};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::{Api, Limits, shell};

/// Every route that the document describes, which is every one but the document and its page.
pub(super) fn described(enabled: bool, limits: Limits) -> OpenApiRouter<Api> {
    let time = |routes: OpenApiRouter<Api>, limit| {
        routes.layer(from_fn(shell::finish_changes)).layer(from_fn_with_state(limit, shell::limit_time))
    };
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
fn strict() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(settings::read, settings::patch))
        .routes(routes!(lifecycle::status))
        .routes(routes!(system::system))
        .routes(routes!(issues::list))
        .routes(routes!(mapper::remap))
        .routes(routes!(mapper::preview_report, mapper::cancel_preview))
        .routes(routes!(webhook::setup))
        .routes(routes!(selection::businesses))
        .routes(routes!(oauth::start))
        .routes(routes!(oauth::disconnect))
        .routes(routes!(items::detail))
        .routes(routes!(items::explain))
        .routes(routes!(items::meta_status))
        .routes(routes!(items::timeline))
        .routes(routes!(lifecycle::delete_from_meta))
        .routes(routes!(lifecycle::exclude))
        .routes(routes!(lifecycle::include))
        .routes(routes!(lifecycle::resync_items))
        .routes(routes!(drift::sweep))
        .routes(routes!(drift::repair))
        .routes(routes!(drift::ignore))
        .routes(routes!(events::take))
        .routes(routes!(events::take_admin))
        .layer(Extension(shell::TakesNoQuery))
}

/// Routes with a query of their own.
fn open_query() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(items::list))
        .routes(routes!(items::errors))
        .routes(routes!(items::compare))
        .routes(routes!(issues::intents))
        .routes(routes!(issues::submissions))
        .routes(routes!(audit::list))
        .routes(routes!(drift::read))
        .routes(routes!(system::history))
        .routes(routes!(lifecycle::resync))
        .routes(routes!(lifecycle::resync_variant))
        // Meta adds its own parameters.
        .routes(routes!(webhook::verify, webhook::take))
}

/// Routes that walk the whole catalog, make several calls to Meta or compile a module.
fn long() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(selection::select_catalog))
        .routes(routes!(items::resync_failed))
        .routes(routes!(items::resync_skipped))
        .routes(routes!(items::release_held))
        .routes(routes!(bulk::bulk))
        .routes(routes!(mapper::preview))
        .layer(Extension(shell::TakesNoQuery))
        .routes(routes!(mapper::read, mapper::activate, mapper::reset))
        .routes(routes!(mapper::rollback))
        .routes(routes!(mapper::activate_previewed))
        .routes(routes!(lifecycle::bootstrap))
        .routes(routes!(import::import))
        // Facebook adds its own parameters.
        .routes(routes!(oauth::callback))
}
