//! What makes actors run: supervision, timers, addresses, vitals, and what only the holder of the lease may do.
//!
//! Left out on purpose: everything about catalogs. The actors themselves are in [`crate::actors`] (they answer requests)
//! and [`crate::pipeline`] (they work by themselves).

pub mod exclusive;
pub mod jitter;
pub mod leased;
pub mod periodic;
pub mod slots;
pub mod tree;
pub mod vitals;
