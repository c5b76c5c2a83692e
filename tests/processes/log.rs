//! Text from outside cannot forge lines of the log or steer the terminal that shows it.

use catalog_sync::mapping::MODULE_BYTES;
use serde_json::{Value, json};
use testkit::{Engine, Plant, Serve, product, variant};

use crate::crash::open;

/// A line of its own, and escape codes of both lengths.
const FORGED: &str = "x\n2026-11-28T00:00:00.000000Z ERROR forged: FORGED\r\u{1b}[31mred\u{9b}31m\u{2028}";

/// A service to which everybody outside says [`FORGED`]: the watched folder, a module, and Meta.
async fn lied_to(plant: &Plant) -> Serve {
    let watched = plant.folder().join("watched");
    std::fs::create_dir_all(&watched).expect("a folder");
    std::fs::write(watched.join(format!("a{FORGED}.wasm")), "no module").expect("written");
    std::fs::write(watched.join(format!("b{FORGED}.wasm")), vec![0; MODULE_BYTES + 1]).expect("written");
    plant.import(&[product("p", &[variant("a", 1_000)])]).await;
    let fault = json!({"on": "check_batch_request_status", "kind": "graph_error", "code": 1, "message": FORGED});
    plant.meta.plan(serde_json::from_value(fault).expect("a fault"));
    let mut serve = plant.program.with("META_CATALOG_MAPPER_DIR", &watched).serve(&plant.config);
    serve.listening().await;
    serve.log.until("handle poll failed").await;
    serve.log.until("mapper module in the folder refused").await;
    serve.log.until("file too large").await;
    plant.settle(&serve).await;
    serve.signal("TERM").await;
    serve.end().await;
    serve
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_from_outside_forges_a_line_of_the_text_log() {
    let plant = open(Engine::Sqlite).await;
    let log = lied_to(&plant).await.log.text();
    assert_eq!(log.matches("FORGED").count(), 3, "each is told, on the line where it belongs: {log}");
    for line in log.lines() {
        // Meta's words are cleaned before, so they have a blank instead of an escape.
        let told = ["x\\n2026-11-28", "x 2026-11-28"].iter().any(|kept| line.contains(kept));
        assert!(!line.contains("Z ERROR forged") || told, "{line:?}");
        assert!(!line.chars().any(|one| one.is_control() || one == '\u{2028}'), "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_from_outside_forges_a_line_of_the_json_log() {
    let plant = open(Engine::Sqlite).await;
    let config = std::fs::read_to_string(&plant.config).expect("readable");
    std::fs::write(&plant.config, format!("log_format = 'json'\n{config}")).expect("written");
    let log = lied_to(&plant).await.log.text();
    for line in log.lines().filter(|line| !line.starts_with("listening ")) {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        assert!(event["target"].is_string(), "{event}");
        assert!(!line.chars().any(|one| one.is_control() || one == '\u{2028}'), "{line:?}");
    }
}
