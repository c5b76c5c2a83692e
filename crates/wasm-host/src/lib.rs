//! The host of mapper modules: WebAssembly that decides what Meta is told of a variant.
//!
//! Purpose: load a module of the world in `mappers/wit/`, and map batches with it.
//! Promises: a module has no clock, randomness, network or files, and cannot outlive its batch: every run has a store
//! of its own. Memory, tables, stack, time, log and output are bounded ([`Limits`]). A module's fault costs the rows
//! that provoke it, never a neighbour and never the process; nothing here panics on what a module does or on what a
//! file holds. The word that leaves here has been checked (see `output`) and its JSON is canonical.
//! Left out on purpose: which module is active, where it comes from and which threads it runs on. Everything here
//! blocks: call it from a thread that may, with at least 1 MiB of stack (a guest's recursion needs 512 KiB before it
//! is stopped).

mod batch;
mod call;
mod fault;
mod host;
mod inspect;
mod limits;
mod load;
mod log;
mod output;
mod wire;

pub use batch::Batch;
pub use host::{Host, HostError};
pub use limits::{Limits, MODULE_BYTES};
pub use load::{LoadError, Module};
