//! The `meta-catalog` command; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    meta_catalog::cli::main()
}
