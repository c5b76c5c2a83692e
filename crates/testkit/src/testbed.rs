//! A real Better-Auth in a Node process: `tests/better-auth/testbed.mjs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const FILES: [&str; 3] = ["package.json", "package-lock.json", "testbed.mjs"];

/// The Node process. It runs until it is dropped.
pub struct Testbed {
    _process: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Testbed {
    /// Starts the testbed on this database. Installs its packages into `target`, the directory for test files, when
    /// they are missing.
    pub async fn start(database_url: &str, secret: &str, target: &Path) -> Self {
        crate::only_in_the_whole_run("Node");
        let folder = installed(target).await;
        let mut process = Command::new("node")
            .arg("testbed.mjs")
            .current_dir(folder)
            .env("DATABASE_URL", database_url)
            .env("BETTER_AUTH_SECRET", secret)
            .env_remove("BETTER_AUTH_SECRETS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node runs; scripts/test.sh installs it");
        let commands = process.stdin.take().expect("it was asked for");
        let answers = BufReader::new(process.stdout.take().expect("it was asked for")).lines();
        Self { _process: process, commands, answers }
    }

    /// Runs a command and returns its result.
    pub async fn run(&mut self, command: &[&str]) -> Value {
        let line = format!("{}\n", Value::from(command));
        self.commands.write_all(line.as_bytes()).await.expect("it listens");
        let answer =
            self.answers.next_line().await.expect("it answers").expect("it has not ended; its stderr says why");
        let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert!(answer["error"].is_null(), "{command:?}: {answer}");
        answer["ok"].take()
    }
}

/// Returns the folder with the packages that the lock file names. They are fetched once for each lock file.
async fn installed(target: &Path) -> PathBuf {
    let source = crate::root().join("tests/better-auth");
    let folder = target.join("better-auth");
    fs::create_dir_all(&folder).expect("a folder in target/");
    let marker = folder.join("installed.json");
    let lock = fs::read(source.join("package-lock.json")).expect("the lock file");
    for file in FILES {
        fs::copy(source.join(file), folder.join(file)).expect("copied");
    }
    if fs::read(&marker).ok().as_deref() != Some(lock.as_slice()) {
        let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        let status = Command::new("npm").args(npm).current_dir(&folder).stdout(Stdio::null()).status().await;
        assert!(status.expect("npm runs; scripts/test.sh installs it").success(), "npm ci failed; it said why above");
        fs::write(&marker, lock).expect("noted");
    }
    folder
}
