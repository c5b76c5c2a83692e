//! A whole shop through the service: `cargo bench --bench million [-- --variants 1000000 --engine postgres]`.
//!
//! The bench imports a shop of its own (five variants a product, a description of 700 bytes), pushes it, changes every
//! price, pushes again, passes over everything once more without a change, and reads what an operator reads. Meta is a
//! process that answers at once ([`sink`]). Beside each phase stands its floor, measured in the same run on the same
//! database: the same rows moved by bare SQL ([`floor`]). The result is the ratio.
//!
//! Left out on purpose: Meta's quota and its time to judge. On a disk that others use, single runs differ by a tenth.

mod floor;
mod measure;
mod shop;
mod sink;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use measure::{Phase, Report};
use testkit::Engine;

#[derive(Debug, Parser)]
struct Args {
    /// Number of variants
    #[arg(long, default_value_t = 100_000)]
    variants: usize,
    /// Database
    #[arg(long, value_enum, default_value_t = Databases::Both)]
    engine: Databases,
    /// The database has no statistics: autovacuum is off and nothing is analysed
    #[arg(long)]
    blind: bool,
    /// Serves as Meta; the bench starts this process itself
    #[arg(long, hide = true)]
    sink: bool,
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

fn main() -> ExitCode {
    let args = Args::parse();
    if args.sink {
        sink::serve();
        return ExitCode::SUCCESS;
    }
    for (engine, name) in [(Engine::Sqlite, "SQLite"), (Engine::Postgres, "PostgreSQL")] {
        let is_asked = match args.engine {
            Databases::Both => true,
            Databases::Sqlite => matches!(engine, Engine::Sqlite),
            Databases::Postgres => matches!(engine, Engine::Postgres),
        };
        if is_asked {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
            let blind = if args.blind { ", without statistics" } else { "" };
            println!("\n{} variants on {name}{blind}", args.variants);
            runtime.block_on(run(engine, args.variants, args.blind));
        }
    }
    ExitCode::SUCCESS
}

async fn run(engine: Engine, variants: usize, blind: bool) {
    let sink = sink::Child::start();
    let shop = shop::open(engine, &sink, blind).await;
    let mut report = Report::new(variants, sink.id());
    let floor = floor::Floor::new(&shop, engine).await;

    shop.set(serde_json::json!({ "sync_enabled": false })).await;
    let imported = report.phase("import", shop::import(&shop, variants, 10_000)).await;
    shop::see(&shop, engine, blind).await;
    report.floor(imported, floor.import(&shop)).await;

    let pushed = report.phase("first push", shop::push(&shop)).await;
    report.floor(pushed, floor.push(&shop)).await;

    report.phase("import of other prices", shop::import(&shop, variants, 20_000)).await;
    report.phase("push of other prices", shop::push(&shop)).await;

    shop::ask_for_all(&shop).await;
    let passed: Phase = report.phase("pass without a change", shop::push(&shop)).await;
    report.floor(passed, floor.pass(&shop)).await;

    report.print();
    println!("database {:.0} bytes a variant", floor.bytes(&shop, engine).await / variants as f64);
    measure::reads(&shop, variants).await;
    shop.close().await;
}
