//! Runs random edits, faults and kills, then turns all faults off and compares Meta's items with the mapper's word.
//!
//! The plan is made from the seed. The timing of the processes depends on the machine, so a seed reproduces the plan,
//! not the schedule. Invariants that are true at every moment are checked after every step.

mod plan;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use catalog_sync::domain::intent::{Intent, Origin};
use plan::{Act, PRODUCTS, Step, VARIANTS, variant_id};
use serde_json::{Value, json};

use crate::plant::Plant;
use crate::process::Serve;

/// The parameters of a run.
#[derive(Clone, Debug)]
pub struct Torture {
    /// The seed of the plan.
    pub seed: u64,
    /// The number of kills.
    pub kills: usize,
    /// The program.
    pub binary: PathBuf,
    /// A PostgreSQL URL, used by two replicas. `None` means SQLite and one process.
    pub database: Option<String>,
}

/// The result of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// The number of kills.
    pub kills: usize,
    /// Processes that exited at a failpoint.
    pub failpoint_deaths: usize,
    /// The number of times a process was stopped by `SIGSTOP`.
    pub stops: usize,
    /// Steps of the plan.
    pub steps: usize,
    /// Calls of `items_batch`.
    pub calls: u64,
}

struct Variant {
    price: i64,
    sale_end: Option<i64>,
    colour: Option<&'static str>,
    deleted: bool,
}

struct Replica {
    serve: Serve,
    /// The time at which the stopped process resumes; `None` while it runs.
    stopped: Option<Instant>,
    failpoint: Option<String>,
}

struct Run {
    plant: Plant,
    replicas: Vec<Replica>,
    variants: Vec<Variant>,
    active: Vec<bool>,
    /// Variants removed by an operator and perhaps queued again by events. Their presence at Meta depends on the
    /// batches.
    removed: BTreeSet<usize>,
    ahead: i64,
    /// The number of calls once no call was in flight after a disconnect.
    silent_since: Option<u64>,
    tally: Tally,
}

/// Runs the plan. Panics with the seed and the step when an invariant is violated.
pub async fn run(torture: &Torture) -> Tally {
    let plant = Plant::open(&torture.binary, torture.database.clone()).await;
    plant.set(json!({"batch_size": 20})).await;
    let count = if torture.database.is_some() { 2 } else { 1 };
    let replicas = (0..count).map(|_| start(&plant, None)).collect();
    let fresh = |_| Variant { price: 100, sale_end: None, colour: None, deleted: false };
    let mut run = Run {
        plant,
        replicas,
        variants: (0..PRODUCTS * VARIANTS).map(fresh).collect(),
        active: vec![true; PRODUCTS],
        removed: BTreeSet::new(),
        ahead: 0,
        silent_since: None,
        tally: Tally::default(),
    };
    for product in 0..PRODUCTS {
        run.import(product).await;
    }
    for (number, step) in plan::plan(torture.seed, torture.kills).into_iter().enumerate() {
        let Step { act, then_ms } = step;
        let what = format!("seed {}, step {number}: {act:?}", torture.seed);
        run.act(act).await;
        if number % 8 == 0 {
            run.plant.nudge().await;
        }
        tokio::time::sleep(Duration::from_millis(then_ms)).await;
        run.look(&what).await;
        run.tally.steps += 1;
    }
    run.peace(torture.seed).await;
    run.tally.calls = run.plant.meta.calls().items_batch;
    run.tally
}

fn start(plant: &Plant, failpoint: Option<String>) -> Replica {
    let serve = plant.serve_with(failpoint.as_deref().unwrap_or_default());
    Replica { serve, stopped: None, failpoint }
}

