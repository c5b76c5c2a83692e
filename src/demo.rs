//! The demonstration: a complete working installation against the local Meta, driven as an operator drives it.
//!
//! - [`sample`] is the catalog,
//! - [`local_meta`] starts the simulator as a separate process,
//! - [`operator`] gives the consent and calls the admin API,
//! - [`run`] runs all of it.

pub(crate) mod local_meta;
pub(crate) mod operator;
pub(crate) mod run;
pub(crate) mod sample;
