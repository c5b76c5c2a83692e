//! Mapper modules in a running installation: swaps, the watched folder, kills.

mod directory;
mod kill;
mod swap;
