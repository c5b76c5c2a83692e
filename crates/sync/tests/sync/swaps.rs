//! Storms of mapper swaps during a drain, small by default:
//!
//! ```sh
//! SWAPS=100 SWAPS_VARIANTS=100000 cargo test --release -p catalog-sync --test sync -- swaps:: --nocapture
//! ```

use testkit::swaps::{Storm, run};
use testkit::{Engine, variable};

async fn storm(engine: Engine) {
    let swaps = variable("SWAPS").unwrap_or(12);
    let variants = variable("SWAPS_VARIANTS").unwrap_or(2_000);
    let tally = run(Storm { engine, variants, batch: (variants / 100).min(500), swaps }).await;
    println!("{engine:?}: {tally:#?}");
    assert!(tally.during * 3 >= swaps, "the storm was over before the drain began: {tally:?}");
    assert_eq!(tally.calls_by_module.len(), 2, "{tally:?}");
    assert_eq!(tally.variants_by_module.values().sum::<usize>(), variants, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_mix_nothing_on_sqlite() {
    storm(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_mix_nothing_on_postgres() {
    storm(Engine::Postgres).await;
}
