//! The mappers that this process can run: the built-in mapper and modules.
//!
//! Purpose: one interface to every mapper, and the steps from a file's bytes to a rehearsed mapper.
//! Promises: a [`LoadedMapper`] never changes (but for what is [measured](speed) of it); a caller that holds one maps with exactly this mapper, however often the
//! active mapper is swapped. Everything here blocks or computes, so it runs on a blocking thread
//! ([`crate::actors::mapper`]).
//! Left out on purpose: which mapper is active (the database defines it), and what a module may do ([`wasm_host`]).

pub mod activation;
pub mod active;
pub mod changes;
pub mod corpus;
pub mod loader;
pub mod preview;
pub mod speed;
pub mod trial;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mapper_core::word::{FaultKind, MapperFault, Word};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
pub use wasm_host::{Batch, MODULE_BYTES};
use wasm_host::{Host, LoadError, Module};

use self::speed::{Meter, Speed};
use self::trial::Death;

use crate::store::mapper::BUILTIN;

/// Returns the name of the built-in mapper in state rows and submissions: its version, and a hash of its results for
/// every sample. Two builds that make different payloads therefore have different names, even with the same version.
#[must_use]
pub fn builtin_digest() -> &'static str {
    static DIGEST: OnceLock<String> = OnceLock::new();
    DIGEST.get_or_init(|| {
        let behaviour = hex::encode(Sha256::digest(corpus::builtin_outputs()));
        format!("{BUILTIN}-{}-{}", env!("CARGO_PKG_VERSION"), &behaviour[..12])
    })
}

/// The time limit for all samples together, after which a module is refused. For a whole catalog, a module has one
/// millisecond per item; the samples are few, but each sample is a separate run.
const REHEARSAL: Duration = Duration::from_secs(12);

/// Returns the digest of a module: SHA-256 of its file, in hex.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A mapper that is ready to map.
#[derive(Debug)]
pub struct LoadedMapper {
    key: Arc<str>,
    digest: Arc<str>,
    engine: Engine,
    meter: Meter,
}

#[derive(Debug)]
enum Engine {
    Builtin,
    Module(Module),
}

/// Why a file is refused as a mapper.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// The file cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The module fails on a sample that every mapper must answer.
    #[error(
        "the module fails on the sample `{sample}` ({purpose}): {fault}. `meta-catalog mapper check FILE` shows every sample"
    )]
    Sample {
        /// The name of the sample.
        sample: String,
        /// What the sample covers.
        purpose: String,
        /// The fault.
        fault: MapperFault,
    },
    /// The module answers, but takes too long.
    #[error(
        "the module took more than {} s for {answered} of {samples} samples; a mapper needs milliseconds per sample. Make it faster (its start-up work is repeated for every batch), or try again if this machine was busy; `meta-catalog mapper check FILE` shows whether it is fast enough",
        REHEARSAL.as_secs()
    )]
    Slow {
        /// Number of samples that the module answered.
        answered: usize,
        /// Number of all samples.
        samples: usize,
    },
    /// The child process that tried the file ended without a verdict.
    #[error(transparent)]
    #[serde(skip)]
    Died(#[from] Death),
}

impl Refused {
    /// Returns whether the same file may be accepted at another time: it took too long, possibly because this machine
    /// was busy, or the refusal is [the machine's fault](Self::is_the_machines).
    #[must_use]
    pub fn may_pass(&self) -> bool {
        let took_too_long = match self {
            Self::Slow { .. } => true,
            Self::Died(death) => death.may_pass(),
            Self::Load(_) | Self::Sample { .. } => self.fault().is_some_and(|f| f.kind == FaultKind::Time),
        };
        took_too_long || self.is_the_machines()
    }

    /// Returns whether the refusal says nothing about the file: no thread or slot was available, or the host failed.
    #[must_use]
    pub fn is_the_machines(&self) -> bool {
        match self {
            Self::Load(LoadError::Thread(_)) => true,
            Self::Died(death) => death.is_the_machines(),
            _ => self.fault().is_some_and(|f| !f.kind.blames_the_row()),
        }
    }

    fn fault(&self) -> Option<&MapperFault> {
        match self {
            Self::Load(LoadError::Describe(fault)) | Self::Sample { fault, .. } => Some(fault),
            Self::Load(_) | Self::Slow { .. } | Self::Died(_) => None,
        }
    }

    /// Returns the refusal of a module that spent `spent` on its first `answered` samples; `None` when this is within
    /// the limit.
    #[must_use]
    pub fn if_slow(spent: Duration, answered: usize, samples: usize) -> Option<Self> {
        (spent >= REHEARSAL).then_some(Self::Slow { answered, samples })
    }
}

impl LoadedMapper {
    /// Returns the built-in mapper.
    #[must_use]
    pub fn builtin() -> Self {
        Self { key: BUILTIN.into(), digest: builtin_digest().into(), engine: Engine::Builtin, meter: Meter::default() }
    }

    /// Loads a module from the bytes of its file. The module is not [rehearsed](LoadedMapper::rehearse) yet.
    ///
    /// # Errors
    /// When the file cannot be loaded; the error says what is wrong with it.
    pub fn load(host: &Host, bytes: &[u8]) -> Result<Self, LoadError> {
        let module = host.load(bytes)?;
        let digest = Arc::clone(module.digest());
        Ok(Self { key: Arc::clone(&digest), digest, engine: Engine::Module(module), meter: Meter::default() })
    }

    /// Returns the key that activations use: the module's digest, or [`BUILTIN`].
    #[must_use]
    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// Returns the digest that state rows use: the module's digest, or [`builtin_digest`].
    #[must_use]
    pub fn digest(&self) -> &Arc<str> {
        &self.digest
    }

