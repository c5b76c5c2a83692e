//! The runtime of the actors: supervision, timers, addresses, vitals, and jobs that run only under the lease.
//!
//! Left out on purpose: everything about catalogs. The actors are in [`crate::actors`] (which respond to requests) and
//! [`crate::pipeline`] (which run on their own).

pub mod cached;
pub mod exclusive;
pub mod jitter;
pub mod leased;
pub mod periodic;
pub mod slots;
pub mod tree;
pub mod vitals;
