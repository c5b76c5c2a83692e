//! Keeps a Meta Commerce Catalog equal to a shop's own catalog.

pub mod clock;
