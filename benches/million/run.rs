//! One run: every phase with its floor on one database, then the reads and the baseline.

use std::time::{Duration, Instant};

use catalog_sync::admin::bootstrap;
use serde_json::json;
use testkit::{Engine, Shop};

use crate::floor::Floors;
use crate::measure::{Measured, Report};
use crate::{baseline, reads, shop, sink};

/// The names of the phases.
pub(crate) const IMPORT: &str = "import";
pub(crate) const PUSH: &str = "first push";
pub(crate) const OTHER_IMPORT: &str = "import of other prices";
pub(crate) const OTHER_PUSH: &str = "push of other prices";
pub(crate) const PASS: &str = "pass without a change";
pub(crate) const BOOTSTRAP: &str = "bootstrap, all at Meta";
pub(crate) const REASK_NONE: &str = "re-ask, none changed";
pub(crate) const REASK_ALL: &str = "re-ask, all changed";
pub(crate) const POLL: &str = "poll";

/// The most variants whose verdicts are held back for the poll.
const HELD: usize = 250_000;
/// The most variants of the baseline.
const BASELINE: usize = 100_000;

/// What is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) engine: Engine,
    pub(crate) variants: usize,
    pub(crate) blind: bool,
    pub(crate) baseline: bool,
    pub(crate) floors: bool,
}

impl Plan {
    pub(crate) fn name(&self) -> String {
        let engine = match self.engine {
            Engine::Sqlite => "SQLite",
            Engine::Postgres => "PostgreSQL",
        };
        let blind = if self.blind { ", without statistics" } else { "" };
        format!("{} variants on {engine}{blind}", self.variants)
    }
}

pub(crate) async fn run(plan: Plan) -> Measured {
    let Plan { engine, variants, blind, .. } = plan;
    let sink = sink::Child::start();
    let shop = shop::open(engine, &sink, blind).await;
    let mut report = Report::new(plan.name(), variants, sink.id());
    let mut floors = match plan.floors {
        true => Floors::start(&shop::url(&shop, engine).await).await,
        false => Floors::none(),
    };

    report.phase(IMPORT, shop::import(&shop, variants, 10_000)).await;
    report.floor(floors.take("import").await);
    if !blind {
        shop::see(&shop, engine).await;
        floors.take("analyze").await;
    }

    report.phase(PUSH, shop::push(&shop)).await;
    report.floor(floors.take("push").await);
    let (bytes, intents) = shop::size(&shop, engine).await;

    report.phase(OTHER_IMPORT, shop::import(&shop, variants, 20_000)).await;
    report.floor(floors.take("reprice").await);
    report.phase(OTHER_PUSH, shop::push(&shop)).await;
    report.floor(floors.take("push").await);

    shop::ask_for_all(&shop).await;
    report.phase(PASS, shop::push(&shop)).await;
    floors.take("queue").await;
    report.floor(floors.take("pass").await);

    let bootstrap_answer = again(&shop, &mut floors, &mut report).await;
    held(&shop, &mut floors, &mut report, &sink, variants).await;

    let (bytes_then, intents_then) = shop::size(&shop, engine).await;
    let reads = reads::measure(&shop, variants, &report).await;
    let baseline = if plan.baseline && matches!(engine, Engine::Postgres) {
        report.say("baseline in Node");
        Some(baseline::run(&shop, &sink, variants.min(BASELINE)).await)
    } else {
        None
    };
    shop.close().await;
    Measured {
        phases: report.phases,
        reads,
        bootstrap_answer,
        bytes_a_variant: bytes / variants as f64,
        bytes_an_intent: (bytes_then - bytes) / (intents_then - intents),
        baseline,
    }
}

/// Asks for everything again: a bootstrap, and re-asks for a setting that changes no payload and one that changes each.
/// Returns the seconds until the bootstrap answered.
async fn again(shop: &Shop, floors: &mut Floors, report: &mut Report) -> f64 {
    let mut answer = Duration::ZERO;
    shop.set(json!({ "sync_enabled": true })).await;
    report
        .phase(BOOTSTRAP, async {
            let began = Instant::now();
            bootstrap::bootstrap(&shop.app, false).await.expect("begun");
            answer = began.elapsed();
            shop::settle(shop).await;
        })
        .await;
    shop.set(json!({ "sync_enabled": false })).await;
    report.floor(floors.take("queue pass").await);

    // No title of the shop is as long.
    report.phase(REASK_NONE, reask(shop, json!({ "title_max_length": 199, "sync_enabled": true }))).await;
    report.floor(floors.take("queue pass").await);

    report.phase(REASK_ALL, reask(shop, json!({ "default_condition": "used", "sync_enabled": true }))).await;
    report.floor(floors.take("queue push").await);
    answer.as_secs_f64()
}

async fn reask(shop: &Shop, setting: serde_json::Value) {
    shop.set(setting).await;
    shop::settle(shop).await;
    shop.set(json!({ "sync_enabled": false })).await;
}

/// Sends other prices while Meta has no verdict, and measures only the verdicts.
async fn held(shop: &Shop, floors: &mut Floors, report: &mut Report, sink: &sink::Child, variants: usize) {
    let rows = variants.min(HELD);
    let below = shop::id_behind(rows);
    report.say("what the poll needs: items without a verdict");
    sink.hold().await;
    shop.set(json!({ "sync_enabled": true })).await;
    shop::reprice(shop, &below).await;
    shop::submitted(shop).await;
    shop.set(json!({ "sync_enabled": false })).await;
    sink.release().await;
    // A poll that was asked before records its pause.
    tokio::time::sleep(Duration::from_millis(100)).await;
    shop::end_pauses(shop).await;
    // A poll whose pause ended by itself has judged its call already.
    let left = shop.count("SELECT COUNT(*) FROM meta_sync_state WHERE status = 'submitted'").await;
    let left = usize::try_from(left).expect("a number of rows");
    report.phase_of(POLL, left, shop::poll(shop)).await;
    floors.take(&format!("queue-below={below} submit")).await;
    // Calls that were judged too early have no floor either.
    let calls = left.div_ceil(shop::A_CALL.min(rows));
    report.floor(floors.take(&format!("poll={calls}")).await);
}
