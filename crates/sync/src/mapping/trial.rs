//! Tries mapper modules in a child process, before this process loads them.
//!
//! Purpose: a file can make the compiler recurse until the stack overflows, or use gigabytes and minutes. Only a
//! process can be limited in that. The child is this program, executed again ([`child`]).
//! Promises: the child parses, validates, compiles and rehearses the file, limited in memory, computing time and wall
//! clock; it inherits no environment, no descriptor beyond its three pipes, and no secret. It ends with the trial and
//! with this process, whatever ends either. Every end of the child is a result: [`Refused`] says what happened.
//! Left out on purpose: restricting what the child may do. A module has no system interface in it either; the child
//! limits what the file costs.

mod child;
mod death;

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines, Take};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use wasm_host::{LoadError, MODULE_BYTES};

use super::{Refused, digest};
pub use child::child;
pub use death::Death;

/// Memory that a trial may use, in bytes: about four times what the largest admitted module needs.
pub(crate) const MEMORY: u64 = 256 << 20;
/// Computing time of a load, in seconds: about seven times what the largest admitted module needs.
pub(crate) const LOAD_COMPUTING: u64 = 7;
/// How long a load may take on a busy machine.
pub(crate) const LOAD_WITHIN: Duration = Duration::from_secs(8);
/// How long a trial may take: the load and the rehearsal.
pub(crate) const WITHIN: Duration = Duration::from_secs(20);
/// Trials at the same time. One more waits for the end of one of them.
const AT_ONCE: usize = 3;
/// Bytes that the child may say.
const LONGEST_REPORT: u64 = 64 << 10;
/// Bytes of the child's stderr that are looked at.
const LONGEST_COMPLAINT: u64 = 4 << 10;

/// What the child is asked, as one line of JSON before the file's bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Request {
    /// Bytes of the file.
    size: usize,
    /// Whether every sample is mapped after the load.
    rehearse: bool,
}

/// What the child says, one line of JSON each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Report {
    /// The child has limited itself, its engine runs, and it reads the file next.
    Ready,
    /// The file is loaded.
    Loaded {
        /// SHA-256 of what the child has loaded.
        digest: String,
    },
    /// Every sample is mapped.
    Rehearsed,
    /// The file is refused.
    Refused(Refused),
}

/// The program that runs the child, with [`ARGUMENT`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(PathBuf);

impl Program {
    /// Returns the program at a path.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Returns this process's own program.
    #[must_use]
    pub fn itself() -> Self {
        // The link leads to the running program, also after an upgrade has replaced its file.
        let link = PathBuf::from("/proc/self/exe");
        Self(if link.exists() { link } else { std::env::current_exe().unwrap_or_default() })
    }
}

/// The command of `meta-catalog` that runs [`child`].
pub const ARGUMENT: &str = "mapper-trial";

/// Starts trials. Clones share the limit on trials at the same time.
#[derive(Clone, Debug)]
pub struct Trials {
    program: Program,
    places: Arc<Semaphore>,
}

impl Trials {
    /// Returns trials by this program.
    #[must_use]
    pub fn new(program: Program) -> Self {
        Self { program, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Starts the trial of a file that was offered. Waits while as many others as allowed are under way.
    ///
    /// # Errors
    /// When the child does not start.
    pub async fn offered(&self, bytes: &Arc<[u8]>, rehearse: bool) -> Result<Trial, Refused> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|closed| Refused::Died(Death::NotRun(closed.to_string())))?;
        self.start(bytes, rehearse, Some(place))
    }

    /// Starts the trial of the active module, without a rehearsal. It waits for no other trial.
    ///
    /// # Errors
    /// When the child does not start.
    pub fn active(&self, bytes: &Arc<[u8]>) -> Result<Trial, Refused> {
        self.start(bytes, false, None)
    }

