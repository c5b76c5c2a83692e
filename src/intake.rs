//! What a shop sends: files of products, and events about changes.
//!
//! Promises: a change and its intents are committed in one transaction; invalid input is refused with its place and its
//! cause.

pub mod events;
pub mod import;
