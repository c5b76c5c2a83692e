//! A shop with frozen clocks: the service's clock and Meta's clock move only when a test moves them together.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_sync::clock::{Clock as _, ManualClock};
use catalog_sync::config::Config;
use catalog_sync::domain::channel::Channel;
use catalog_sync::domain::outcome::Problem;
use catalog_sync::domain::state::{SyncState, SyncStatus};
use catalog_sync::store::{Db, channel, sync_state};
use graph_simulator::{Fault, Handle, Kind};
use serde_json::{Value, json};

use crate::process::PATIENCE;
use crate::shop::{Shop, product, variant};
use crate::site::Engine;

/// The length of a time step, in milliseconds, where a test lets time pass.
const STEP: i64 = 250;
/// The actors that are woken when time passes.
const AWAKE: [&str; 3] = ["lease", "drain", "poll"];

/// The shop and its clocks.
pub struct Stage {
    /// The shop.
    pub shop: Shop,
    clock: Arc<ManualClock>,
}

impl Deref for Stage {
    type Target = Shop;
    fn deref(&self) -> &Shop {
        &self.shop
    }
}

/// An intent in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The number of attempts.
    pub attempts: i64,
    /// The class of the last failure.
    pub class: Option<String>,
    /// Whether it is parked.
    pub parked: bool,
    /// The outcome; `None` while the intent is open.
    pub outcome: Option<String>,
}

/// A submission in the store.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The catalog.
    pub catalog: String,
    /// The state.
    pub state: String,
    /// The number of rows.
    pub rows: i64,
    /// The reason for an end without a verdict.
    pub reason: Option<String>,
    /// The errors that Meta reported.
    pub errors: Option<Value>,
}

impl Stage {
    /// Opens a connected shop with frozen clocks.
    pub async fn open(engine: Engine) -> Self {
        Self::open_with(engine, |_| ()).await
    }

    /// Works like [`Stage::open`], with a changed configuration.
    pub async fn open_with(engine: Engine, tune: impl FnOnce(&mut Config)) -> Self {
        let mut clock = None;
        let frozen = |meta: &Handle| {
            meta.freeze();
            let at = ManualClock::at(meta.now_ms());
            clock = Some(Arc::clone(&at));
            at as Arc<dyn catalog_sync::clock::Clock>
        };
        let shop = Shop::open_with(engine, frozen, tune).await;
        Self { shop, clock: clock.expect("a clock") }
    }

    /// Restarts the service and moves the clocks by this much in between.
    pub async fn restart(self, meanwhile_ms: i64) -> Self {
        let Self { shop, clock } = self;
        let shop = shop
            .restart(|meta| {
                meta.advance(meanwhile_ms);
                clock.advance(meanwhile_ms);
            })
            .await;
        Self { shop, clock }
    }

    /// Returns the time on the clocks.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Moves both clocks and wakes the actors that depend on the time.
    pub fn pass(&self, ms: i64) {
        self.drift(ms);
        let app = &self.service.app;
        app.lease.keeper().nudge();
        app.wake.drain.nudge();
        app.wake.poll.nudge();
    }

    /// Moves both clocks without waking an actor.
    pub fn drift(&self, ms: i64) {
        self.meta.advance(ms);
        self.clock.advance(ms);
    }

