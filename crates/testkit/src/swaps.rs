//! Runs a drain during a storm of swaps: two modules take turns while every variant is pushed.
//!
//! The invariants at the end: every variant is synced; every submission was mapped by exactly the module whose digest
//! it carries, row by row; every item at Meta is exactly that module's; no actor failed. [`Words`] checks the part that
//! is in the store, and works on any installation.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_sync::admin::mapper::{self, Source};
use catalog_sync::app::App;
use catalog_sync::clock::{Clock as _, SystemClock};
use catalog_sync::domain::state::SyncStatus;
use catalog_sync::mapping::Batch;
use catalog_sync::store::{Db, source, sync_state};
use graph_simulator::Handle;
use mapper_core::word::Word;
use serde_json::{Value, json};

use crate::modules::module;
use crate::shop::{Shop, product, variant};
use crate::site::{CATALOG, Engine, rows};

const VARIANTS_A_PRODUCT: usize = 5;

/// The size of a storm.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// The database.
    pub engine: Engine,
    /// The number of variants to push.
    pub variants: usize,
    /// Rows per call.
    pub batch: usize,
    /// The number of swaps.
    pub swaps: usize,
}

/// The result of a storm.
#[derive(Debug)]
#[allow(dead_code, reason = "read through Debug")]
pub struct Tally {
    /// The number of swaps.
    pub swaps: usize,
    /// The swaps made while variants were left to push.
    pub during: usize,
    /// Calls of `items_batch`.
    pub calls: u64,
    /// Calls and variants by the module that mapped them.
    pub calls_by_module: BTreeMap<String, usize>,
    /// Variants by the module that mapped them.
    pub variants_by_module: BTreeMap<String, usize>,
    /// The duration of the drain.
    pub drain: Duration,
}

