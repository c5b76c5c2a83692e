//! A whole shop through the service: `cargo bench --bench million [-- --variants 10000,1000000 --engine postgres]`.
//!
//! The bench imports a shop of its own (five variants a product, a description of 700 bytes) and pushes it, changes every
//! price and pushes again, passes over everything without a change, bootstraps it, asks again for a setting that changes
//! no payload and for one that changes each, polls, and reads what an operator reads. Meta is a process that answers at
//! once ([`sink`]). Beside each phase stands its floor, measured in the same run on the same database: the same rows moved
//! by bare SQL ([`floor`]). The result is the ratio.
//!
//! - A bootstrap is over when everything is queued, mapped and found to be at Meta: it is never more than three calls
//!   ahead of the drain. Its floor is one `INSERT … SELECT` of all intents and one pass over the source; so is that of the
//!   re-ask that changes nothing. Where everything is sent, the floor of a push stands in place of the pass.
//! - The poll has its items sent while Meta holds its verdicts back, at most 250,000. The service asks for a held verdict
//!   more and more rarely, so these pauses are ended in the database before the time begins, and the poll is nudged every
//!   10 ms, so that it does not wait between two rounds. Nothing else is nudged.
//! - Reads are use cases without HTTP ([`reads`]); with `--pages`, the operator's pages are read instead, over HTTP, and
//!   no phase but the import and the first push is run ([`pages`]).
//!
//! Every run is a process with a new database, so that the peak of its memory is its own. `--runs 3` prints medians.
//! `--baseline` adds the same push by a pipeline in Node ([`baseline`]), on PostgreSQL. `--blind` runs without statistics,
//! `--blind=too` both ways. `--bare` leaves the floors out. `--check` prints the bars and fails when one is missed ([`bars`]).
//!
//! Left out on purpose: Meta's quota, which has a mode of its own ([`allowance`]), and its time to judge. On a disk that others use, single runs differ by a tenth.

mod allowance;
mod bars;
mod baseline;
mod floor;
mod measure;
mod pages;
mod reads;
mod run;
mod shop;
mod sink;
mod tables;

use std::process::{Command, ExitCode, Stdio};

use clap::{Parser, ValueEnum};
use measure::Measured;
use run::Plan;
use testkit::Engine;

#[derive(Debug, Parser)]
struct Args {
    /// Numbers of variants, multiples of 5
    #[arg(long, value_delimiter = ',', default_value = "100000", value_parser = variants)]
    variants: Vec<usize>,
    /// Database
    #[arg(long, value_enum, default_value_t = Databases::Both)]
    engine: Databases,
    /// PostgreSQL has no statistics: autovacuum is off and nothing is analysed
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "only")]
    blind: Option<Blind>,
    /// Number of runs; their medians are printed
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    runs: u8,
    /// Runs the baseline in Node besides, on PostgreSQL
    #[arg(long)]
    baseline: bool,
    /// Prints the bars and fails when one is missed
    #[arg(long, conflicts_with = "bare")]
    check: bool,
    /// Measures no floors, which take as long as everything else
    #[arg(long)]
    bare: bool,
    /// Drains a backlog at the simulator's 8 calls a minute for this many minutes, and nothing else
    #[arg(long, value_name = "MINUTES")]
    allowance: Option<u32>,
    /// Measures the operator's pages, and what open tabs cost a push; fails when a bar is missed
    #[arg(long)]
    pages: bool,
    /// Makes one run and prints it as JSON; the bench starts this process itself
    #[arg(long, hide = true)]
    one: bool,
    /// Serves as Meta; the bench starts this process itself
    #[arg(long, hide = true)]
    sink: bool,
    /// Measures floors on this database; the bench starts this process itself
    #[arg(long, hide = true)]
    floor: Option<String>,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Databases {
    Sqlite,
    Postgres,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Blind {
    /// Only without statistics
    Only,
    /// With statistics, and on PostgreSQL without them too
    Too,
}

fn variants(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number >= 1_000 && number % shop::A_PRODUCT == 0 => Ok(number),
        _ => Err("a multiple of 5, at least 1000, is expected".into()),
    }
}

