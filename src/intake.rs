//! What a shop brings: files of products, and events of changes.
//!
//! Promises: a change and its intents are one transaction; untrusted input is refused with its place and its cause.

pub mod events;
pub mod import;
