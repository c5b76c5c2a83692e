//! Python's checkers of APIs, installed once from the pins in `openapi/requirements.txt` into Cargo's directory for test
//! files. Without them the tests fail and say so: a test that skips itself proves nothing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const NEEDS: &str = "python3 with venv, node with npm, and their package indexes for the first run";

/// Where the pins and the settings of the checkers are.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/http/openapi")
}

/// Their Python.
pub(super) fn python() -> Command {
    Command::new(bin().join("python"))
}

/// A program of the checkers, run by their Python: what their own first line says is where they were installed, which
/// is another place when the build directory comes from a cache or has moved.
pub(super) fn program(name: &str) -> Command {
    let mut command = python();
    command.arg(bin().join(name));
    command
}

fn bin() -> PathBuf {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(install).join("bin")
}

fn install() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("api-checks");
    let python = home.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").arg("-m").arg("venv").arg(&home));
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(Command::new(&python).args(pip).arg(folder().join("requirements.txt")));
    home
}

/// Runs a command to its end and gives its output.
pub(super) fn run(command: &mut Command) -> String {
    let shown = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| panic!("{shown}: {error}. This test needs {NEEDS}."));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown} failed ({}). This test needs {NEEDS}.\n{out}\n{err}", output.status);
    out.into_owned()
}
