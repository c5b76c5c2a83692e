//! Mapper modules in real processes: the command, kills, several replicas. `crates/sync/tests/sync/mapper.rs` has what
//! one process shows from within.

mod command;
mod hostile;
pub(crate) mod kill;
mod replicas;
