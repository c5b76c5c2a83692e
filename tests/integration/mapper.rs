//! Mapper modules in a running installation: swaps, the watched folder, kills.

mod command;
mod directory;
pub(crate) mod kill;
mod swap;
