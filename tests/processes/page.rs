//! The operator's page in a real Chromium: the scripts of `tests/browser`, each against an installation of its own.
//!
//! The screenshots of every state stay in `target/tmp/page-shots`.

use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use testkit::{Plant, Serve};
use tokio::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_meta-catalog");
const TARGET: &str = env!("CARGO_TARGET_TMPDIR");

/// Opens an installation as it is on its first day, at a Meta that takes a moment for a batch, and starts its service.
async fn first_day() -> (Plant, Serve) {
    let plant = Plant::bare(Path::new(BINARY), None, Duration::from_secs(60)).await;
    plant.meta.configure(|world| world.times.processing_ms = 1_500);
    let serve = plant.serve().await;
    (plant, serve)
}

/// Runs a script to its end. It is told where everything is, and `more`.
async fn walk(script: &str, plant: &Plant, serve: &Serve, more: Value) {
    let folder = testkit::node::installed("browser", Path::new(TARGET)).await;
    let mut told = json!({
        "base": serve.address(),
        "meta": plant.meta.base_url(),
        "admin": plant.token_of("catalog-admin").await.expose_secret(),
        "viewer": plant.token_of("catalog-viewer").await.expose_secret(),
        "shots": Path::new(TARGET).join("page-shots").join(script),
        "folder": plant.folder(),
    });
    told.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let mut node = Command::new("node");
    let file = format!("{script}.mjs");
    let walked = node.args([&*file, &*told.to_string()]).current_dir(folder).kill_on_drop(true).output();
    let walked = walked.await.expect("node runs; scripts/test.sh installs it");
    let said = String::from_utf8_lossy(&walked.stderr);
    assert!(walked.status.success(), "{script}:\n{said}\nThe service said:\n{}", serve.log.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_frame_is_light_and_lets_only_those_in_that_may() {
    let (plant, serve) = first_day().await;
    walk("frame", &plant, &serve, json!({})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_gets_from_nothing_to_a_catalog_in_step_and_through_a_first_week() {
    let (plant, serve) = first_day().await;
    let module = testkit::root().join("mappers/modules/price-rounding.wasm");
    walk("journey", &plant, &serve, json!({ "module": module })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_and_forms_are_enough_and_a_viewer_has_none() {
    let (plant, serve) = first_day().await;
    walk("no_script", &plant, &serve, json!({})).await;
}
