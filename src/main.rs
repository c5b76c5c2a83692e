//! The `meta-catalog` command.

fn main() {}
