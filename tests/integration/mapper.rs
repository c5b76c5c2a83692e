//! Mapper modules in a running installation: swaps, the watched folder, kills, several replicas.

mod command;
mod directory;
pub(crate) mod kill;
mod loading;
mod replicas;
mod swap;
