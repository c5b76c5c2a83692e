//! What the pipeline knows and how it decides: plain data and pure functions.
//!
//! Promises: no I/O, no clock, no database, no HTTP, no wasm anywhere below; every decision can be read as a table
//! and is tested as one.
//! Left out on purpose: carrying decisions out. That is the actors' part, through the store and the Graph client.

pub mod access;
pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod channel;
pub mod clears;
pub mod credential;
pub mod guard;
pub mod intent;
pub mod outcome;
pub mod plan;
pub mod reask;
pub mod record;
pub mod retention;
pub mod settings;
pub mod state;
pub mod verdict;
