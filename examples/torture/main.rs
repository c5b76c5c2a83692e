//! Torture: random edits, faults and kills against a real installation, then the comparison that must hold.
//!
//! ```sh
//! cargo run --example torture -- --kills 200                         # SQLite, any seed
//! cargo run --example torture -- --kills 200 --seed 7 --postgres     # a PostgreSQL server of its own, two replicas
//! cargo run --example torture -- --database-url postgres://…/empty   # one of yours; it has to be empty
//! ```
//!
//! It prints its seed; the same seed makes the same plan. The processes it kills are this program itself, as
//! `meta-catalog`.

use std::process::ExitCode;

use clap::Parser;
use testkit::torture::{Torture, run};

/// In the environment of a process that is to be `meta-catalog`.
const CHILD: &str = "TORTURE_CHILD";

#[derive(Debug, Parser)]
struct Arguments {
    /// The seed; left out, any
    #[arg(long)]
    seed: Option<u64>,
    /// How many kills; failpoints add to them
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// An empty PostgreSQL database
    #[arg(long, conflicts_with = "postgres")]
    database_url: Option<String>,
    /// Start a PostgreSQL server for the run
    #[arg(long)]
    postgres: bool,
}

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return meta_catalog::cli::main();
    }
    // Time passes by the test clock, and some processes die at failpoints: a release build has neither.
    if !cfg!(any(debug_assertions, feature = "failpoints")) {
        eprintln!("torture needs failpoints: leave --release out, or add --features failpoints");
        return ExitCode::from(2);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(tortured(Arguments::parse()));
    ExitCode::SUCCESS
}

async fn tortured(arguments: Arguments) {
    let database = match (arguments.database_url, arguments.postgres) {
        (Some(url), _) => Some(url),
        (None, true) => Some(testkit::postgres::database().await),
        (None, false) => None,
    };
    let engine = if database.is_some() { "PostgreSQL" } else { "SQLite" };
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    eprintln!("torture: seed {seed}, {} kills, {engine}", arguments.kills);
    let binary = std::env::current_exe().expect("it is known");
    let began = std::time::Instant::now();
    let tally = run(&Torture { seed, kills: arguments.kills, binary, marker: Some(CHILD), database }).await;
    eprintln!("torture: seed {seed} held: {tally:?} in {:?}", began.elapsed());
}
