//! Starts, signals and kills a real `meta-catalog` process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

/// The timeout of a wait. It only ends a test that hangs; no test passes because of it. It is long enough for a small
/// machine under load.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Returns the program that tries mapper modules: of the package whose test or bench this is, as Cargo names it.
#[must_use]
pub fn trial_program() -> PathBuf {
    let named = ["mapper-trial", "meta-catalog"].map(|name| std::env::var_os(format!("CARGO_BIN_EXE_{name}")));
    named.into_iter().flatten().next().map(PathBuf::from).expect("run by cargo, as a test or a bench")
}

/// A program to start: its path, its configuration, its environment.
#[derive(Clone, Debug)]
pub struct Program {
    binary: PathBuf,
    /// Arguments that precede the program's own.
    leading: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
}

impl Program {
    /// Returns the program at this path.
    pub fn new(binary: &Path) -> Self {
        Self { binary: binary.to_owned(), leading: Vec::new(), environment: Vec::new() }
    }

    /// Returns the same program with limited address space.
    pub fn within(&self, kib: u64) -> Self {
        self.limited(&format!("-v {kib}"))
    }

    /// Returns the same program with a limited number of file descriptors.
    pub fn with_descriptors(&self, count: u64) -> Self {
        self.limited(&format!("-n {count}"))
    }

    /// Returns the same program under a limit of the shell.
    fn limited(&self, limit: &str) -> Self {
        let limited = format!("ulimit {limit} && exec \"$0\" \"$@\"");
        let mut leading = vec!["-c".into(), limited.into(), self.binary.clone().into_os_string()];
        leading.extend(self.leading.iter().cloned());
        Self { binary: "/bin/sh".into(), leading, environment: self.environment.clone() }
    }

    /// Returns the same program with one more open descriptor that it does not know of.
    pub fn inheriting_descriptor(&self) -> Self {
        let mut leading: Vec<OsString> = vec!["-c".into(), "exec \"$0\" \"$@\" 7</dev/null".into()];
        leading.push(self.binary.clone().into_os_string());
        leading.extend(self.leading.iter().cloned());
        Self { binary: "/bin/sh".into(), leading, environment: self.environment.clone() }
    }

    /// Adds an environment variable.
    pub fn with(&self, name: &'static str, value: impl Into<OsString>) -> Self {
        let mut with = self.clone();
        with.environment.push((name, value.into()));
        with
    }

    fn command(&self, arguments: &[&str], config: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(&self.leading)
            .args(arguments)
            .arg("--config")
            .arg(config)
            .envs(self.environment.iter().map(|(k, v)| (k, v)));
        // Variables of the tester's shell must not override the configuration file.
        for name in ["DATABASE_URL", "META_CATALOG_KEY", "META_CATALOG_LISTEN", "META_GRAPH_BASE_URL", "RUST_LOG"] {
            command.env_remove(name);
        }
        command.env("RUST_BACKTRACE", "0").env("NO_COLOR", "1").stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a command and waits until it exits.
    pub async fn run(&self, arguments: &[&str], config: &Path) -> Output {
        self.command(arguments, config).output().await.expect("the program runs")
    }

    /// Starts `serve` without waiting until it listens.
    pub fn serve(&self, config: &Path) -> Serve {
        self.start(&["serve"], config)
    }

    /// Starts a command without waiting for anything.
    pub fn start(&self, arguments: &[&str], config: &Path) -> Serve {
        let mut command = self.command(arguments, config);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
        let log = Log::default();
        log.follow(child.stdout.take().expect("piped"));
        log.follow(child.stderr.take().expect("piped"));
        Serve { child, log }
    }
}

/// A process, mostly of `serve`; killed when dropped.
#[derive(Debug)]
pub struct Serve {
    child: Child,
    /// The captured output.
    pub log: Log,
}

impl Serve {
    /// Waits until the process listens or has ended.
    pub async fn listening(&mut self) {
        let began = Instant::now();
        while !self.log.has("listening http://") && self.ended().is_none() {
            assert!(began.elapsed() < PATIENCE, "does not listen:\n{}", self.log.text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Returns the base URL of its API.
    pub fn address(&self) -> String {
        let log = self.log.text();
        let line = log.lines().find_map(|line| line.strip_prefix("listening ")).expect("it listens");
        line.to_owned()
    }

    /// Returns the id of the process, which must be running.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Returns the exit status, if the process has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it can be asked for")
    }

    /// Waits until the process ends and returns its exit status.
    pub async fn end(&mut self) -> ExitStatus {
        let end = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        end.unwrap_or_else(|_| panic!("does not end:\n{}", self.log.text())).expect("it can be waited for")
    }

    /// Sends `kill -9` and waits until the process ends.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// Sends `SIGSTOP` now and `SIGCONT` after this time. The resume does not depend on what the caller awaits.
    pub async fn stop_for(&self, span: Duration) {
        self.signal("STOP").await;
        let Some(id) = self.child.id() else { return };
        tokio::spawn(async move {
            tokio::time::sleep(span).await;
            // The command fails when the process was killed meanwhile, which is fine.
            let _ = Command::new("kill").args(["-s", "CONT", &id.to_string()]).stderr(Stdio::null()).status().await;
        });
    }

    /// Sends `STOP`, `CONT` or another signal.
    pub async fn signal(&self, name: &str) {
        let Some(id) = self.child.id() else { return };
        let sent = Command::new("kill").args(["-s", name, &id.to_string()]).status().await.expect("kill runs");
        assert!(sent.success(), "kill -s {name} {id}: {sent}");
    }
}

/// Returns the resident memory of a process, in kB.
pub fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The output of a process on both streams.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<String>>);

impl Log {
    fn follow(&self, stream: impl AsyncRead + Send + Unpin + 'static) {
        let log = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let mut log = log.lock().expect("no panic");
                log.push_str(&line);
                log.push('\n');
            }
        });
    }

    /// Returns the output so far.
    pub fn text(&self) -> String {
        self.0.lock().expect("no panic").clone()
    }

    /// Returns whether the output contains this text.
    pub fn has(&self, text: &str) -> bool {
        self.0.lock().expect("no panic").contains(text)
    }

    /// Waits until the output contains this text.
    pub async fn until(&self, text: &str) {
        let began = Instant::now();
        while !self.has(text) {
            assert!(began.elapsed() < PATIENCE, "never said {text:?}:\n{}", self.text());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
