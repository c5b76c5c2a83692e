//! A short torture run on each database; `cargo run --example torture` makes long ones.

use std::path::Path;

use testkit::postgres;
use testkit::torture::{Torture, run};

async fn short(seed: u64, database: Option<String>) {
    let binary = Path::new(env!("CARGO_BIN_EXE_meta-catalog")).to_owned();
    let tally = run(&Torture { seed, kills: 4, binary, marker: None, database }).await;
    assert_eq!(tally.kills, 4);
    assert!(tally.calls > 0, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_kills_on_sqlite() {
    short(1, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_kills_on_postgres() {
    short(2, Some(postgres::database().await)).await;
}
