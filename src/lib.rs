//! Keeps a Meta Commerce Catalog equal to a shop's own catalog.

pub mod actors;
pub mod clock;
pub mod domain;
pub mod import;
pub mod store;
