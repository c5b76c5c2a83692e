//! Meta's own SDKs against the simulator; only the host is changed.
//!
//! They are installed with the machine's `python3` and `npm` into Cargo's directory for test files, from the pins in
//! `tests/sdk/`. Without those programs, or without a package registry for the first run, the tests fail and say so:
//! a test that skips itself proves nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use graph_simulator::{Config, Handle, Simulator};
use serde_json::{Value, json};

const USER: &str = "2000000001";
const CATALOG: &str = "4000000001";

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

fn installed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Runs a command to its end and gives its output.
fn run(command: &mut Command, needs: &str) -> String {
    let shown = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| panic!("{shown}: {error}. This test needs {needs}."));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown} failed ({}). This test needs {needs}.\n{out}\n{err}", output.status);
    out.into_owned()
}

fn last_line(output: &str) -> Value {
    let line = output.lines().next_back().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {output}"))
}

async fn simulator() -> Handle {
    let handle = Simulator::spawn(Config::default()).await.expect("a free port");
    handle.freeze();
    handle
}

/// What both SDKs must report alike.
fn check(report: &Value) {
    assert_eq!(report["businesses"], json!(["3000000001"]));
    assert_eq!(report["catalogs"], json!(["Acme Master Catalog", "Acme Second Catalog"]));
    assert_eq!((&report["before"], &report["after"]), (&json!("scheduled"), &json!("finished")));
    assert_eq!((&report["errors_total_count"], &report["invalid"]), (&json!(1), &json!(["bad"])));
    assert_eq!(report["walked"], json!(["sku-0", "sku-1", "sku-2", "sku-3", "sku-4"]));
    assert_eq!(report["unknown_field"], 100);
    let mut found = report["found"].clone();
    let id = found[0].as_object_mut().expect("one item").remove("id");
    assert!(id.is_some_and(|id| id.is_string()));
    assert_eq!(
        found,
        json!([{"retailer_id": "sku-1", "availability": "in stock", "price": "₹299.00", "currency": "INR",
            "review_status": "approved", "errors": []}])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_sdk_works_against_the_simulator() {
    const NEEDS: &str = "python3 with venv, and a Python package index for the first run";
    let home = installed("sdk-python");
    let python = home.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").arg("-m").arg("venv").arg(&home), NEEDS);
    }
    let requirements = scripts().join("requirements.txt");
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(Command::new(&python).args(pip).arg(requirements), NEEDS);

    let simulator = simulator().await;
    let token = simulator.mint_token(USER, None);
    let app = Config::default().app;
    let mut command = Command::new(&python);
    command.arg(scripts().join("catalog.py")).args([simulator.base_url(), &app.id, &app.secret, &token, CATALOG]);
    let report = last_line(&run(&mut command, NEEDS));
    check(&report);
    assert_eq!(report["total"], 5);
    assert_eq!(report["in_batch"], json!(["Alex Admin", "Acme Master Catalog"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_sdk_works_against_the_simulator() {
    const NEEDS: &str = "node 18 or newer with npm, and an npm registry for the first run";
    let home = installed("sdk-node");
    let modules = home.join("node_modules");
    let lock = |at: &Path| std::fs::read(at.join("package-lock.json")).ok();
    if lock(&scripts()) != lock(&home) || !modules.join(".package-lock.json").exists() {
        std::fs::create_dir_all(&home).expect("a writable target directory");
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(scripts().join(file), home.join(file)).expect("a writable target directory");
        }
        let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
        run(Command::new("npm").args(install).current_dir(&home), NEEDS);
    }

    let simulator = simulator().await;
    let token = simulator.mint_token(USER, None);
    let mut command = Command::new("node");
    command.env("NODE_PATH", &modules).arg(scripts().join("catalog.js"));
    command.args([simulator.base_url(), &token, CATALOG]);
    check(&last_line(&run(&mut command, NEEDS)));
}
