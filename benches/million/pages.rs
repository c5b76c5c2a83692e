//! The operator's page on a large shop: how long each page takes, and what open tabs cost a push.
//!
//! The pages are asked for over HTTP as a browser asks, with a token. The same variants are pushed with and without open
//! tabs, by turns, so that both see the same database; the ratio of the two times is the cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_sync::store::api_token::{self, ApiToken};
use meta_catalog::http::{self, Api, Limits, Site};
use meta_catalog::page;
use secrecy::SecretString;
use serde_json::json;
use testkit::Shop;

use crate::measure::median;
use crate::run::Plan;
use crate::{reads, shop, sink};

/// The pages, by path.
const PATHS: [&str; 21] = [
    "/",
    "/setup",
    "/items",
    "/items?status=synced",
    "/items?status=failed",
    "/items?status=skipped",
    "/items?status=pending",
    "/items?status=never_synced",
    "/items?warning=title_cut",
    "/items?held=true",
    "/items?parked=true",
    "/items?search=number+777",
    "/items?search=thing",
    "/items?search=SKU-0000777-3",
    "/items/v0000100-1",
    "/items/bulk?action=resync",
    "/issues",
    "/mapper",
    "/activity",
    "/settings",
    "/system",
];
/// The tabs that are left open: what an operator watches.
const TABS: [&str; 6] = ["/", "/items", "/items?status=submitted", "/issues", "/activity", "/system"];
/// How often a tab is refreshed.
const PACE: Duration = Duration::from_secs(5);
const SECRET: &str = "mct_a-token-of-the-bench-that-nobody-guesses";
/// The variants of a push beside open tabs.
const PUSHED: usize = 100_000;
/// How often the push is repeated with and without.
const ROUNDS: usize = 3;

/// The most that a page may take in the median, in milliseconds.
const BAR_MS: f64 = 300.0;
/// The most that open tabs may cost a push, as a share of its time.
const BAR_TABS: f64 = 0.05;

/// Measures every page, and a push with and without open tabs, and prints both. Returns whether the bars are held.
pub(crate) async fn run(plan: Plan) -> bool {
    let Plan { engine, variants, .. } = plan;
    let sink = sink::Child::start();
    let shop = &shop::open(engine, &sink, false).await;
    let say = |what: &str| eprintln!("{}: {what}", plan.name());
    say("import");
    shop::import(shop, variants, 10_000).await;
    shop::see(shop, engine).await;
    say("first push");
    shop::push(shop).await;

    let base = serve(shop).await;
    let http = reqwest::Client::new();
    say("pages on an idle service");
    reads::mark(shop).await;
    let mut idle: Vec<Vec<f64>> = Vec::new();
    for path in PATHS {
        let mut times = Vec::new();
        for _ in 0..7 {
            times.push(open(&http, &base, path).await);
        }
        idle.push(times);
    }
    reads::unmark(shop).await;

    let below = shop::id_behind(variants.min(PUSHED));
    let mut times = [0.0, 0.0];
    for round in 0..ROUNDS * 2 {
        let with_tabs = round % 2 == 1;
        say(if with_tabs { "a push beside six open tabs" } else { "a push with no tab open" });
        shop::reprice(shop, &below).await;
        let tabs: Vec<_> =
            TABS.iter().filter(|_| with_tabs).map(|path| tab(http.clone(), base.clone(), path)).collect();
        let began = Instant::now();
        shop::push(shop).await;
        times[usize::from(with_tabs)] += began.elapsed().as_secs_f64();
        tabs.iter().for_each(tokio::task::JoinHandle::abort);
    }

    say("pages while a push drains");
    shop::reprice(shop, &shop::id_behind(variants)).await;
    shop.set(json!({ "sync_enabled": true })).await;
    shop.app.wake.drain.nudge();
    let mut draining: Vec<Vec<f64>> = vec![Vec::new(); PATHS.len()];
    for _ in 0..5 {
        for (path, times) in PATHS.iter().zip(&mut draining) {
            times.push(open(&http, &base, path).await);
        }
    }
    let still_drains = shop.count("SELECT COUNT(*) FROM meta_outbox WHERE processed_at IS NULL LIMIT 1").await > 0;
    shop::settle(shop).await;

    println!("\n{}, pages, ms\n{:<40}{:>8}{:>10}", plan.name(), "", "idle", "draining");
    let mut are_held = true;
    for ((path, idle), draining) in PATHS.iter().zip(idle).zip(draining) {
        let (idle, draining) = (median(idle), median(draining));
        let is_held = idle <= BAR_MS && draining <= BAR_MS;
        are_held &= is_held;
        println!("{path:<40}{idle:>8.1}{draining:>10.1}{}", if is_held { "" } else { "   missed" });
    }
    if !still_drains {
        println!("The push ended before the pages were read: use more variants.");
    }
    let cost = times[1] / times[0] - 1.0;
    println!("six open tabs cost a push {:.1} %", cost * 100.0);
    are_held && cost <= BAR_TABS
}

fn tab(http: reqwest::Client, base: String, path: &'static str) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            open(&http, &base, path).await;
            tokio::time::sleep(PACE).await;
        }
    })
}

/// Returns the time of a page, in milliseconds.
async fn open(http: &reqwest::Client, base: &str, path: &str) -> f64 {
    let began = Instant::now();
    let request = http.get(format!("{base}{path}")).bearer_auth(SECRET).header("accept", "text/html");
    let answer = request.send().await.expect("a page");
    let status = answer.status();
    let text = answer.text().await.expect("a page");
    assert!(status.is_success() && text.contains("</html>"), "{path}: {status}");
    began.elapsed().as_secs_f64() * 1e3
}

/// Serves the API and the pages of the shop; returns where.
async fn serve(shop: &Shop) -> String {
    let token = ApiToken {
        id: "bench".into(),
        name: "bench".into(),
        role: "catalog-admin".into(),
        created_at: 0,
        revoked_at: None,
        expires_at: None,
    };
    let mut tx = shop.app.db.write().await.expect("a transaction");
    api_token::create(&mut tx, &token, &SecretString::from(SECRET)).await.expect("the token is stored");
    tx.commit().await.expect("committed");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let site = Site { enabled: true, api_url: base.clone(), admin_url: None, allowed_origins: Vec::new() };
    let api = Api::new(Arc::clone(&shop.service.app), shop.service.board.clone(), None, site);
    let router = http::router(api, page::routes(Limits::default()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}