/// The medians of the runs of one shop.
struct Outcome {
    engine: Databases,
    variants: usize,
    blind: bool,
    measured: Measured,
}

impl Outcome {
    fn name(&self) -> String {
        plan(self.engine, self.variants, self.blind).name()
    }
}

fn plan(engine: Databases, variants: usize, blind: bool) -> Plan {
    let engine = if engine == Databases::Sqlite { Engine::Sqlite } else { Engine::Postgres };
    Plan { engine, variants, blind, baseline: false, floors: true }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.sink {
        sink::serve();
        return ExitCode::SUCCESS;
    }
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if let Some(database) = &args.floor {
        runtime().block_on(floor::serve(database));
        return ExitCode::SUCCESS;
    }
    if let Some(minutes) = args.allowance {
        let engine = if args.engine == Databases::Sqlite { Engine::Sqlite } else { Engine::Postgres };
        let is_used = runtime().block_on(allowance::run(engine, minutes));
        return if is_used { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if args.pages {
        let engine = if args.engine == Databases::Sqlite { Databases::Sqlite } else { Databases::Postgres };
        let are_held = runtime().block_on(pages::run(plan(engine, args.variants[0], false)));
        return if are_held { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if args.one {
        let plan = plan(args.engine, args.variants[0], args.blind.is_some());
        let plan = Plan { baseline: args.baseline, floors: !args.bare, ..plan };
        let measured = runtime().block_on(run::run(plan));
        println!("{}", serde_json::to_string(&measured).expect("JSON"));
        return ExitCode::SUCCESS;
    }
    match all(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

/// Makes all runs and prints them. Returns whether no bar that was asked for is missed.
fn all(args: &Args) -> Result<bool, String> {
    if args.baseline {
        if args.engine == Databases::Sqlite {
            return Err("--baseline runs on PostgreSQL; add --engine postgres or --engine both.".into());
        }
        baseline::prepare()?;
    }
    let mut outcomes = Vec::new();
    for engine in [Databases::Sqlite, Databases::Postgres] {
        if args.engine != engine && args.engine != Databases::Both {
            continue;
        }
        for &variants in &args.variants {
            for &blind in blinds(args.blind, engine) {
                let runs: Result<Vec<_>, _> = (0..args.runs).map(|_| one(args, engine, variants, blind)).collect();
                let outcome = Outcome { engine, variants, blind, measured: Measured::median(&runs?) };
                tables::print(&outcome);
                outcomes.push(outcome);
            }
        }
    }
    tables::compare(&outcomes);
    Ok(!args.check || bars::print(&outcomes))
}

/// SQLite keeps no statistics.
fn blinds(asked: Option<Blind>, engine: Databases) -> &'static [bool] {
    match (asked, engine) {
        (Some(Blind::Only), Databases::Postgres) => &[true],
        (Some(Blind::Too), Databases::Postgres) => &[false, true],
        _ => &[false],
    }
}

/// Makes one run, in a process of its own.
fn one(args: &Args, engine: Databases, variants: usize, blind: bool) -> Result<Measured, String> {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    let engine = engine.to_possible_value().expect("a value");
    command.args(["--one", "--engine", engine.get_name(), "--variants", &variants.to_string()]);
    // What it costs to be blind is known without the baseline.
    command.args(blind.then_some("--blind")).args((args.baseline && !blind).then_some("--baseline"));
    command.args(args.bare.then_some("--bare"));
    let output = command.stderr(Stdio::inherit()).output().map_err(|why| format!("no process for a run: {why}"))?;
    if !output.status.success() {
        return Err(format!("a run failed ({})", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).map_err(|why| format!("a run printed no result: {why}"))
}
