//! A shop whose two clocks, the service's and Meta's, stand still until a test moves them together.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graph_simulator::{Fault, Handle, Kind};
use meta_catalog::clock::{Clock as _, ManualClock};
use meta_catalog::config::Config;
use meta_catalog::domain::channel::Channel;
use meta_catalog::domain::outcome::Problem;
use meta_catalog::domain::state::{SyncState, SyncStatus};
use meta_catalog::store::{Db, channel, sync_state};
use serde_json::{Value, json};

use crate::process::PATIENCE;
use crate::shop::{Shop, product, variant};
use crate::site::Engine;

/// How far time goes at once, in milliseconds, where a test lets it go by.
const STEP: i64 = 250;
/// The actors that are woken when time has passed.
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

/// An intent as the outbox holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// How often it was tried.
    pub attempts: i64,
    /// The class of the last failure.
    pub class: Option<String>,
    /// Whether it is parked.
    pub parked: bool,
    /// What became of it; `None` while it is open.
    pub outcome: Option<String>,
}

/// A submission as the store holds it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The catalog.
    pub catalog: String,
    /// The state.
    pub state: String,
    /// How many rows it has.
    pub rows: i64,
    /// Why it ended without a verdict.
    pub reason: Option<String>,
    /// The errors that Meta named.
    pub errors: Option<Value>,
}

impl Stage {
    /// A connected shop with clocks that stand still.
    pub async fn open(engine: Engine) -> Self {
        Self::open_with(engine, |_| ()).await
    }

    /// As [`Stage::open`], with a changed configuration.
    pub async fn open_with(engine: Engine, tune: impl FnOnce(&mut Config)) -> Self {
        let mut clock = None;
        let frozen = |meta: &Handle| {
            meta.freeze();
            let at = ManualClock::at(meta.now_ms());
            clock = Some(Arc::clone(&at));
            at as Arc<dyn meta_catalog::clock::Clock>
        };
        let shop = Shop::open_with(engine, frozen, tune).await;
        Self { shop, clock: clock.expect("a clock") }
    }

    /// Restarts the service; so much time passes in between.
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

    /// The time on the clocks.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Moves both clocks and wakes the actors that look at them.
    pub fn pass(&self, ms: i64) {
        self.drift(ms);
        let app = &self.service.app;
        app.lease.keeper().nudge();
        app.wake.drain.nudge();
        app.wake.poll.nudge();
    }

    /// Moves both clocks and wakes no actor.
    pub fn drift(&self, ms: i64) {
        self.meta.advance(ms);
        self.clock.advance(ms);
    }

    /// Lets time go by in small steps until a condition holds; fails after [`PATIENCE`].
    ///
    /// Each step waits until every actor that is able to has looked at the new time. However slow the machine, a tick spans
    /// no more than a step of this time; a service that stands still makes it stand still as well.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        while !holds().await {
            assert!(began.elapsed() < PATIENCE, "never came true: {what}; actors: {:?}", self.service.board);
            let before = self.ticks();
            self.pass(STEP);
            self.looked_since(before).await;
        }
    }

    /// How many ticks each of these actors has ended.
    fn ticks(&self) -> [u64; 3] {
        AWAKE.map(|name| self.ticked(name))
    }

    /// Waits until every actor that is able to has ended a tick since then: ticks that were under way are over.
    async fn looked_since(&self, before: [u64; 3]) {
        self.wait("everybody has looked", async || {
            AWAKE.iter().zip(before).all(|(name, before)| self.ticked(name) > before || self.holds(name))
        })
        .await;
    }

    /// Writes settings, and waits for the ticks that still have the old ones: what such a tick had decided to send, it
    /// does not send, and its permit is gone in a time that stands still.
    pub async fn set(&self, values: Value) {
        self.shop.set(values).await;
        self.looked_since(self.ticks()).await;
    }

    /// Waits for a condition without letting time go by.
    pub async fn wait(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        while !holds().await {
            assert!(began.elapsed() < PATIENCE, "never came true: {what}; actors: {:?}", self.service.board);
            self.pass(0);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Lets time go by until no live intent and no open submission remain.
    pub async fn settle(&self) {
        self.until("everything is settled", async || {
            // As one look: between two, a verdict could close a submission and ask again.
            let sql = "SELECT (SELECT COUNT(*) FROM meta_outbox WHERE processed_at IS NULL AND parked_at IS NULL),
                              (SELECT COUNT(*) FROM meta_batch_handles WHERE state IN ('pending', 'sending'))";
            self.rows::<(i64, i64)>(sql).await == [(0, 0)]
        })
        .await;
        // The next call is not held up by the limiter's millisecond after the last one.
        self.pass(2);
    }

    /// Whether an actor is between two ticks and waits for a moment, deaf to wake-ups.
    fn holds(&self, actor: &str) -> bool {
        self.service.board.get(actor).expect("an actor").held_until.is_some_and(|until| until > self.now())
    }

    /// Lets the drain and the poll each look at least twice; `step` must reach over a hold of theirs.
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

    /// Lets time go by to the last millisecond before `until`, and lets the awake actors look twice.
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

    /// Archives the product, which deletes its variants at Meta, or takes it back.
    pub async fn archive(&self, archived: bool) {
        let mut product = product("p", &[]);
        product["status"] = json!(if archived { "archived" } else { "active" });
        self.import(&[product]).await;
    }

    /// Takes every product back without an event, as a repair of the source by hand does.
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

    /// Plans a fault for several calls of an edge, after some that pass.
    pub fn strikes(&self, on: &str, skip: u32, times: u32, kind: Kind) {
        self.meta.plan(Fault { on: on.into(), skip, times, kind });
    }

    /// The state of a variant, whole.
    pub async fn held(&self, variant: &str) -> SyncState {
        let mut tx = self.db().read().await.expect("a connection");
        let mut held = sync_state::load(&mut tx, &[variant]).await.expect("loaded");
        held.remove(variant).expect("a state")
    }

    /// Whether a variant is in this state.
    pub async fn is(&self, variant: &str, status: SyncStatus) -> bool {
        self.status(variant).await == Some(status)
    }

    /// What stops the channel.
    pub async fn problem(&self) -> Option<Problem> {
        let mut tx = self.db().read().await.expect("a connection");
        channel::load(&mut tx).await.expect("loaded").problem
    }

    /// The channel.
    pub async fn channel(&self) -> Channel {
        let mut tx = self.db().read().await.expect("a connection");
        channel::load(&mut tx).await.expect("loaded")
    }

    /// The intents of a variant, oldest first.
    pub async fn asked(&self, variant: &str) -> Vec<Asked> {
        let sql = "SELECT attempts, class, parked_at, outcome FROM meta_outbox WHERE variant_id = $1 ORDER BY seq";
        self.rows_of::<(i64, Option<String>, Option<i64>, Option<String>)>(sql, variant)
            .await
            .into_iter()
            .map(|(attempts, class, parked, outcome)| Asked { attempts, class, parked: parked.is_some(), outcome })
            .collect()
    }

    /// The latest intent of a variant.
    pub async fn last_asked(&self, variant: &str) -> Asked {
        self.asked(variant).await.pop().expect("an intent")
    }

    /// The submissions, oldest first.
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

    /// Writes an unreadable `images` column, or repairs it: a fault of the source that only the mapper's input shows.
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

    /// Ends the service in order.
    pub async fn close(self) {
        self.shop.close().await;
    }
}

/// A Graph error as Meta would send it.
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
