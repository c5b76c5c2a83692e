//! A file offered as a mapper module, through the child process: a mapper or a refusal, within the limits.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use catalog_sync::mapping::loader::Loaders;
use catalog_sync::mapping::trial::Program;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static LOADERS: LazyLock<Loaders> = LazyLock::new(|| {
    let program = std::env::var_os("MAPPER_TRIAL").expect("MAPPER_TRIAL names the program; scripts/fuzz.sh sets it");
    Loaders::new(Program::at(program.into()))
});

fuzz_target!(|file: &[u8]| {
    let begun = Instant::now();
    let loaded = RUNTIME.block_on(LOADERS.load_rehearsed(file.to_vec())).expect("a host");
    assert!(begun.elapsed() < Duration::from_secs(22), "{loaded:?}");
});
