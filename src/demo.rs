//! The demonstration: a whole working installation against the local Meta, driven the way an operator drives it.
//!
//! - [`sample`] is the catalog,
//! - [`local_meta`] starts the simulator as a process of its own,
//! - [`operator`] clicks through the consent and calls the admin API,
//! - [`verify`] compares what Meta holds with the mapper's word, item by item,
//! - [`run`] puts it together.

pub mod local_meta;
pub mod operator;
pub mod run;
pub mod sample;
pub mod verify;
