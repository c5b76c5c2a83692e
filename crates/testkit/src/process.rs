//! A real `meta-catalog` process: started, signalled, killed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

/// How long a test waits for what must come true. It only ends a test that hangs: nothing passes because of it, so it
/// is long enough for a small machine that does many things at once.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// How to start the program: its path, its configuration, its environment.
#[derive(Clone, Debug)]
pub struct Program {
    binary: PathBuf,
    /// What comes before its own arguments.
    leading: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
}

impl Program {
    /// The program at this path.
    pub fn new(binary: &Path) -> Self {
        Self { binary: binary.to_owned(), leading: Vec::new(), environment: Vec::new() }
    }

    /// The same with so little address space.
    pub fn within(&self, kib: u64) -> Self {
        let limited = format!("ulimit -v {kib} && exec \"$0\" \"$@\"");
        let mut leading = vec!["-c".into(), limited.into(), self.binary.clone().into_os_string()];
        leading.extend(self.leading.iter().cloned());
        Self { binary: "/bin/sh".into(), leading, environment: self.environment.clone() }
    }

    /// One more variable.
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
        // Whatever the tester's shell has set, the file counts.
        for name in ["DATABASE_URL", "META_CATALOG_KEY", "META_CATALOG_LISTEN", "META_GRAPH_BASE_URL", "RUST_LOG"] {
            command.env_remove(name);
        }
        command.env("RUST_BACKTRACE", "0").env("NO_COLOR", "1").stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str], config: &Path) -> Output {
        self.command(arguments, config).output().await.expect("the program runs")
    }

    /// Starts `serve`; it may or may not come to listen.
    pub fn serve(&self, config: &Path) -> Serve {
        let mut command = self.command(&["serve"], config);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
        let log = Log::default();
        log.follow(child.stdout.take().expect("piped"));
        log.follow(child.stderr.take().expect("piped"));
        Serve { child, log }
    }
}

/// A `serve` process; killed when dropped.
#[derive(Debug)]
pub struct Serve {
    child: Child,
    /// What it prints.
    pub log: Log,
}

impl Serve {
    /// Waits until it listens, or has ended.
    pub async fn listening(&mut self) {
        let began = Instant::now();
        while !self.log.has("listening http://") && self.ended().is_none() {
            assert!(began.elapsed() < PATIENCE, "does not listen:\n{}", self.log.text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Where its API is.
    pub fn address(&self) -> String {
        let log = self.log.text();
        let line = log.lines().find_map(|line| line.strip_prefix("listening ")).expect("it listens");
        line.to_owned()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it can be asked for")
    }

    /// Waits for its end.
    pub async fn end(&mut self) -> ExitStatus {
        let end = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        end.unwrap_or_else(|_| panic!("does not end:\n{}", self.log.text())).expect("it can be waited for")
    }

    /// `kill -9`, and waits for it.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// `SIGSTOP` now, and `SIGCONT` after so long, whatever the caller waits for meanwhile.
    pub async fn stop_for(&self, span: Duration) {
        self.signal("STOP").await;
        let Some(id) = self.child.id() else { return };
        tokio::spawn(async move {
            tokio::time::sleep(span).await;
            // Killed meanwhile: then there is nobody to wake.
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

/// What a process says, on both streams.
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

    /// Everything so far.
    pub fn text(&self) -> String {
        self.0.lock().expect("no panic").clone()
    }

    /// Whether it contains this text.
    pub fn has(&self, text: &str) -> bool {
        self.0.lock().expect("no panic").contains(text)
    }

    /// Waits until it says this.
    pub async fn until(&self, text: &str) {
        let began = Instant::now();
        while !self.has(text) {
            assert!(began.elapsed() < PATIENCE, "never said {text:?}:\n{}", self.text());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
