//! The mappers that this process can run: the built-in one, and modules.
//!
//! Purpose: one way to ask any mapper, and the way from a file's bytes to a mapper that was rehearsed.
//! Promises: a [`Running`] mapper never changes; whoever holds one maps with exactly it, however often the active one
//! is swapped. Everything here blocks or computes: it belongs on a blocking thread ([`crate::actors::mapper`]).
//! Left out on purpose: which mapper is active (the store says so), and what a module may do ([`crate::wasm`]).

pub mod corpus;
pub mod follow;
pub mod preview;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::domain::word::Word;
use crate::store::mapper::BUILTIN;
pub use crate::wasm::Batch;
use crate::wasm::{Fault, FaultKind, Host, LoadError, Module};

/// How state rows and submissions name the built-in mapper: it is part of the binary, so its version names it.
pub const BUILTIN_DIGEST: &str = concat!("builtin-", env!("CARGO_PKG_VERSION"));

/// The largest file that is taken for a module, in bytes: QuickJS with a script fits in, bigger engines do not.
pub const MODULE_BYTES: usize = 4 << 20;

/// The name of a module: SHA-256 of its file, in hex.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A mapper that can be asked.
#[derive(Debug)]
pub struct Running {
    key: Arc<str>,
    digest: Arc<str>,
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    Builtin,
    Module(Module),
}

/// Why a file does not become a mapper.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It fails on a sample that every mapper has to answer.
    #[error(
        "the module fails on the sample `{sample}` ({purpose}): {fault}. `meta-catalog mapper check FILE` shows every sample"
    )]
    Sample {
        /// Name of the sample.
        sample: String,
        /// What the sample is about.
        purpose: String,
        /// What happened.
        fault: String,
    },
}

impl Running {
    /// The built-in mapper.
    #[must_use]
    pub fn builtin() -> Self {
        Self { key: BUILTIN.into(), digest: BUILTIN_DIGEST.into(), engine: Engine::Builtin }
    }

    /// A module from the bytes of its file. Not [rehearsed](Running::rehearse) yet.
    ///
    /// # Errors
    /// Says what is wrong with the file.
    pub fn load(host: &Host, bytes: &[u8]) -> Result<Self, LoadError> {
        let module = host.load(bytes)?;
        let digest = Arc::clone(module.digest());
        Ok(Self { key: Arc::clone(&digest), digest, engine: Engine::Module(module) })
    }

    /// As activations name it: the module's digest, or [`BUILTIN`].
    #[must_use]
    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// As state rows name it: the module's digest, or [`BUILTIN_DIGEST`].
    #[must_use]
    pub fn digest(&self) -> &Arc<str> {
        &self.digest
    }

    /// What it calls itself.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.engine {
            Engine::Builtin => BUILTIN,
            Engine::Module(module) => module.name(),
        }
    }

    /// Its own version.
    #[must_use]
    pub fn version(&self) -> &str {
        match &self.engine {
            Engine::Builtin => env!("CARGO_PKG_VERSION"),
            Engine::Module(module) => module.version(),
        }
    }

    /// Maps; one answer an item, in order. Never panics.
    #[must_use]
    pub fn map(&self, batch: &Arc<Batch>) -> Vec<Result<Word, Fault>> {
        match &self.engine {
            Engine::Builtin => (0..batch.items.len()).map(|at| map_natively(batch, at)).collect(),
            Engine::Module(module) => module.map(batch),
        }
    }

    /// Asks it for every sample: a module that fails on one does not become active.
    ///
    /// # Errors
    /// Names the first sample that it fails on.
    pub fn rehearse(&self) -> Result<(), Refused> {
        for sample in corpus::samples() {
            if let Err(fault) = sample.ask(self) {
                return Err(Refused::Sample { sample: sample.name.clone(), purpose: sample.purpose.clone(), fault });
            }
        }
        Ok(())
    }
}

fn map_natively(batch: &Batch, at: usize) -> Result<Word, Fault> {
    let fault = |what: &str| Fault {
        kind: FaultKind::Trap,
        message: format!("the mapper {BUILTIN_DIGEST} {what}; please report it"),
    };
    let item = &batch.items[at];
    let product = batch
        .products
        .get(item.product_index as usize)
        .ok_or_else(|| fault(&format!("was given no product {}", item.product_index)))?;
    let map = AssertUnwindSafe(|| mapper_core::map(&batch.settings, batch.now, product, &item.variant).into());
    catch_unwind(map).map_err(|_| fault("panicked on this variant"))
}
