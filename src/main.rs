//! The `meta-catalog` command; all of its code is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    meta_catalog::cli::main()
}
