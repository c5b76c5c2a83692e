//! The pipeline's knowledge and decisions: plain data and pure functions.
//!
//! Promises: no I/O, no clock, no database, no HTTP and no wasm in any submodule. Every decision can be read as a table
//! and is tested as one.
//! Left out on purpose: executing decisions. The actors do that, through the store and the Graph client.

pub mod access;
pub mod advice;
pub mod audit;
pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod cause;
pub mod channel;
pub mod clears;
pub mod comparison;
pub mod credential;
pub mod drift;
pub mod guard;
pub mod history;
pub mod intent;
pub mod lint;
pub mod outcome;
pub mod plan;
pub mod problems;
pub mod reask;
pub mod record;
pub mod retention;
pub mod settings;
pub mod state;
pub mod verdict;
pub mod webhook;
