//! A real Better-Auth in a Node process: `tests/better-auth/testbed.mjs`.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

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
        let folder = crate::node::installed("better-auth", target).await;
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
