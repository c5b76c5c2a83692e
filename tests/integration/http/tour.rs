//! The tour of the API in `docs/api.md`, line by line, as a reader would run it.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use testkit::Engine;

use super::installation::{Installation, secret_of};

const TOUR: &str = include_str!("../../../docs/api.md");
const SAMPLE: &str = include_str!("../../../config/sample-catalog.ndjson");

/// The shell blocks of the page, in order.
fn script() -> String {
    let mut script = String::from("set -euo pipefail\nset -x\n");
    let mut inside = false;
    for line in TOUR.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    script
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_of_the_tour_works() {
    let shop = Installation::start(Engine::Sqlite).await;
    let sample: Vec<Value> =
        SAMPLE.lines().take(20).map(|line| serde_json::from_str(line).expect("a product")).collect();
    shop.stock(&sample).await;
    let ran = Command::new("bash")
        .arg("-c")
        .arg(script())
        .env("API", shop.url(""))
        .env("TOKEN", secret_of("catalog-admin"))
        .stdin(Stdio::null())
        .output()
        .await
        .expect("bash");
    let (out, told) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{told}\n{out}");
    assert!(out.contains(r#""enqueuedVariants":"#) && out.contains(r#""tokenKind":"system_user""#), "{out}");
    shop.stop().await;
}
