//! Keeps a Meta Commerce Catalog equal to a shop's own catalog. This crate knows nothing of HTTP servers: the package
//! `meta-catalog` adds the API, the commands and the demonstration.
//!
//! `docs/architecture.md` shows the rooms of both; `tests/integration/rooms.rs` checks that the code matches it.

pub mod actors;
pub mod admin;
pub mod app;
pub mod clock;
pub mod config;
pub mod domain;
pub mod failpoints;
pub mod ids;
pub mod intake;
pub mod mapping;
pub mod pipeline;
pub mod report;
pub mod runtime;
pub mod startup;
pub mod store;
pub mod verify;
