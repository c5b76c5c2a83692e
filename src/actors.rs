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
//! - [`coalescer`], [`mapper`], [`drain`], [`poll`], [`sale_window`] and [`remap`] are the pipeline, [`lease`] who runs
//!   it, [`retention`] forgets what it has settled,
//! - [`limiter`] and [`token`] are the two actors the others ask before they call Meta.

pub mod coalescer;
pub mod drain;
pub mod jitter;
pub mod lease;
pub mod limiter;
pub mod mapper;
pub mod mapper_directory;
pub mod poll;
pub mod remap;
pub mod retention;
pub mod runtime;
pub mod sale_window;
pub mod slots;
pub mod token;
pub mod tree;
pub mod vitals;
