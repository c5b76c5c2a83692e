//! Keeps a Meta Commerce Catalog equal to a shop's own catalog.
//!
//! `docs/architecture.md` shows these modules; `tests/integration/rooms.rs` checks that the code matches it.

pub mod actors;
pub mod admin;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod domain;
pub mod failpoints;
pub mod http;
pub mod ids;
pub mod intake;
pub mod mapping;
pub mod pipeline;
pub mod report;
pub mod runtime;
pub mod startup;
pub mod store;
