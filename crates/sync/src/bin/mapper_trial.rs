//! The child process that tries mapper modules, on its own ([`catalog_sync::mapping::trial`]).

use std::process::ExitCode;

fn main() -> ExitCode {
    catalog_sync::mapping::trial::child()
}
