//! The actors: what runs besides the HTTP API, and what keeps it running.
//!
//! Promises: one flat tree of named children; a child that fails comes back with growing back-off and
//! its siblings never notice more than a closed slot; a graceful stop lets the work in hand end.
//!
//! Left out on purpose: queues. Mailboxes carry ticks and requests; the work itself is rows in the store.
//!
//! - [`tree`] starts, restarts and stops the children,
//! - [`slots`] lets siblings find each other across restarts,
//! - [`runtime`] is the periodic actor that most children are,
//! - [`vitals`] tells how each child is doing,
//! - [`limiter`] and [`token`] are the two actors the others ask before they call Meta.

pub mod jitter;
pub mod limiter;
pub mod runtime;
pub mod slots;
pub mod token;
pub mod tree;
pub mod vitals;
