//! A faithful local stand-in for the part of Meta's Graph API that manages a commerce catalog.
//!
//! Purpose: services and tests run against it as they would against Meta. Promises: the documented shapes, limits, error
//! codes and traps of the real API (`README.md` lists them), both throttle buckets with their headers, a clock and faults
//! under the control of tests, and that items are kept as they were sent. Left out on purpose: everything a catalog sync
//! does not touch (ads, pages, feeds, the single-item write edges, product sets).
//!
//! One world lives behind one lock and moves only with its clock; nothing runs in the background but the delivery
//! of notifications, once a test has set a callback for them.

mod auth;
mod batch;
mod business;
mod calls;
mod clock;
mod config;
mod connection;
mod consent;
mod control;
mod errors;
mod faults;
mod fields;
mod filter;
mod graph;
mod graph_batch;
mod handle;
mod ids;
mod item_view;
mod items;
mod judge;
mod nodes;
mod oauth;
mod paging;
mod params;
mod poll;
mod processing;
mod products;
mod quota;
mod server;
mod throttle;
mod values;
mod webhook;
mod world;

use std::future::Future;

use tokio::net::TcpListener;

pub use calls::Counters;
pub use config::{App, Business, Catalog, Config, Quotas, Rules, Switches, SystemUser, Times, Token, User};
pub use faults::{Fault, Kind};
pub use handle::{Handle, Simulator};
pub use webhook::Fate;

/// Serves a world built from `config` until `shutdown` resolves; current requests are answered first.
///
/// The same host answers Graph calls (`/v25.0/…` and without a version), the login dialog (`/v25.0/dialog/oauth`) and the
/// control calls (`/_sim/…`).
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    serve_world(listener, server::Shared::new(world::World::new(config)), shutdown).await
}

async fn serve_world(
    listener: TcpListener,
    shared: server::Shared,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let service = server::router(shared).into_make_service_with_connect_info::<connection::Cutter>();
    axum::serve(connection::Listener(listener), service).with_graceful_shutdown(shutdown).await
}
