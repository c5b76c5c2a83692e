//! The actors that respond to requests. Each has only the dependencies that it is given, so [`crate::app`] can hold
//! their handles.
//!
//! A handle (`Coalescer`, `Limiter`, `Mapper`, `Tokens`) exists before the tree and stays valid for its whole life. It
//! sends the typed messages. Mailboxes are unbounded, so they carry requests, never work: work is in the outbox table.
//! Left out on purpose: the actors that run on their own ([`crate::pipeline`]).

pub mod coalescer;
pub mod limiter;
pub mod mapper;
pub mod token;
