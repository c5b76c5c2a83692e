//! The cost of trying a mapper module in a child process: `cargo bench --bench load [-- --check]`.
//!
//! A module is activated as the service does it: tried and rehearsed in a child, loaded here. Beside it, in turn, the same
//! module is loaded and rehearsed in this process alone, on one thread, as it was before there were trials. The result
//! is the median of the rounds' ratios. With `--check` the process fails when a ratio is above its bar.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use catalog_sync::mapping::LoadedMapper;
use catalog_sync::mapping::loader::Loaders;
use catalog_sync::mapping::trial::Program;
use wasm_host::{Host, Limits};

const ROUNDS: usize = 7;
const BAR: f64 = 1.5;

fn main() -> ExitCode {
    let check = std::env::args().any(|argument| argument == "--check");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let loaders = Loaders::new(Program::at(testkit::trial_program()));
    let alone = Host::new(Limits { parallel: false, ..Limits::default() }).expect("an engine");
    let mut is_within = true;
    for name in ["seasonal-label", "builtin", "margin-label"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappers/modules").join(name).with_extension("wasm");
        let bytes = std::fs::read(path).expect("a module");
        let here = || LoadedMapper::load(&alone, &bytes).expect("it loads").rehearse().expect("it answers");
        let tried = || {
            let loaded = runtime.block_on(loaders.load_rehearsed(bytes.clone()));
            drop(loaded.expect("a host").expect("it passes"));
        };
        // The engine of the service is made with its first module.
        tried();
        let rounds: Vec<[f64; 2]> = (0..ROUNDS).map(|_| [time(here), time(tried)]).collect();
        let ratio = median(rounds.iter().map(|[here, tried]| tried / here).collect());
        let [here, tried] = [0, 1].map(|way| median(rounds.iter().map(|round| round[way]).collect()) * 1e3);
        println!("{name:<16}{here:>7.0} ms here alone, {tried:>7.0} ms with a trial, {ratio:>5.2} × (bar {BAR:.1})");
        is_within &= ratio <= BAR;
    }
    if check && !is_within { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn time(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    Duration::as_secs_f64(&begun.elapsed())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
