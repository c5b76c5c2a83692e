//! The child: limits itself, reads the file, loads it, maps the samples, and says what came of it.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::process::ExitCode;

use wasm_host::{Host, Limits, MODULE_BYTES};

use super::death::UNFIT;
use super::{Report, Request};
use crate::mapping::{LoadedMapper, Refused};

/// Threads that compile. Each has a stack, which counts as memory, so a machine with many cores needs a bound.
const THREADS: usize = 4;
/// Longest request, in bytes.
const LONGEST_REQUEST: u64 = 200;

/// Runs the child. The first thing a process does: nothing before it may open a descriptor.
#[must_use]
pub fn child() -> ExitCode {
    match limit().and_then(|()| begin()).and_then(|host| Ok((host, read()?))) {
        Ok((host, (request, bytes))) => {
            answer(&host, request, &bytes);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(UNFIT)
        }
    }
}

/// Starts the engine. What fails until here is not the file's fault.
fn begin() -> io::Result<Host> {
    wasm_host::compile_on(THREADS);
    // One module runs here, so one place is enough; the pool's reserve is smaller.
    let host = Host::new(Limits { concurrency: 1, ..Limits::default() }).map_err(io::Error::other)?;
    say(&Report::Ready);
    Ok(host)
}

/// Reads the request and the file. From then on the process ends when its parent closes the pipe or dies.
fn read() -> io::Result<(Request, Vec<u8>)> {
    let mut input = BufReader::new(io::stdin());
    let mut head = Vec::new();
    input.by_ref().take(LONGEST_REQUEST).read_until(b'\n', &mut head)?;
    let request: Request = serde_json::from_slice(&head)?;
    if request.size > MODULE_BYTES {
        return Err(io::Error::other(format!("a request of {} bytes", request.size)));
    }
    let mut bytes = vec![0; request.size];
    input.read_exact(&mut bytes)?;
    let watch = move || {
        let _ = io::copy(&mut input, &mut io::sink());
        std::process::exit(0);
    };
    std::thread::Builder::new().name("parent-watch".into()).stack_size(64 << 10).spawn(watch)?;
    Ok((request, bytes))
}

fn answer(host: &Host, request: Request, bytes: &[u8]) {
    let mapper = match LoadedMapper::load(host, bytes) {
        Ok(mapper) => mapper,
        Err(why) => return say(&Report::Refused(Refused::Load(why))),
    };
    say(&Report::Loaded { digest: mapper.digest().to_string() });
    if request.rehearse {
        allow_rehearsal();
        say(&match mapper.rehearse() {
            Ok(()) => Report::Rehearsed,
            Err(refused) => Report::Refused(refused),
        });
    }
}

fn say(report: &Report) {
    let mut output = io::stdout();
    let said = writeln!(output, "{}", serde_json::json!(report)).and_then(|()| output.flush());
    if said.is_err() {
        // The parent is gone.
        std::process::exit(0);
    }
}

#[cfg(unix)]
fn limit() -> io::Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    close_inherited()?;
    // When memory runs out on the whole machine, the child goes before the service. Other systems have no such file.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    // The soft limit of the computing time ends the load; `allow_rehearsal` raises it.
    for (resource, soft, hard) in [
        (Resource::RLIMIT_CPU, super::LOAD_COMPUTING, super::WITHIN.as_secs() * 2),
        // On Linux: memory that is written to, also of new mappings. Reserved address space does not count.
        (Resource::RLIMIT_DATA, super::MEMORY, super::MEMORY),
        (Resource::RLIMIT_CORE, 0, 0),
        // The engine keeps the first content of a memory in an anonymous file.
        (Resource::RLIMIT_FSIZE, super::MEMORY / 4, super::MEMORY / 4),
        (Resource::RLIMIT_NOFILE, 16, 16),
    ] {
        let failed = |error| io::Error::other(format!("{resource:?}: {error}"));
        // The service itself may run under lower limits.
        let (_, highest) = getrlimit(resource).map_err(failed)?;
        setrlimit(resource, soft.min(highest), hard.min(highest)).map_err(failed)?;
    }
    Ok(())
}

/// Closes what this service was itself started with. Its own descriptors are closed by the system.
#[cfg(unix)]
fn close_inherited() -> io::Result<()> {
    let open = std::fs::read_dir("/dev/fd")?;
    let open: Vec<i32> = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The one that the list was read with is closed already.
        let _ = nix::unistd::close(descriptor);
    }
    Ok(())
}

#[cfg(unix)]
fn allow_rehearsal() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    // The wall clock ends a rehearsal; this limit is for a child that nobody watches.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_CPU) {
        let _ = setrlimit(Resource::RLIMIT_CPU, hard, hard);
    }
}

#[cfg(not(unix))]
fn limit() -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn allow_rehearsal() {}
