//! The pipeline that this service takes the place of, in Node (`baseline/`): batched selects and upserts, and one call a
//! tick, without waiting for the next tick. It runs on copies of the rows in a schema of its own.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use testkit::{Engine, Shop};

use crate::{shop, sink};

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "benches", "million", "baseline"].iter().collect()
}

/// Checks that Node is there and installs what the baseline needs.
///
/// # Errors
/// With what is missing.
pub(crate) fn prepare() -> Result<(), String> {
    let missing = |program: &str, why: String| {
        format!("--baseline needs `{program}` of Node 20 or newer ({why}). Install Node, or leave --baseline out.")
    };
    for program in ["node", "npm"] {
        let status = Command::new(program).arg("--version").stdout(Stdio::null()).status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(missing(program, status.to_string())),
            Err(why) => return Err(missing(program, why.to_string())),
        }
    }
    let folder = folder();
    if !folder.join("node_modules").is_dir() {
        let status = Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&folder)
            .stdout(Stdio::null())
            .status();
        if !status.is_ok_and(|status| status.success()) {
            return Err(format!("`npm ci` failed in {}; it needs the npm registry", folder.display()));
        }
    }
    Ok(())
}

/// Returns the rows that the baseline takes to synced in a second.
pub(crate) async fn run(shop: &Shop, sink: &sink::Child, variants: usize) -> f64 {
    let output = tokio::process::Command::new("node")
        .arg(folder().join("baseline.mjs"))
        .arg(shop::url(shop, Engine::Postgres).await)
        .arg(sink.url())
        .arg(variants.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs")
        .wait_with_output()
        .await
        .expect("an output");
    assert!(output.status.success(), "the baseline failed ({})", output.status);
    let result: Value = serde_json::from_slice(&output.stdout).expect("its result");
    result["rowsPerSecond"].as_f64().expect("a number")
}
