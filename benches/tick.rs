//! The time that a patching module adds to a whole drain tick: `cargo bench --bench tick [-- --check]`.
//!
//! The bench uses its own PostgreSQL server, a local Meta over HTTP, and calls of 5,000 rows. A tick covers everything
//! from reading the outbox to committing the outcome of the call. The built-in mapper and the module take turns, and
//! each pushes every variant again, so that changes in machine load affect both. The result is the median of the pairs'
//! ratios. With `--check` the process fails when the ratio is above the bar.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use catalog_sync::admin::mapper::{self, Source};
use catalog_sync::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use testkit::{Engine, Shop, product, variant};

const VARIANTS: usize = 5_000;
const A_PRODUCT: usize = 5;
const ROUNDS: usize = 15;
const BAR: f64 = 1.10;

fn main() -> ExitCode {
    let check = std::env::args().any(|argument| argument == "--check");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let ratio = runtime.block_on(measure());
    if check && ratio > BAR { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn measure() -> f64 {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappers/modules/margin-label.wasm");
    let module = std::fs::read(path).expect("a module");
    let shop = Shop::open(Engine::Postgres).await;
    let app = &shop.service.app;
    let mut price = 1_000;
    let (mut builtin, mut patched) = (Vec::new(), Vec::new());
    // The first two rounds are warm-up.
    for round in 0..=ROUNDS {
        for with_module in [round % 2 == 0, round % 2 != 0] {
            if with_module {
                mapper::activate(app, module.clone(), Source::Api, false).await.expect("activated");
            } else {
                mapper::reset(app, Source::Api, false).await.expect("reset");
            }
            price += 100;
            let time = tick(&shop, price).await;
            if round > 0 {
                if with_module { &mut patched } else { &mut builtin }.push(time);
            }
        }
    }
    shop.close().await;
    let ratio = median(patched.iter().zip(&builtin).map(|(p, b)| p.as_secs_f64() / b.as_secs_f64()).collect());
    let millis = |times: &[Duration]| median(times.iter().map(Duration::as_secs_f64).collect()) * 1e3;
    println!("a drain tick of {VARIANTS} variants on PostgreSQL");
    println!("built-in mapper  {:>8.1} ms", millis(&builtin));
    println!("patching module  {:>8.1} ms {ratio:>6.2} × built-in (bar {BAR:.2})", millis(&patched));
    ratio
}

/// Changes every variant's price and returns the duration of the tick that pushes them all.
async fn tick(shop: &Shop, price: i64) -> Duration {
    shop.set(json!({ "sync_enabled": false })).await;
    let products: Vec<Value> = (0..VARIANTS / A_PRODUCT)
        .map(|p| {
            let of_product: Vec<Value> = (0..A_PRODUCT)
                .map(|v| {
                    let mut variant = variant(&format!("v{:05}", p * A_PRODUCT + v), price);
                    variant["extra"] = json!({ "cost": 400 });
                    variant
                })
                .collect();
            let mut product = product(&format!("p{p:05}"), &of_product);
            product["description"] = json!(format!("<p>Thing no. {p}, <b>made to last</b>.</p>").repeat(12));
            product
        })
        .collect();
    shop.import(&products).await;
    let calls = shop.batches();
    let began = Instant::now();
    shop.set(json!({ "sync_enabled": true })).await;
    let pause = || tokio::time::sleep(Duration::from_millis(1));
    while shop.batches() == calls {
        pause().await;
    }
    let called = SystemClock.now();
    while shop.service.board.get("drain").and_then(|drain| drain.last_finished_at) < Some(called) {
        pause().await;
    }
    // The time includes writing the setting, which costs both mappers the same.
    let time = began.elapsed();
    shop.settle().await;
    assert_eq!(shop.batches(), calls + 1, "all of it in one call");
    time
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
