//! Torture runs, short by default. Longer ones print their seeds, and the same seed gives the same plan:
//!
//! ```sh
//! TORTURE_KILLS=50 cargo test --test processes torture -- --nocapture
//! TORTURE_KILLS=50 TORTURE_SEED=7 cargo test --test processes torture -- --nocapture
//! ```

use std::path::Path;
use std::time::Instant;

use testkit::torture::{Torture, run};
use testkit::{postgres, variable};

async fn torture(usual_seed: u64, database: Option<String>) {
    let engine = if database.is_some() { "PostgreSQL" } else { "SQLite" };
    let kills = variable("TORTURE_KILLS");
    let random = kills.map(|_| fastrand::u64(..1_000_000));
    let seed = variable("TORTURE_SEED").or(random).unwrap_or(usual_seed);
    let kills = kills.unwrap_or(4);
    eprintln!("torture: seed {seed}, {kills} kills, {engine}");
    let began = Instant::now();
    let binary = Path::new(env!("CARGO_BIN_EXE_meta-catalog")).to_owned();
    let tally = run(&Torture { seed, kills, binary, database }).await;
    eprintln!("torture: seed {seed} held on {engine}: {tally:?} in {:?}", began.elapsed());
    assert_eq!(tally.kills, kills);
    assert!(tally.calls > 0, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_on_sqlite() {
    torture(1, None).await;
}

/// Two replicas.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_on_postgres() {
    torture(2, Some(postgres::database().await)).await;
}