impl Run {
    async fn act(&mut self, act: Act) {
        match act {
            Act::Price { variant, price } => {
                self.variants[variant].price = price;
                self.import(variant / VARIANTS).await;
            }
            Act::Sale { variant, lasts } => {
                self.variants[variant].sale_end = Some(self.plant.now() + lasts);
                self.import(variant / VARIANTS).await;
            }
            Act::Colour { variant, colour } => {
                self.variants[variant].colour = colour;
                self.import(variant / VARIANTS).await;
            }
            Act::Status { product, active } => {
                self.active[product] = active;
                self.import(product).await;
            }
            Act::Deleted { variant, deleted } => {
                self.variants[variant].deleted = deleted;
                self.import(variant / VARIANTS).await;
            }
            Act::Event { variant } => self.ask(&[variant], Intent::Upsert, Origin::Event).await,
            Act::OperatorDelete { variant } => {
                self.ask(&[variant], Intent::Delete, Origin::Operator).await;
                self.removed.insert(variant);
            }
            Act::Resync { variant } => {
                self.ask(&[variant], Intent::Upsert, Origin::Operator).await;
                self.removed.remove(&variant);
            }
            Act::Settings(values) => self.settings(&values).await,
            Act::Fault(fault) => self.plant.meta.plan(fault),
            Act::Reject { variant } => self.plant.meta.reject(&variant_id(variant), "refused"),
            Act::ClearRejects => self.plant.meta.clear_rejects(),
            Act::Disconnect => {
                self.plant.disconnect().await;
                // A call in flight may still end, and a stopped process may still make a prepared call.
                if self.replicas.iter().all(|replica| replica.stopped.is_none()) {
                    self.silent_since = Some(self.silence().await);
                }
            }
            Act::Connect => {
                if let Some(before) = self.silent_since.take() {
                    assert_eq!(self.calls(), before, "called Meta without a connection");
                }
                self.plant.connect().await;
            }
            Act::Ahead { ms } => {
                self.ahead += ms;
                self.plant.ahead(self.ahead);
            }
            Act::Kill { replica, lease_ends, failpoint } => {
                let index = replica % self.replicas.len();
                self.replicas[index].serve.kill().await;
                self.tally.kills += 1;
                if lease_ends {
                    self.plant.lease_ends().await;
                }
                self.replicas[index] = start(&self.plant, failpoint);
            }
            Act::Stop { replica, ms } => {
                let index = replica % self.replicas.len();
                let replica = &mut self.replicas[index];
                if replica.stopped.is_none() && replica.serve.ended().is_none() {
                    let span = Duration::from_millis(ms);
                    replica.serve.stop_for(span).await;
                    replica.stopped = Some(Instant::now() + span);
                    self.tally.stops += 1;
                    self.silent_since = None;
                }
            }
        }
    }

    fn calls(&self) -> u64 {
        let calls = self.plant.meta.calls();
        calls.items_batch + calls.check_batch
    }

    /// Waits until no call was made for longer than a call may take. Returns the number of calls so far.
    async fn silence(&self) -> u64 {
        let mut before = self.calls();
        loop {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let now = self.calls();
            if now == before {
                return now;
            }
            before = now;
        }
    }

    async fn settings(&mut self, values: &Value) {
        self.plant.set(values.clone()).await;
        // After a change of a setting that affects payloads, and at the end of a preview, an operator pushes everything
        // again.
        if values["feed_mode"] == json!("live") || values.get("default_condition").is_some() {
            let all: Vec<usize> = (0..self.variants.len()).collect();
            self.ask(&all, Intent::Upsert, Origin::Operator).await;
            self.removed.clear();
        }
    }

    async fn ask(&self, variants: &[usize], intent: Intent, origin: Origin) {
        let ids: Vec<String> = variants.iter().map(|variant| variant_id(*variant)).collect();
        self.plant.ask(&ids, intent, origin).await;
    }

    async fn import(&self, product: usize) {
        let now = self.plant.now();
        let variants: Vec<Value> = (product * VARIANTS..(product + 1) * VARIANTS)
            .map(|number| {
                let variant = &self.variants[number];
                let mut line = json!({
                    "id": variant_id(number), "sku": format!("S{number}"), "price": variant.price,
                    "inventory": {"quantityOnHand": 5},
                });
                if let Some(end) = variant.sale_end {
                    line["specialPrice"] = json!(variant.price - 50);
                    line["specialPriceStart"] = json!(end - 30 * 24 * 3_600_000_i64);
                    line["specialPriceEnd"] = json!(end);
                }
                if let Some(colour) = variant.colour {
                    line["options"] = json!([{"name": "Colour", "value": colour}]);
                }
                if variant.deleted {
                    line["deletedAt"] = json!(now);
                }
                line
            })
            .collect();
        let line = json!({
            "id": format!("p{product}"), "title": format!("Product {product}"), "description": "A thing.",
            "slug": format!("p{product}"), "status": if self.active[product] { "active" } else { "archived" },
            "visibility": "public", "thumbnail": format!("p{product}.jpg"), "brand": {"title": "Acme"},
            "variants": variants,
        });
        self.plant.import(&[line]).await;
    }

