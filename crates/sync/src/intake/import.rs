//! Import of products from a file: one JSON object per line (NDJSON), or an export of a shop system ([`formats`]).
//!
//! Purpose: turns untrusted lines into [`crate::domain::record`]s that every table can store, or into refusals that
//! tell a shop's developer what is wrong and where.
//! Promises: pure (no clock, no database); never panics; memory is bounded by the largest permitted product plus 16
//! bytes per seen id.
//! Left out on purpose: whether a record belongs in Meta's catalog (the mapper decides) and writing it (the store
//! does). A zero or missing price or slug is data, not an error.

pub mod duplicates;
pub mod formats;
pub mod kinds;
pub mod line;
pub mod reader;
pub mod run;
mod unnamed;

pub use duplicates::Duplicates;
pub use line::{Refusal, parse, parse_in};
pub use reader::{Line, LineReader};
