//! The host of mapper modules: WebAssembly that decides what Meta receives for a variant.
//!
//! Purpose: load a module of the world in `mappers/wit/`, and map batches with it.
//! Promises: a module has no clock, randomness, network or files, and cannot outlive its batch: every run has its own
//! store. Memory, tables, stack, time, log and output are limited ([`Limits`]). A module's fault fails only the rows
//! that cause it, never another row or the process; nothing here panics because of a module's behaviour or a file's
//! content. Every returned word is checked (see `output`) and its JSON is canonical.
//! Left out on purpose: which module is active, its origin, and the threads that it runs on. Everything here blocks:
//! call it from a thread that may block, with at least 1 MiB of stack (a guest's recursion needs 512 KiB before it is
//! stopped).

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

#[cfg(feature = "fuzzing")]
pub use output::fuzzing;

pub use batch::Batch;
pub use host::{Host, HostError, compile_on};
pub use limits::{Limits, MODULE_BYTES};
pub use load::{LoadError, Module};
pub use wire::MAPPING;