    /// Checks the invariants of every moment, and replaces processes that exited at a failpoint.
    async fn look(&mut self, what: &str) {
        assert_eq!(self.plant.twice_open().await, 0, "{what}: a variant has two open submissions");
        assert_eq!(self.plant.stranded().await, 0, "{what}: submitted iff the last handle is open");
        for replica in &mut self.replicas {
            replica.stopped = replica.stopped.filter(|until| Instant::now() < *until);
            if let Some(status) = replica.serve.ended() {
                let log = replica.serve.log.text();
                assert!(replica.failpoint.is_some() && log.contains(": Kill"), "{what}: ended, {status}:\n{log}");
                self.tally.failpoint_deaths += 1;
                self.plant.lease_ends().await;
                *replica = start(&self.plant, None);
            }
        }
    }

    /// Turns all faults off and sync on, waits until everything is settled, and compares Meta's items with the mapper's
    /// word.
    async fn peace(&mut self, seed: u64) {
        self.plant.meta.clear_faults();
        self.plant.meta.clear_rejects();
        // The wait covers stopped processes, calls in flight and batches that Meta still processes.
        let stopped = self.replicas.iter().filter_map(|replica| replica.stopped).max();
        let left = stopped.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        tokio::time::sleep(left + Duration::from_millis(2_700)).await;
        self.plant.set(json!({"sync_enabled": true, "drain_pacing": "budget", "batch_size": 50})).await;
        self.settings(&json!({"feed_mode": "live"})).await;
        self.plant.connect().await;
        self.settle(seed).await;
        self.compare(seed, "after the run").await;
        // Rows that Meta refused and rows that gave up after faults are queued again. None may fail.
        let all: Vec<usize> = (0..self.variants.len()).collect();
        self.ask(&all, Intent::Upsert, Origin::Operator).await;
        self.settle(seed).await;
        self.compare(seed, "after a resync").await;
        let failed = self.plant.count("SELECT COUNT(*) FROM meta_sync_state WHERE status = 'failed'").await;
        assert_eq!(failed, 0, "seed {seed}: failed with all faults off\n{}", self.log());
    }

    /// Waits until everything is settled. Each round restarts the processes; a round without success moves the clock
    /// past backoffs, quotas and handles that never end.
    async fn settle(&mut self, seed: u64) {
        // Each round is longer than the previous one, because on a busy machine a process takes a while to start
        // working.
        for seconds in 5..20 {
            for replica in &mut self.replicas {
                replica.serve.kill().await;
            }
            self.plant.lease_ends().await;
            self.replicas = self.replicas.iter().map(|_| start(&self.plant, None)).collect();
            let round = Instant::now();
            while round.elapsed() < Duration::from_secs(seconds) {
                if self.plant.settled().await {
                    return;
                }
                self.plant.nudge().await;
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            self.ahead += 31 * 60_000;
            self.plant.ahead(self.ahead);
        }
        panic!("seed {seed}: does not settle\n{}", self.log());
    }

    async fn compare(&self, seed: u64, when: &str) {
        let told = self.plant.differences().await;
        assert!(told.is_empty(), "seed {seed}, {when}: {told:#?}\n{}", self.log());
        for (what, sql) in [
            ("parked intents", "SELECT COUNT(*) FROM meta_outbox WHERE processed_at IS NULL"),
            (
                "states of unknown variants",
                "SELECT COUNT(*) FROM meta_sync_state s WHERE NOT EXISTS (
                 SELECT 1 FROM product_variant v WHERE v.id = s.variant_id)",
            ),
            (
                "synced rows without a claim",
                "SELECT COUNT(*) FROM meta_sync_state
                 WHERE (status = 'synced') <> (last_pushed_hash IS NOT NULL)",
            ),
            (
                "deleted or skipped rows held to be at Meta",
                "SELECT COUNT(*) FROM meta_sync_state
                 WHERE status IN ('deleted', 'skipped') AND at_meta",
            ),
        ] {
            assert_eq!(self.plant.count(sql).await, 0, "seed {seed}, {when}: {what}\n{}", self.log());
        }
        assert_eq!((self.plant.stranded().await, self.plant.twice_open().await), (0, 0), "seed {seed}, {when}");
    }

    fn log(&self) -> String {
        self.replicas.iter().map(|replica| replica.serve.log.text()).collect::<Vec<_>>().join("\n---\n")
    }
}
