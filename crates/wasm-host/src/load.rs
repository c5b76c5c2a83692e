//! Loads a module from a file's bytes.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, Instance, InstancePre, TypedFunc};
use wit_component::ComponentEncoder;

use super::call::{self, Guest};
use mapper_core::word::{FaultKind, MapperFault};

use super::fault::{Cause, explain, short};
use super::host::{Host, Shared};
use super::inspect::{self, Format};
use super::wire::{self, MapperInfo};

/// Longest name and version, in characters.
const LONGEST_NAME: usize = 100;

/// Loading recurses over the content of a possibly hostile file, so it has a separate stack.
const STACK: usize = 16 << 20;

/// Why a file cannot run here as a mapper module. Each text states the problem and its fix.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum LoadError {
    /// No bytes at all.
    #[error("the file is empty; check that it was written completely")]
    Empty,
    /// Larger than allowed.
    #[error(
        "the file has {bytes} bytes, {limit} are allowed; build it with `opt-level`, `lto` and `strip`, or use a smaller engine (componentize-qjs for JavaScript)"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Not WebAssembly.
    #[error(
        "the file is not WebAssembly (binary format); build the mapper for the target wasm32-unknown-unknown and give the `.wasm` file"
    )]
    NotWasm,
    /// Starts as WebAssembly and is not valid.
    #[error("the file is damaged or uses an unsupported feature of WebAssembly: {0}; build or copy it again")]
    Damaged(String),
    /// A core module without the description of its world.
    #[error(
        "the file is WebAssembly, but does not describe the world `catalog:mapper`; build it with the mapper SDK, and keep its custom sections (`wasm-strip` and `wasm-opt --strip` remove them)"
    )]
    NotMadeWithSdk,
    /// Needs an operating system.
    #[error(
        "the module imports `{import}`, but a mapper has no operating system: no files, network, clock or randomness; build Rust for wasm32-unknown-unknown (not wasm32-wasip1 or -wasip2), JavaScript and Python with `--stub-wasi`"
    )]
    Wasi {
        /// The import.
        import: String,
    },
    /// The description of its world cannot be turned into a component.
    #[error("the module cannot be turned into a component: {0}; build it again with the mapper SDK of this version")]
    NotAComponent(String),
    /// Another version of the world.
    #[error(
        "the module is made for `{found}`, this version of meta-catalog serves `{ours}`; build it with the SDK for that version"
    )]
    OtherWorld {
        /// What it exports.
        found: String,
        /// The version that this host serves.
        ours: Cow<'static, str>,
    },
    /// A component of another world.
    #[error(
        "the component is not a mapper: it does not export `catalog:mapper/mapping@1.0.0` (it exports: {exports}); build it for the world in `mappers/wit`"
    )]
    NotAMapper {
        /// What it exports, separated by commas.
        exports: String,
    },
    /// Imports something that the host does not provide.
    #[error("the module imports what the host does not provide: {0}; a mapper may import only `builtin` and `log`")]
    Imports(String),
    /// The names match, the types do not.
    #[error(
        "the module's functions do not match `mappers/wit/mapper.wit`, version 1: {0}; build it with the SDK of this version"
    )]
    Types(String),
    /// So much code, or such deeply nested code, that compiling it could take minutes.
    #[error(
        "the module is too complex to be compiled here: {count} {what}, {limit} are allowed; build it optimised for size, split generated code into functions, and keep large tables as data"
    )]
    TooComplex {
        /// What exceeds the limit.
        what: Cow<'static, str>,
        /// How much of it there is.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// The compiler refused it, for instance because it needs more memories or tables than a module may have.
    #[error("the module cannot be compiled: {0}")]
    Compile(String),
    /// `describe` failed.
    #[error("{0} when asked to describe itself")]
    Describe(MapperFault),
    /// `describe` returned a text that cannot be shown.
    #[error("the module's {what} {problem}; `describe` must return 1 to 100 characters without control characters")]
    Info {
        /// `name` or `version`.
        what: Cow<'static, str>,
        /// What is wrong with it.
        problem: Cow<'static, str>,
    },
    /// A defect of a library, triggered by the file.
    #[error("the loader failed on this file ({0}); if the file is not damaged, please report it")]
    Panicked(String),
    /// The thread for loading cannot start.
    #[error("cannot start a thread to load the module: {0}; try again")]
    Thread(String),
}

/// A module that can map. Cheap to clone; freed with the last clone and the last batch in flight.
#[derive(Clone)]
pub struct Module {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    pub(super) pre: InstancePre<Guest>,
    pub(super) exports: Exports,
    digest: Arc<str>,
    name: String,
    version: String,
    /// Name and short digest, as faults and the log show them.
    pub(super) label: Arc<str>,
    /// See [`Module::most_memory`].
    pub(super) most_memory: AtomicUsize,
}

/// Where the functions are.
pub(super) struct Exports {
    describe: ComponentExportIndex,
    pub(super) map_items: ComponentExportIndex,
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { name, version, digest, .. } = &*self.inner;
        f.debug_struct("Module")
            .field("name", name)
            .field("version", version)
            .field("digest", digest)
            .finish_non_exhaustive()
    }
}

impl Module {
    /// SHA-256 of the file, as lower-case hex digits.
    #[must_use]
    pub fn digest(&self) -> &Arc<str> {
        &self.inner.digest
    }