    /// Lets time pass in small steps until a condition is true. Fails after [`PATIENCE`].
    ///
    /// Each step waits until every actor that is not on hold has processed the new time. So a tick spans at most one
    /// step of this time, even on a slow machine. If the service hangs, this time stops as well.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        while !holds().await {
            assert!(began.elapsed() < PATIENCE, "never came true: {what}; actors: {:?}", self.service.board);
            let before = self.ticks();
            self.pass(STEP);
            self.looked_since(before).await;
        }
    }

    /// Returns the number of ticks that each of these actors has completed.
    fn ticks(&self) -> [u64; 3] {
        AWAKE.map(|name| self.ticked(name))
    }

    /// Waits until every actor that is not on hold has completed a tick since `before`. Earlier ticks are then over.
    async fn looked_since(&self, before: [u64; 3]) {
        self.wait("everybody has looked", async || {
            AWAKE.iter().zip(before).all(|(name, before)| self.ticked(name) > before || self.holds(name))
        })
        .await;
    }

    /// Writes settings and waits for the ticks that still use the old ones. Such a tick does not send the call that it
    /// had prepared, and while the clock is frozen its permit stays used.
    pub async fn set(&self, values: Value) {
        self.shop.set(values).await;
        self.looked_since(self.ticks()).await;
    }

    /// Waits for a condition without moving the clocks.
    pub async fn wait(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        while !holds().await {
            assert!(began.elapsed() < PATIENCE, "never came true: {what}; actors: {:?}", self.service.board);
            self.pass(0);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Lets time pass until no live intent and no open submission remain.
    pub async fn settle(&self) {
        self.until("everything is settled", async || {
            // It is one query, because between two queries a verdict could close a submission and queue an intent.
            let sql = "SELECT (SELECT COUNT(*) FROM meta_outbox WHERE processed_at IS NULL AND parked_at IS NULL),
                              (SELECT COUNT(*) FROM meta_batch_handles WHERE state IN ('pending', 'sending'))";
            self.rows::<(i64, i64)>(sql).await == [(0, 0)]
        })
        .await;
        // The limiter requires a millisecond after a call. Passing it here keeps it from delaying the next call.
        self.pass(2);
    }

    /// Returns whether an actor is between two ticks and ignores wake-ups until a set time.
    fn holds(&self, actor: &str) -> bool {
        self.service.board.get(actor).expect("an actor").held_until.is_some_and(|until| until > self.now())
    }

    /// Lets the drain and the poll each tick at least twice. `step` must be longer than any hold of theirs.
    pub async fn look_twice(&self, step: i64) {
        let before = (self.ticked("drain"), self.ticked("poll"));
        for looks in 1..=2 {
            self.pass(step);
            self.wait("drain and poll have looked", async || {
                self.ticked("drain") >= before.0 + looks && self.ticked("poll") >= before.1 + looks
            })
            .await;
        }
    }

    /// Moves the clocks to the last millisecond before `until` and waits for two ticks of the poll.
    pub async fn almost(&self, until: i64) {
        self.pass(until - self.now() - 1);
        let before = self.ticked("poll");
        self.wait("the poll has looked", async || self.ticked("poll") >= before + 2).await;
    }

    /// Imports one product with these variants at this price.
    pub async fn sell(&self, variants: &[&str], price: i64) {
        let variants: Vec<Value> = variants.iter().map(|id| variant(id, price)).collect();
        self.import(&[product("p", &variants)]).await;
    }

    /// Archives the product, which deletes its variants at Meta, or restores it.
    pub async fn archive(&self, archived: bool) {
        let mut product = product("p", &[]);
        product["status"] = json!(if archived { "archived" } else { "active" });
        self.import(&[product]).await;
    }

    /// Restores every product without an event, as a manual repair of the source does.
    pub async fn restore_silently(&self) {
        match self.db() {
            Db::Sqlite { writer, .. } => {
                sqlx::query("UPDATE product SET status = 'active'").execute(writer).await.expect("written");
            }
            Db::Postgres { pool, .. } => {
                let sql = "UPDATE meta_catalog.product SET status = 'active'";
                sqlx::query(sql).execute(pool).await.expect("written");
            }
        }
    }

    /// Plans a fault for the next call of an edge.
    pub fn strike(&self, on: &str, kind: Kind) {
        self.strikes(on, 0, 1, kind);
    }

    /// Plans a fault for several calls of an edge, after `skip` calls that pass.
    pub fn strikes(&self, on: &str, skip: u32, times: u32, kind: Kind) {
        self.meta.plan(Fault { on: on.into(), skip, times, kind });
    }

    /// Returns the complete state of a variant.
    pub async fn held(&self, variant: &str) -> SyncState {
        let mut tx = self.db().read().await.expect("a connection");
        let mut held = sync_state::load(&mut tx, &[variant]).await.expect("loaded");
        held.remove(variant).expect("a state")
    }

    /// Returns whether a variant has this status.
    pub async fn is(&self, variant: &str, status: SyncStatus) -> bool {
        self.status(variant).await == Some(status)
    }

    /// Returns the problem that stops the channel.
    pub async fn problem(&self) -> Option<Problem> {
        let mut tx = self.db().read().await.expect("a connection");
        channel::load(&mut tx).await.expect("loaded").problem
    }

    /// Returns the channel.
    pub async fn channel(&self) -> Channel {
        let mut tx = self.db().read().await.expect("a connection");
        channel::load(&mut tx).await.expect("loaded")
    }

    /// Returns the intents of a variant, oldest first.
    pub async fn asked(&self, variant: &str) -> Vec<Asked> {
        let sql = "SELECT attempts, class, parked_at, outcome FROM meta_outbox WHERE variant_id = $1 ORDER BY seq";
        self.rows_of::<(i64, Option<String>, Option<i64>, Option<String>)>(sql, variant)
            .await
            .into_iter()
            .map(|(attempts, class, parked, outcome)| Asked { attempts, class, parked: parked.is_some(), outcome })
            .collect()
    }

    /// Returns the latest intent of a variant.
    pub async fn last_asked(&self, variant: &str) -> Asked {
        self.asked(variant).await.pop().expect("an intent")
    }

    /// Returns the submissions, oldest first.
    pub async fn sent(&self) -> Vec<Sent> {
        let sql =
            "SELECT catalog_id, state, row_count, reason, CAST(errors AS TEXT) FROM meta_batch_handles ORDER BY id";
        self.rows::<(String, String, i64, Option<String>, Option<String>)>(sql)
            .await
            .into_iter()
            .map(|(catalog, state, rows, reason, errors)| {
                let errors = errors.map(|text| serde_json::from_str(&text).expect("JSON"));
                Sent { catalog, state, rows, reason, errors }
            })
            .collect()
    }

    /// Writes an unreadable `images` column, or repairs it. Only the mapper's input exposes this fault of the source.
    pub async fn images(&self, variant: &str, text: &str) {
        let (sqlite, postgres) = (
            "UPDATE product_variant SET images = $1 WHERE id = $2",
            "UPDATE meta_catalog.product_variant SET images = CAST($1 AS jsonb) WHERE id = $2",
        );
        match self.db() {
            Db::Sqlite { writer, .. } => {
                sqlx::query(sqlite).bind(text).bind(variant).execute(writer).await.expect("written");
            }
            Db::Postgres { pool, .. } => {
                sqlx::query(postgres).bind(text).bind(variant).execute(pool).await.expect("written");
            }
        }
    }

    /// Shuts the service down and waits for it.
    pub async fn close(self) {
        self.shop.close().await;
    }
}

/// Returns a Graph error as Meta sends it.
pub fn graph_error(code: i64, subcode: Option<i64>) -> Kind {
    Kind::GraphError {
        code,
        subcode,
        message: None,
        is_transient: None,
        error_data: None,
        status: None,
        after_accept: false,
    }
}
