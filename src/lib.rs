//! Serves what `catalog-sync` does over HTTP. The commands and the demonstration are in the program (`src/main.rs`).
//!
//! `docs/architecture.md` shows these modules; `tests/integration/rooms.rs` checks that the code matches it.

pub mod http;
pub mod page;
pub mod server;
