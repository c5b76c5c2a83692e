//! What an operator can do: the use cases of the admin surface, without HTTP.
//!
//! Purpose: one function per use case, from checked input to a result or an [`AdminError`]; the HTTP API
//! of `meta-catalog` only reads requests, authenticates the caller, and writes responses.
//! Promises: a use case that changes several things changes them in one transaction; the pipeline is nudged at once
//! about every change that concerns it; a use case that changes something is in the audit trail ([`audit`]); no secret is
//! in a response, an error, a log or the trail.
//! Left out on purpose: permissions, paths, envelopes and status codes.

pub mod audit;
pub mod bootstrap;
pub mod bulk;
pub mod businesses;
pub mod compare;
pub mod connect;
pub mod connection;
pub mod drift;
pub mod dry_run;
pub mod effect;
pub mod error;
pub mod explain;
pub mod forecast;
pub mod history;
pub mod import;
pub mod intents;
pub mod issues;
pub mod item_detail;
pub mod items;
pub mod keys;
pub mod limits;
pub mod live;
pub mod mapper;
pub mod preview;
pub mod queue;
pub mod schema;
pub mod select;
pub mod settings;
pub mod status;
pub mod submissions;
pub mod system;
pub mod time;
pub mod timeline;
pub mod walk;
pub mod webhook;

pub use error::AdminError;

use crate::app::App;
use crate::store::{self, StoreError, Tx};

/// Called after a change of the token, the catalog or the settings: discards what this process caches of the old ones
/// and nudges the pipeline. Other replicas learn of the change when they renew or request the lease.
async fn connection_changed(app: &App) -> Result<(), StoreError> {
    app.tokens.forget();
    app.load_settings().await?;
    app.wake.drain.nudge();
    app.wake.poll.nudge();
    app.wake.reask.nudge();
    app.wake.webhook.nudge();
    Ok(())
}

/// Clears the channel's problem, because its cause is being replaced in this transaction: the next call shows whether
/// it is solved.
///
/// The pipeline writes this row under its lease, so the transaction must hold the lease row first
/// ([`store::lease::hold_pipeline`]).
async fn clear_problem(tx: &mut Tx, now: crate::clock::Millis) -> Result<(), StoreError> {
    let mut channel = store::channel::load(tx).await?;
    channel.clear_problem();
    channel.breaker = crate::domain::breaker::Breaker::default();
    store::channel::save(tx, &channel, now).await
}
