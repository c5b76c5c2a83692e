//! The actors that answer requests: each knows only what it is given, so [`crate::app`] can hold their handles.
//!
//! A handle (`Coalescer`, `Limiter`, `Mapper`, `Tokens`) exists before the tree and stays good for its whole life; it sends
//! the typed messages. Mailboxes are unbounded, so they carry requests, never work: work is in the outbox table.
//! Left out on purpose: the actors that work by themselves ([`crate::pipeline`]).

pub mod coalescer;
pub mod limiter;
pub mod mapper;
pub mod token;
