//! A small storm of swaps on each database; `cargo run --release --example swap-storm` makes big ones.

use testkit::Engine;
use testkit::swaps::{Storm, run};

async fn small(engine: Engine) {
    let tally = run(Storm { engine, variants: 2_000, batch: 20, swaps: 12 }).await;
    assert!(tally.during >= 4, "the storm was over before the drain began: {tally:?}");
    assert_eq!(tally.calls_by_module.len(), 2, "{tally:?}");
    assert_eq!(tally.variants_by_module.values().sum::<usize>(), 2_000, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_mix_nothing_on_sqlite() {
    small(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_mix_nothing_on_postgres() {
    small(Engine::Postgres).await;
}
