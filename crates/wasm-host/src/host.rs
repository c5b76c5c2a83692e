//! The engine that all modules share: pooled memory, the clock that stops runs, and slots to run in.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;
use wasmtime::component::{Linker, WasmStr};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, StoreContextMut};

use super::call::Guest;
use super::fault::short;
use super::limits::Limits;
use super::wire;

/// The precision of deadlines.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// The stack limit of a guest; a guest that exceeds it is stopped.
const STACK: usize = 512 << 10;

/// Core instances, memories and tables of one module. Rust needs one of each; QuickJS 16, 3 and 3.
pub(super) const MOST_INSTANCES: u32 = 32;
/// See [`MOST_INSTANCES`].
pub(super) const MOST_MEMORIES: u32 = 4;
/// See [`MOST_INSTANCES`].
pub(super) const MOST_TABLES: u32 = 16;
/// Elements of a table.
pub(super) const MOST_ELEMENTS: usize = 20_000;

/// Memory that a slot of the pool keeps for the next run, so that it need not be requested from the kernel again. A run
/// of a whole chunk uses about as much. The process keeps it once per slot; memory beyond it that a run allocated is
/// returned.
const KEEP_RESIDENT: usize = 4 << 20;

/// How long a run waits for a slot. Every run ends, so this limit is reached only behind a queue of slow modules.
const WAIT_FOR_PLACE: Duration = Duration::from_secs(30);

/// Runs mapper modules. Cheap to clone; its clock stops with the last clone and the last module.
#[derive(Clone)]
pub struct Host {
    pub(super) shared: Arc<Shared>,
}

/// The parts that the modules of a host share.
pub(super) struct Shared {
    pub(super) engine: Engine,
    pub(super) linker: Linker<Guest>,
    pub(super) limits: Limits,
    places: Places,
}

/// Why the host cannot start.
#[derive(Debug, Error)]
pub enum HostError {
    /// The machine rejects the settings, for instance because address space is limited.
    #[error("the WebAssembly engine cannot start: {0}; check for a limit on address space (`ulimit -v`)")]
    Engine(String),
    /// The thread for the clock cannot start.
    #[error("cannot start the thread for the clock of mapper modules: {0}")]
    Clock(#[source] std::io::Error),
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}

/// Bounds the threads that this process compiles on. Without effect once it has compiled.
pub fn compile_on(threads: usize) {
    let threads = threads.min(thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
}

impl Host {
    /// Starts the engine and its clock.
    ///
    /// When the machine lacks what the engine needs.
    /// When the machine does not have what the engine needs.
    pub fn new(limits: Limits) -> Result<Self, HostError> {
        let failed = |error: wasmtime::Error| HostError::Engine(error.root_cause().to_string());
        let engine = Engine::new(&config(&limits)).map_err(failed)?;
        let linker = linker(&engine).map_err(failed)?;
        start_clock(&engine).map_err(HostError::Clock)?;
        let places = Places { free: Mutex::new(limits.concurrency), freed: Condvar::new() };
        Ok(Self { shared: Arc::new(Shared { engine, linker, limits, places }) })
    }

    /// The limits of modules.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }
}

impl Shared {
    /// Waits for a slot; `None` when none becomes free within the limit.
    pub(super) fn place(&self) -> Option<Place<'_>> {
        self.places.take()
    }

    /// Converts a time to ticks of the clock, rounded up. The current tick does not count.
    pub(super) fn ticks(time: Duration) -> u64 {
        let ticks = time.as_millis().div_ceil(TICK.as_millis());
        u64::try_from(ticks).unwrap_or(u64::MAX / 2).min(u64::MAX / 2) + 1
    }
}

fn config(limits: &Limits) -> Config {
    let places = limits.concurrency;
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(places)
        .total_core_instances(places.saturating_mul(MOST_INSTANCES))
        .total_memories(places.saturating_mul(MOST_MEMORIES))
        .total_tables(places.saturating_mul(MOST_TABLES))
        .max_core_instances_per_component(MOST_INSTANCES)
        .max_memories_per_component(MOST_MEMORIES)
        .max_memories_per_module(MOST_MEMORIES)
        .max_tables_per_component(MOST_TABLES)
        .max_tables_per_module(MOST_TABLES)
        .table_elements(MOST_ELEMENTS)
        .max_memory_size(limits.memory_bytes)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(places);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(true)
        .parallel_compilation(limits.parallel)
        .max_wasm_stack(STACK)
        // A mapper is a pure function and must behave the same on every machine: payloads are compared by hash.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    config
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    let mut host = linker.instance(wire::HOST)?;
    host.func_wrap("builtin", |mut store: StoreContextMut<'_, Guest>, (index,): (u32,)| {
        Ok((store.data_mut().builtin(index)?,))
    })?;
    host.func_wrap("log", |mut store: StoreContextMut<'_, Guest>, (message,): (WasmStr,)| {
        let line = short(&message.to_str(&store)?);
        store.data_mut().log.write(line);
        Ok(())
    })?;
    Ok(linker)
}

/// Ticks while the engine lives.
fn start_clock(engine: &Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    };
    thread::Builder::new().name("mapper-clock".into()).spawn(tick).map(drop)
}

/// As many slots as the pool has. One more would be an error of the pool.
struct Places {
    free: Mutex<u32>,
    freed: Condvar,
}

impl Places {
    fn take(&self) -> Option<Place<'_>> {
        let until = Instant::now() + WAIT_FOR_PLACE;
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            let left = until.checked_duration_since(Instant::now())?;
            free = self.freed.wait_timeout(free, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *free -= 1;
        Some(Place(self))
    }
}

/// A slot to run in; dropping it frees the slot. Must outlive the store that runs in it.
pub(super) struct Place<'a>(&'a Places);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}
