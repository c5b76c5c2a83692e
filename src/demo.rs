//! The demonstration: a complete working installation against the local Meta, driven as an operator drives it.
//!
//! - [`sample`] is the catalog,
//! - [`local_meta`] starts the simulator as a separate process,
//! - [`operator`] gives the consent and calls the admin API,
//! - [`verify`] compares what Meta holds with the mapper's word, item by item,
//! - [`run`] runs all of it.

pub mod local_meta;
pub mod operator;
pub mod run;
pub mod sample;
pub mod verify;