    fn start(&self, bytes: &Arc<[u8]>, rehearse: bool, place: Option<OwnedSemaphorePermit>) -> Result<Trial, Refused> {
        if bytes.len() > MODULE_BYTES {
            return Err(Refused::Load(LoadError::TooLarge { bytes: bytes.len(), limit: MODULE_BYTES }));
        }
        let not_run = |why: &dyn std::fmt::Display| Refused::Died(Death::NotRun(why.to_string()));
        let mut command = Command::new(&self.program.0);
        command.arg(ARGUMENT).env_clear().current_dir("/");
        // The keyboard's signals are for the service.
        #[cfg(unix)]
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let begun = Instant::now();
        let mut process = command.spawn().map_err(|error| not_run(&error))?;
        let (Some(input), Some(output), Some(complaints)) =
            (process.stdin.take(), process.stdout.take(), process.stderr.take())
        else {
            return Err(not_run(&"its pipes are missing"));
        };
        let input = tokio::spawn(ask(input, Arc::clone(bytes), rehearse));
        let complaints = tokio::spawn(async move {
            let mut text = Vec::new();
            let mut start = complaints.take(LONGEST_COMPLAINT);
            let _ = start.read_to_end(&mut text).await;
            // A child that is not read would wait for ever.
            let _ = tokio::io::copy(&mut start.into_inner(), &mut tokio::io::sink()).await;
            String::from_utf8_lossy(&text).into_owned()
        });
        let reports = BufReader::new(output.take(LONGEST_REPORT)).lines();
        Ok(Trial { digest: digest(bytes), process, reports, complaints, input, begun, is_ready: false, _place: place })
    }
}

/// Writes the request, and keeps the pipe open for the life of the trial: the child ends when it closes.
async fn ask(mut input: ChildStdin, bytes: Arc<[u8]>, rehearse: bool) -> ChildStdin {
    let request = serde_json::json!(Request { size: bytes.len(), rehearse });
    let head = format!("{request}\n");
    // A child that has died does not read; its end says why.
    if input.write_all(head.as_bytes()).await.is_ok() {
        let _ = input.write_all(&bytes).await;
    }
    input
}

/// A trial under way. Dropping it kills the child.
#[derive(Debug)]
pub struct Trial {
    digest: String,
    process: Child,
    reports: Lines<BufReader<Take<ChildStdout>>>,
    complaints: JoinHandle<String>,
    input: JoinHandle<ChildStdin>,
    begun: Instant,
    /// The child has said that it reads the file.
    is_ready: bool,
    _place: Option<OwnedSemaphorePermit>,
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.input.abort();
        self.complaints.abort();
    }
}

impl Trial {
    /// Waits until the child has loaded the file.
    ///
    /// # Errors
    /// Why the file is refused, or how the child died.
    pub async fn loaded(&mut self) -> Result<(), Refused> {
        let until = self.begun + LOAD_WITHIN;
        match self.next(until, Death::LoadTime).await? {
            Report::Ready => self.is_ready = true,
            report => return Err(garbage(&format!("{report:?}"))),
        }
        match self.next(until, Death::LoadTime).await? {
            Report::Loaded { digest } if digest == self.digest => Ok(()),
            Report::Refused(refused) => Err(refused),
            report => Err(garbage(&format!("{report:?}"))),
        }
    }

    /// Waits until the child has mapped every sample.
    ///
    /// # Errors
    /// Why the file is refused, or how the child died.
    pub async fn rehearsed(&mut self) -> Result<(), Refused> {
        match self.next(self.begun + WITHIN, Death::Time).await? {
            Report::Rehearsed => Ok(()),
            Report::Refused(refused) => Err(refused),
            report @ (Report::Ready | Report::Loaded { .. }) => Err(garbage(&format!("{report:?}"))),
        }
    }

    /// Returns the child's next report.
    async fn next(&mut self, until: Instant, late: Death) -> Result<Report, Refused> {
        match timeout_at(until, self.reports.next_line()).await {
            Err(_) => Err(Refused::Died(late)),
            Ok(Ok(Some(line))) => serde_json::from_str(&line).map_err(|_| garbage(&line)),
            Ok(Ok(None) | Err(_)) => Err(self.death(until, late).await),
        }
    }

    /// Says how a child ended that says nothing more.
    async fn death(&mut self, until: Instant, late: Death) -> Refused {
        let Ok(status) = timeout_at(until, self.process.wait()).await else { return Refused::Died(late) };
        let complaint = timeout_at(until, &mut self.complaints).await;
        let complaint = complaint.ok().and_then(Result::ok).unwrap_or_default();
        let death = match status {
            Ok(status) => Death::of(status, &complaint),
            Err(error) => Death::NotRun(error.to_string()),
        };
        Refused::Died(if self.is_ready { death } else { death.before_the_file() })
    }
}

fn garbage(said: &str) -> Refused {
    Refused::Died(Death::Garbage(crate::report::clip(said, 200).escape_debug().to_string()))
}

/// Returns what cannot be limited on this platform; `None` when everything can.
#[must_use]
pub fn unlimited_here() -> Option<&'static str> {
    if cfg!(target_os = "linux") {
        None
    } else if cfg!(unix) {
        Some("this system does not limit the memory of the process that tries mapper modules")
    } else {
        Some("this system limits neither memory nor computing time of the process that tries mapper modules")
    }
}
