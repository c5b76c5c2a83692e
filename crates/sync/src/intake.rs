//! The input from a shop: files of products, and events of changes.
//!
//! Promises: a change and its intents are one transaction; a refusal of untrusted input names the place and the cause.

pub mod events;
pub mod import;
