//! Mapper modules in a running service: swaps, the watched folder, loading.

mod directory;
mod loading;
mod swap;
