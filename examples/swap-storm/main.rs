//! Runs a storm of mapper swaps during a drain: 100,000 variants in batches of 500 and a hundred swaps between two
//! modules. Then checks every call and every item.
//!
//! ```sh
//! cargo run --release --example swap-storm                                  # SQLite
//! cargo run --release --example swap-storm -- --postgres                    # its own PostgreSQL server
//! cargo run --release --example swap-storm -- --variants 5000 --swaps 20    # a small storm
//! ```

use std::process::ExitCode;

use clap::Parser;
use testkit::Engine;
use testkit::swaps::{Storm, run};

#[derive(Debug, Parser)]
struct Arguments {
    /// Number of variants to push
    #[arg(long, default_value_t = 100_000)]
    variants: usize,
    /// Rows per call
    #[arg(long, default_value_t = 500)]
    batch: usize,
    /// Number of swaps
    #[arg(long, default_value_t = 100)]
    swaps: usize,
    /// Start a PostgreSQL server for the run instead of using SQLite
    #[arg(long)]
    postgres: bool,
}

fn main() -> ExitCode {
    let Arguments { variants, batch, swaps, postgres } = Arguments::parse();
    let engine = if postgres { Engine::Postgres } else { Engine::Sqlite };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let tally = runtime.block_on(run(Storm { engine, variants, batch, swaps }));
    println!("{tally:#?}");
    ExitCode::SUCCESS
}
