//! What an operator can do: the use cases of the admin surface, without HTTP.
//!
//! Purpose: one function per use case, from checked input to an answer or a [`AdminError`]; the HTTP API ([`crate::http`])
//! only reads requests, asks who is asking, and writes answers.
//! Promises: whatever changes several things changes them in one transaction; whatever the pipeline should notice, it
//! is told at once; no secret is in an answer, an error or a log.
//! Left out on purpose: who may do what, paths, envelopes and status codes.

pub mod bootstrap;
pub mod bulk;
pub mod businesses;
pub mod connect;
pub mod error;
pub mod intents;
pub mod item_detail;
pub mod items;
pub mod live;
pub mod mapper;
pub mod preview;
pub mod schema;
pub mod select;
pub mod settings;
pub mod status;
pub mod time;

pub use error::AdminError;

use crate::app::App;
use crate::store::{self, StoreError, Tx};

/// Another token, another catalog, other settings: whatever this process remembers of the old ones is void, and the
/// pipeline looks at once. Other replicas learn of it when they renew or ask for the lease.
async fn connection_changed(app: &App) -> Result<(), StoreError> {
    app.tokens.forget();
    app.load_settings().await?;
    app.wake.drain.nudge();
    app.wake.poll.nudge();
    app.wake.reask.nudge();
    Ok(())
}

/// What stopped the channel rested on something that is being replaced in this transaction: the next call finds out.
///
/// The pipeline writes this row under its lease, so the transaction must hold that first
/// ([`store::lease::hold_pipeline`]).
async fn clear_problem(tx: &mut Tx, now: crate::clock::Millis) -> Result<(), StoreError> {
    let mut channel = store::channel::load(tx).await?;
    channel.clear_problem();
    channel.breaker = crate::domain::breaker::Breaker::default();
    store::channel::save(tx, &channel, now).await
}