/// Runs a storm and checks the invariants.
pub async fn run(storm: Storm) -> Tally {
    let modules = [module("margin-label"), module("fixtures/twin")];
    let shop = Shop::open(storm.engine).await;
    shop.set(json!({ "sync_enabled": false, "batch_size": storm.batch })).await;
    stock(&shop, storm.variants).await;
    let app = &shop.service.app;
    mapper::activate(app, modules[0].clone(), Source::Api, false).await.expect("activated");

    let began = Instant::now();
    shop.set(json!({ "sync_enabled": true })).await;
    let (mut swaps, mut during) = (1, 1);
    while swaps < storm.swaps {
        app.wake.drain.nudge();
        during += usize::from(shop.open_work().await > 0);
        let activated = mapper::activate(app, modules[swaps % 2].clone(), Source::Api, false).await;
        assert!(activated.expect("activated").changed);
        swaps += 1;
    }
    while shop.open_work().await > 0 {
        app.wake.drain.nudge();
        app.wake.poll.nudge();
        assert!(began.elapsed() < Duration::from_secs(1_800), "it never settles");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let drain = began.elapsed();

    for vitals in shop.service.board.all() {
        assert_eq!((&vitals.last_error, vitals.restarts), (&None, 0), "{} failed", vitals.name);
    }
    let mut tx = shop.db().read().await.expect("a connection");
    let counts = sync_state::counts(&mut tx).await.expect("counted");
    drop(tx);
    assert_eq!(counts, HashMap::from([(SyncStatus::Synced, i64::try_from(storm.variants).expect("few"))]));
    let words = Words::of(app, &modules).await;
    let calls_by_module = words.whole_calls(shop.db()).await;
    let variants_by_module = words.pushed_by_one(shop.db(), &shop.meta).await;
    let tally = Tally { swaps, during, calls: shop.batches(), calls_by_module, variants_by_module, drain };
    shop.close().await;
    tally
}

/// Fills the shop. Each variant has a cost for the margin label.
async fn stock(shop: &Shop, variants: usize) {
    let ids: Vec<usize> = (0..variants).collect();
    let mut products = Vec::new();
    for ids in ids.chunks(VARIANTS_A_PRODUCT) {
        let of_product: Vec<Value> = ids
            .iter()
            .map(|id| {
                let price = 1_000 + i64::try_from(id % 97).expect("few") * 100;
                let mut variant = variant(&format!("v{id:07}"), price);
                variant["extra"] = json!({ "cost": 500 + (id % 11) * 300 });
                variant
            })
            .collect();
        products.push(product(&format!("p{:07}", ids[0]), &of_product));
    }
    for chunk in products.chunks(1_000) {
        shop.import(chunk).await;
    }
}

/// The words of several modules for every variant of an installation: hash and payload by digest and variant.
pub struct Words(HashMap<String, HashMap<String, (String, String)>>);

impl Words {
    /// Maps all variants with these modules under the current settings.
    pub async fn of(app: &App, modules: &[Vec<u8>]) -> Self {
        let settings = app.load_settings().await.expect("loaded");
        let settings = Arc::new(settings.mapper.with(&app.config.s3_public_url));
        let mut running = Vec::new();
        for module in modules {
            running.push(app.active.load_rehearsed(module.clone()).await.expect("a host").expect("a good module"));
        }
        let sql = "SELECT variant_id FROM variant_index ORDER BY variant_id";
        let ids: Vec<(String,)> = rows(&app.db, sql).await;
        let mut words: HashMap<String, HashMap<String, (String, String)>> = HashMap::new();
        for ids in ids.chunks(1_000) {
            let ids: Vec<&str> = ids.iter().map(|(id,)| id.as_str()).collect();
            let mut tx = app.db.read().await.expect("a connection");
            let batch = source::load(&mut tx, &ids).await.expect("loaded");
            drop(tx);
            let source::SourceBatch { products, items, .. } = batch;
            let batch = Arc::new(Batch { settings: Arc::clone(&settings), now: SystemClock.now(), products, items });
            for module in &running {
                let of_module = words.entry(module.digest().to_string()).or_default();
                let answers = module.map(&batch);
                for (item, answer) in batch.items.iter().zip(answers) {
                    let Ok(Word::Mapped(payload)) = answer else { panic!("{}: {answer:?}", item.variant.id) };
                    let hash = mapper_core::sha256_hex(&payload.data);
                    of_module.insert(item.variant.id.clone(), (hash, payload.data));
                }
            }
        }
        Self(words)
    }

    /// Returns the hash and payload of a variant by the module of this digest. Panics when the digest is of none of the
    /// modules.
    fn word(&self, digest: &str, variant: &str) -> &(String, String) {
        let of_module = self.0.get(digest).unwrap_or_else(|| panic!("{variant} is of none of the modules: {digest}"));
        &of_module[variant]
    }

    /// Checks that all rows of each submission are the words of the module whose digest it carries. Returns the number
    /// of submissions by module.
    pub async fn whole_calls(&self, db: &Db) -> BTreeMap<String, usize> {
        let sql = "SELECT mapper_digest, CAST(rows AS TEXT) FROM meta_batch_handles ORDER BY id";
        let calls: Vec<(String, String)> = rows(db, sql).await;
        let mut by_module = BTreeMap::new();
        for (digest, rows) in calls {
            let rows: Vec<(String, String, Option<String>, Option<i64>)> = serde_json::from_str(&rows).expect("rows");
            assert!(!rows.is_empty());
            for (variant, _, hash, _) in rows {
                assert_eq!(hash.as_ref(), Some(&self.word(&digest, &variant).0), "{variant} in a call of {digest}");
            }
            *by_module.entry(digest).or_default() += 1;
        }
        by_module
    }

    /// Checks that each item at Meta is exactly the word of the module whose digest its state carries. Returns the
    /// number of items by module.
    pub async fn pushed_by_one(&self, db: &Db, meta: &Handle) -> BTreeMap<String, usize> {
        let sql = "SELECT variant_id, mapper_digest FROM meta_sync_state";
        let states: Vec<(String, String)> = rows(db, sql).await;
        let items = meta.items(CATALOG).expect("the catalog");
        assert_eq!(items.len(), states.len());
        let mut by_module = BTreeMap::new();
        for (variant, digest) in states {
            let sent: Value = serde_json::from_str(&self.word(&digest, &variant).1).expect("JSON");
            assert_eq!(items[&variant], sent, "{variant} of {digest}");
            *by_module.entry(digest).or_default() += 1;
        }
        by_module
    }
}
