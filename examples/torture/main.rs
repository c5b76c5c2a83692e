//! Runs random edits, faults and kills against a real installation, then compares Meta's items with the mapper's word.
//!
//! ```sh
//! cargo run --example torture -- --kills 200                         # SQLite, random seed
//! cargo run --example torture -- --kills 200 --seed 7 --postgres     # its own PostgreSQL server, two replicas
//! cargo run --example torture -- --database-url postgres://…/empty   # an existing database, which must be empty
//! ```
//!
//! The program prints its seed. The same seed gives the same plan. The processes that it kills are this same program,
//! which then runs as `meta-catalog`.

use std::process::ExitCode;

use clap::Parser;
use testkit::torture::{Torture, run};

/// The environment variable that makes this program run as `meta-catalog`.
const CHILD: &str = "TORTURE_CHILD";

#[derive(Debug, Parser)]
struct Arguments {
    /// The seed of the plan; random when omitted
    #[arg(long)]
    seed: Option<u64>,
    /// Number of kills; exits at failpoints are additional
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// URL of an empty PostgreSQL database
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
    // Time passes by the test clock, and some processes exit at failpoints. A release build has neither.
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
