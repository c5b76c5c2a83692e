//! What the pipeline knows and how it decides: plain data and pure functions.
//!
//! Promises: no I/O, no clock, no database, no HTTP, no wasm anywhere below; every decision can be read as a table
//! and is tested as one.
//! Left out on purpose: carrying decisions out. That is the actors' part, through the store and the Graph client.

pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod clears;
pub mod credential;
pub mod decision;
pub mod guard;
pub mod intent;
pub mod outcome;
pub mod settings;
pub mod state;
pub mod verdict;
pub mod word;