    /// Returns whether it is the built-in mapper.
    #[must_use]
    pub fn is_builtin(&self) -> bool {
        matches!(self.engine, Engine::Builtin)
    }

    /// Returns the name that the mapper reports.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.engine {
            Engine::Builtin => BUILTIN,
            Engine::Module(module) => module.name(),
        }
    }

    /// Returns the version that the mapper reports.
    #[must_use]
    pub fn version(&self) -> &str {
        match &self.engine {
            Engine::Builtin => env!("CARGO_PKG_VERSION"),
            Engine::Module(module) => module.version(),
        }
    }

    /// Maps a batch. Returns one answer per item, in order. Never panics.
    #[must_use]
    pub fn map(&self, batch: &Arc<Batch>) -> Vec<Result<Word, MapperFault>> {
        let begun = Instant::now();
        let words: Vec<_> = match &self.engine {
            Engine::Builtin => (0..batch.items.len()).map(|at| map_natively(batch, at)).collect(),
            Engine::Module(module) => module.map(batch),
        };
        let is_fault =
            |word: &&Result<Word, MapperFault>| word.as_ref().is_err_and(|fault| fault.kind.blames_the_row());
        self.meter.add(words.len(), words.iter().filter(is_fault).count(), begun.elapsed());
        words
    }

    /// Returns the interface that a module speaks; `None` for the built-in mapper.
    #[must_use]
    pub fn interface(&self) -> Option<&'static str> {
        match &self.engine {
            Engine::Builtin => None,
            Engine::Module(_) => Some(wasm_host::MAPPING),
        }
    }

    /// Returns what was measured since the mapper was loaded and rehearsed.
    #[must_use]
    pub fn speed(&self) -> Speed {
        self.meter.read()
    }

    /// Returns the most memory that a run of the module had, in bytes; `None` for the built-in mapper.
    #[must_use]
    pub fn most_memory(&self) -> Option<usize> {
        match &self.engine {
            Engine::Builtin => None,
            Engine::Module(module) => Some(module.most_memory()),
        }
    }

    /// Maps every sample: a module that fails on one does not become active.
    ///
    /// # Errors
    /// When the mapper fails on a sample (the error names the first one) or is too slow.
    pub fn rehearse(&self) -> Result<(), Refused> {
        self.rehearse_after(Duration::ZERO)
    }

    fn rehearse_after(&self, spent: Duration) -> Result<(), Refused> {
        let begun = Instant::now();
        let samples = corpus::samples();
        for (answered, sample) in samples.iter().enumerate() {
            if let Some(slow) = Refused::if_slow(spent + begun.elapsed(), answered, samples.len()) {
                return Err(slow);
            }
            if let Err(fault) = sample.ask(self) {
                return Err(Refused::Sample { sample: sample.name.clone(), purpose: sample.purpose.clone(), fault });
            }
        }
        // A sample is a run of its own; real batches share the start of a run.
        self.meter.reset();
        Ok(())
    }
}

fn map_natively(batch: &Batch, at: usize) -> Result<Word, MapperFault> {
    let fault = |what: &str| MapperFault {
        kind: FaultKind::Trap,
        message: format!("the mapper {} {what}; please report it", builtin_digest()),
    };
    let item = &batch.items[at];
    let product = batch
        .products
        .get(item.product_index as usize)
        .ok_or_else(|| fault(&format!("received no product {}", item.product_index)))?;
    let map = AssertUnwindSafe(|| mapper_core::map(&batch.settings, batch.now, product, &item.variant).into());
    catch_unwind(map).map_err(|_| fault("panicked on this variant"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_is_bounded_as_a_whole() {
        let slow = LoadedMapper::builtin().rehearse_after(REHEARSAL).expect_err("no time left");
        let samples = corpus::samples().len();
        assert_eq!(slow, Refused::Slow { answered: 0, samples });
        assert!(slow.to_string().starts_with("the module took more than 12 s for 0 of "), "{slow}");
    }

    #[test]
    fn what_a_busy_machine_does_to_a_module_may_pass() {
        let sample = |kind| {
            let fault = MapperFault { kind, message: "x".into() };
            [
                Refused::Load(LoadError::Describe(fault.clone())),
                Refused::Sample { sample: "s".into(), purpose: "p".into(), fault },
            ]
        };
        let (passing, lasting): (Vec<_>, Vec<_>) = [
            FaultKind::Time,
            FaultKind::Busy,
            FaultKind::Host,
            FaultKind::NotTried,
            FaultKind::Trap,
            FaultKind::Memory,
            FaultKind::Stack,
            FaultKind::Output,
            FaultKind::Answer,
            FaultKind::TooMuchOutput,
        ]
        .into_iter()
        .partition(|kind| sample(*kind).iter().all(Refused::may_pass));
        assert_eq!(passing, [FaultKind::Time, FaultKind::Busy, FaultKind::Host, FaultKind::NotTried]);
        assert!(!lasting.into_iter().flat_map(sample).any(|refused| refused.may_pass()));
        let machine = |kind: &FaultKind| sample(*kind).iter().all(Refused::is_the_machines);
        let machines: Vec<_> = passing.into_iter().filter(machine).collect();
        assert_eq!(machines, [FaultKind::Busy, FaultKind::Host, FaultKind::NotTried], "not that it was slow");
        let thread = Refused::Load(LoadError::Thread("none".into()));
        assert!(thread.may_pass() && thread.is_the_machines());
        let slow = Refused::Slow { answered: 1, samples: 2 };
        assert!(slow.may_pass() && !slow.is_the_machines());
        let bad = Refused::Load(LoadError::NotWasm);
        assert!(!bad.may_pass() && !bad.is_the_machines());
    }
}
