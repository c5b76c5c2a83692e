//! How much of Meta's allowance a backlog uses, in real time: `cargo bench --bench million -- --allowance 5`.
//!
//! Meta is the simulator, with its rolling minute of 8 calls. The service runs with its own defaults.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_sync::clock::SystemClock;
use catalog_sync::domain::budget::LimiterConfig;
use serde_json::json;
use testkit::{Engine, Shop};

use crate::shop::{self, A_CALL};

/// Meta's calls a minute for a catalog without traffic.
const A_MINUTE: u32 = 8;

/// Drains a backlog for this many minutes and prints the calls. Returns whether 95 % of the allowance were used and nothing
/// was throttled.
pub(crate) async fn run(engine: Engine, minutes: u32) -> bool {
    let shop =
        Shop::open_with(engine, |_| Arc::new(SystemClock), |config| config.limiter = LimiterConfig::default()).await;
    shop.meta.configure(|world| world.quotas.batch_per_minute = A_MINUTE);
    let variants = usize::try_from((minutes + 1) * A_MINUTE).expect("small") * A_CALL;
    eprintln!("importing {variants} variants");
    shop::import(&shop, variants, 10_000).await;
    shop.set(json!({ "sync_enabled": true, "batch_size": A_CALL, "drain_pacing": "budget" })).await;
    shop.wake();
    let calls = || shop.meta.calls().items_batch;
    while calls() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (began, before) = (Instant::now(), calls());
    for minute in 1..=minutes {
        tokio::time::sleep_until((began + Duration::from_secs(60) * minute).into()).await;
        eprintln!("{minute} min: {} calls", calls() - before);
    }
    let (made, throttled) = (calls() - before, shop.meta.calls().throttled);
    let share = made as f64 / f64::from(minutes * A_MINUTE);
    println!("{made} calls in {minutes} min: {:.1} % of the allowance, {throttled} throttled", 100.0 * share);
    shop.close().await;
    share >= 0.95 && throttled == 0
}