    /// The name that the module gives itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The version that the module gives itself.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.inner.version
    }

    /// The most memory that a run had so far, in bytes.
    #[must_use]
    pub fn most_memory(&self) -> usize {
        self.inner.most_memory.load(Ordering::Relaxed)
    }
}

impl Host {
    /// Builds a module from a file: validates, componentizes if needed, compiles, links, checks every
    /// type and calls `describe`. Takes about 0.1 s for a module in Rust and 1 s for one in JavaScript.
    ///
    /// # Errors
    /// See [`LoadError`]; never a panic, whatever the bytes are.
    pub fn load(&self, bytes: &[u8]) -> Result<Module, LoadError> {
        if bytes.is_empty() {
            return Err(LoadError::Empty);
        }
        let limit = self.shared.limits.file_bytes;
        if bytes.len() > limit {
            return Err(LoadError::TooLarge { bytes: bytes.len(), limit });
        }
        // A separate thread: for its stack, and to convert a panic of the libraries into an error.
        thread::scope(|scope| {
            let loader = thread::Builder::new().name("mapper-load".into()).stack_size(STACK);
            let loader = loader.spawn_scoped(scope, || load(&self.shared, bytes));
            let loader = loader.map_err(|error| LoadError::Thread(error.to_string()))?;
            loader.join().unwrap_or_else(|panic| Err(LoadError::Panicked(panic_text(&*panic))))
        })
    }
}

fn load(shared: &Arc<Shared>, bytes: &[u8]) -> Result<Module, LoadError> {
    let digest: Arc<str> = hex::encode(Sha256::digest(bytes)).into();
    let encoded;
    let component = match inspect::format(bytes)? {
        Format::Component => bytes,
        Format::Core => {
            encoded = componentize(bytes)?;
            &encoded
        }
    };
    inspect::component(component)?;
    let component = Component::from_binary(&shared.engine, component).map_err(|e| LoadError::Compile(root(&e)))?;
    let pre = shared.linker.instantiate_pre(&component).map_err(|e| LoadError::Imports(root(&e)))?;
    let exports = Exports::find(&component)?;

    let label: Arc<str> = digest[..12].into();
    let info = describe(shared, &pre, &exports, &label)?;
    check_info("name", &info.name)?;
    check_info("version", &info.version)?;
    let label = format!("{} ({label})", info.name).into();
    let inner = Inner {
        shared: Arc::clone(shared),
        pre,
        exports,
        digest,
        name: info.name,
        version: info.version,
        label,
        most_memory: AtomicUsize::new(0),
    };
    Ok(Module { inner: Arc::new(inner) })
}

fn componentize(bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    ComponentEncoder::default()
        .validate(true)
        .module(bytes)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| LoadError::NotAComponent(short(&format!("{error:#}"))))
}

impl Exports {
    fn find(component: &Component) -> Result<Self, LoadError> {
        let index = |name: &str| {
            let mapping = component.get_export_index(None, wire::MAPPING);
            mapping
                .and_then(|mapping| component.get_export_index(Some(&mapping), name))
                .ok_or_else(|| LoadError::Types(format!("`{name}` is missing from `{}`", wire::MAPPING)))
        };
        Ok(Self { describe: index("describe")?, map_items: index("map-items")? })
    }
}

/// Finds a function and compares its types with the expected ones.
pub(super) fn typed<P, R>(
    instance: &Instance,
    store: &mut Store<Guest>,
    index: &ComponentExportIndex,
) -> wasmtime::Result<TypedFunc<P, R>>
where
    P: wasmtime::component::ComponentNamedList + wasmtime::component::Lower,
    R: wasmtime::component::ComponentNamedList + wasmtime::component::Lift,
{
    instance.get_typed_func(&mut *store, index)
}

/// Calls `describe` under the limits of a run.
fn describe(
    shared: &Shared,
    pre: &InstancePre<Guest>,
    exports: &Exports,
    label: &Arc<str>,
) -> Result<MapperInfo, LoadError> {
    let fault = |cause: Cause| LoadError::Describe(cause.of(label));
    let busy = || Cause::new(FaultKind::Busy, "found no free slot to run in");
    let _place = shared.place().ok_or_else(|| fault(busy()))?;
    let mut store = call::store(shared, Guest::idle(shared, label), 1, shared.limits.first_run(1));
    let instance = match pre.instantiate(&mut store) {
        Ok(instance) => instance,
        Err(error) => return Err(fault(explain(&error, store.data().log.last_words()))),
    };
    let types = |error: wasmtime::Error| LoadError::Types(short(&format!("{error:#}")));
    typed::<wire::MapItems<'_>, (Vec<wire::Outcome>,)>(&instance, &mut store, &exports.map_items).map_err(types)?;
    let ask = typed::<(), (MapperInfo,)>(&instance, &mut store, &exports.describe).map_err(types)?;
    match ask.call(&mut store, ()) {
        Ok((info,)) => Ok(info),
        Err(error) => Err(fault(explain(&error, store.data().log.last_words()))),
    }
}

fn check_info(what: &'static str, text: &str) -> Result<(), LoadError> {
    let problem = if text.trim().is_empty() {
        "is empty"
    } else if text.chars().count() > LONGEST_NAME {
        "is too long"
    } else if text.chars().any(char::is_control) {
        "has control characters"
    } else {
        return Ok(());
    };
    Err(LoadError::Info { what: what.into(), problem: problem.into() })
}

fn root(error: &wasmtime::Error) -> String {
    short(&error.root_cause().to_string())
}

/// The text of a panic.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    short(text.unwrap_or("a panic without a text"))
}
