//! The effect of a misbehaving module on its neighbours: `cargo bench --bench evil [-- --check]`.
//!
//! The bench pushes the variants of a shop over and over while a client polls the status endpoint. The first run uses a
//! well-behaved module. The second uses a module that spins, allocates, traps, overflows its stack, or returns too
//! much, too little or wrong output on some rows of every batch. The bench prints the 99th percentile of the status
//! requests and the resident memory after each run. With `--check` the process fails when the percentile of the evil
//! run is above twice the other's, when memory does not return to within 64 MiB, or when a good row was not pushed.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use catalog_sync::admin::mapper::{self, Source};
use catalog_sync::domain::state::SyncStatus;
use catalog_sync::store::api_token::{self, ApiToken};
use catalog_sync::store::{outbox, sync_state};
use meta_catalog::http::{self, Api, Site};
use secrecy::SecretString;
use serde_json::{Value, json};
use testkit::{Engine, Shop, product, variant};

const VARIANTS: usize = 5_000;
const A_PRODUCT: usize = 5;
const KINDS: &[&str] =
    &["spin", "allocate", "trap", "overflow", "foreign_id", "wrong_type", "bad_json", "huge", "short", "long"];
/// In an evil run, one row in this many is evil.
const EVERY: usize = 250;
const RUN: Duration = Duration::from_secs(30);
const TOKEN: &str = "mct_a-token-for-the-bench";
const BAR: f64 = 2.0;
const MEMORY_BAR: i64 = 64 << 20;

fn main() -> ExitCode {
    let check = std::env::args().any(|argument| argument == "--check");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let holds = runtime.block_on(measure());
    if check && !holds { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn measure() -> bool {
    let shop = Shop::open(Engine::Postgres).await;
    // Evil rows must stay in retry for the whole run.
    shop.set(json!({ "max_attempts": 1_000 })).await;
    let token = ApiToken {
        id: "bench".into(),
        name: "bench".into(),
        role: "catalog-viewer".into(),
        created_at: 0,
        revoked_at: None,
        expires_at: None,
    };
    let mut tx = shop.db().write().await.expect("a transaction");
    api_token::create(&mut tx, &token, &SecretString::from(TOKEN)).await.expect("stored");
    tx.commit().await.expect("committed");

    let (calm, calm_pushes) = run(&shop, "fixtures/twin.wasm", false).await;
    let before = resident().await;
    let (evil, evil_pushes) = run(&shop, "fixtures/evil.wasm", true).await;
    let after = resident().await;
    let synced = synced_good(&shop).await;
    shop.close().await;

    let (calm, evil) = (percentile(calm), percentile(evil));
    let ratio = evil.as_secs_f64() / calm.as_secs_f64();
    let grown = after - before;
    println!("GET /admin/meta/status while {VARIANTS} variants are pushed over and over, on PostgreSQL");
    println!("module that behaves  p99 {:>7.2} ms, {calm_pushes} rounds", calm.as_secs_f64() * 1e3);
    println!(
        "evil module          p99 {:>7.2} ms, {evil_pushes} rounds {ratio:>6.2} × (bar {BAR:.1})",
        evil.as_secs_f64() * 1e3
    );
    println!("memory after it      {:>+7.1} MiB (bar {})", grown as f64 / f64::from(1 << 20), MEMORY_BAR >> 20);
    let good = VARIANTS - VARIANTS / EVERY;
    println!("good variants synced {synced} of {good}");
    ratio <= BAR && grown <= MEMORY_BAR && synced >= good
}

/// Serves the API of this shop and returns its base URL.
async fn api(shop: &Shop) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let site = Site { enabled: true, api_url: base.clone(), admin_url: None, allowed_origins: Vec::new() };
    let router =
        http::router(Api::new(Arc::clone(&shop.app), shop.service.board.clone(), None, site), axum::Router::new());
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}

/// Pushes everything repeatedly for the length of a run. Returns the durations of the status requests made meanwhile,
/// and the number of rounds.
async fn run(shop: &Shop, module: &str, evil: bool) -> (Vec<Duration>, usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappers/modules").join(module);
    let module = std::fs::read(path).expect("a module");
    mapper::activate(&shop.service.app, module, Source::Api, false).await.expect("activated");
    let stop = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn(ask(format!("{}/admin/meta/status", api(shop).await), Arc::clone(&stop)));
    let began = Instant::now();
    let mut rounds = 0;
    while began.elapsed() < RUN {
        rounds += 1;
        shop.import(&catalog(if evil { 10_000 } else { 1_000 } + i64::try_from(rounds).expect("few"), evil)).await;
        // Evil rows stay in the outbox, so the round ends when only they are left.
        let calls = shop.batches();
        while began.elapsed() < RUN && (shop.batches() == calls || waiting(shop).await > VARIANTS / EVERY) {
            shop.service.app.wake.drain.nudge();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let times = asking.await.expect("the asker ends");
    // The last batch of the run may still be in flight. Evil rows keep failing, so only the good rows are awaited.
    let good = VARIANTS - VARIANTS / EVERY;
    let patience = Instant::now();
    while synced_good(shop).await < good && patience.elapsed() < 4 * RUN {
        shop.service.app.wake.drain.nudge();
        shop.service.app.wake.poll.nudge();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    (times, rounds)
}

async fn ask(url: String, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let client = reqwest::Client::new();
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let answer = client.get(&url).bearer_auth(TOKEN).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
        answer.bytes().await.expect("a body");
        times.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times
}

fn catalog(price: i64, evil: bool) -> Vec<Value> {
    let one = |n: usize| {
        let mut variant = variant(&id(n), price);
        if evil && is_evil(n) {
            variant["extra"] = json!({ "evil": KINDS[n / EVERY % KINDS.len()] });
        }
        variant
    };
    (0..VARIANTS / A_PRODUCT)
        .map(|p| {
            let variants: Vec<Value> = (0..A_PRODUCT).map(|v| one(p * A_PRODUCT + v)).collect();
            product(&format!("p{p:05}"), &variants)
        })
        .collect()
}

/// Returns whether a variant is evil in an evil run.
fn is_evil(n: usize) -> bool {
    n.is_multiple_of(EVERY)
}

fn id(n: usize) -> String {
    format!("v{n:05}")
}

/// Returns the number of open intents.
async fn waiting(shop: &Shop) -> usize {
    let mut tx = shop.db().read().await.expect("a connection");
    let backlog = outbox::backlog(&mut tx).await.expect("counted");
    usize::try_from(backlog.live).expect("no fewer than none")
}

/// Returns the number of good variants that are synced. An evil variant may keep its state from the previous run, so it
/// is not counted.
async fn synced_good(shop: &Shop) -> usize {
    let good: Vec<String> = (0..VARIANTS).filter(|n| !is_evil(*n)).map(id).collect();
    let good: Vec<&str> = good.iter().map(String::as_str).collect();
    let mut tx = shop.db().read().await.expect("a connection");
    let states = sync_state::load(&mut tx, &good).await.expect("read");
    states.values().filter(|held| held.status == SyncStatus::Synced).count()
}

/// Returns the lowest resident memory within two seconds, in bytes. The minimum gives the allocator time to release
/// memory.
async fn resident() -> i64 {
    let mut least = i64::MAX;
    for _ in 0..20 {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        let kib: i64 = line.trim().trim_end_matches(" kB").trim().parse().expect("a number");
        least = least.min(kib * 1024);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    least
}

fn percentile(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() * 99 / 100]
}
