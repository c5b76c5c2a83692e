//! A shop whose service runs in this process, on either database.

use std::ops::Deref;
use std::sync::Arc;

use catalog_sync::admin::bootstrap;
use catalog_sync::clock::{SharedClock, SystemClock};
use catalog_sync::config::Config;
use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::startup::Service;
use catalog_sync::store::catalog::Written;
use graph_simulator::Handle;
use serde_json::{Value, json};

use crate::site::{Engine, KEY, PICTURES, Site, quick_meta};
use crate::wait::until;

/// The shop.
pub struct Shop {
    /// The service.
    pub service: Service,
    /// The configuration that it runs with.
    pub config: Config,
    site: Site,
}

impl Deref for Shop {
    type Target = Site;
    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Shop {
    /// Opens a connected shop with an empty catalog. Sync is on, and calls are paced by budget without a quota.
    pub async fn open(engine: Engine) -> Self {
        Self::open_with(engine, |_| Arc::new(SystemClock), |_| ()).await
    }

    /// Works like [`Shop::open`], with a custom clock and a changed configuration.
    pub async fn open_with(
        engine: Engine,
        clock: impl FnOnce(&Handle) -> SharedClock,
        tune: impl FnOnce(&mut Config),
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let meta = quick_meta().await;
        meta.configure(|world| world.quotas.batch_per_minute = 100_000);
        let mut config = Config::default();
        config.listen = "127.0.0.1:0".parse().expect("an address");
        config.data_dir = folder.path().into();
        config.graph.base_url = meta.base_url().into();
        config.graph.dialog_base_url = meta.base_url().into();
        config.s3_public_url = PICTURES.into();
        config.limiter.batch_calls_per_minute = 60_000.try_into().expect("above zero");
        config.set_key_if_missing(KEY);
        config.set_database_url(engine.url(folder.path()).await);
        config.trial_program = Some(crate::process::trial_program());
        tune(&mut config);
        let service = Service::start(&config, clock(&meta)).await.expect("a service");
        let site = Site { meta, app: Arc::clone(&service.app), folder };
        let shop = Self { service, config, site };
        shop.connect().await;
        shop.set_up(json!({})).await;
        shop
    }

    /// Stops the service, runs `meanwhile`, and starts the service again on the same database.
    pub async fn restart(self, meanwhile: impl FnOnce(&Handle)) -> Self {
        let Self { service, config, site: Site { meta, app, folder } } = self;
        let clock = Arc::clone(&app.clock);
        drop(app);
        service.shutdown().await.expect("a clean end");
        meanwhile(&meta);
        let service = Service::start(&config, clock).await.expect("a service");
        let site = Site { meta, app: Arc::clone(&service.app), folder };
        Self { service, config, site }
    }

    /// Imports products as the import does, and wakes the drain.
    pub async fn import(&self, products: &[Value]) -> Written {
        let written = self.site.import(products).await;
        self.app.wake.drain.nudge();
        written
    }

    /// Queues intents, as an event or an operator does.
    pub async fn ask(&self, variants: &[impl AsRef<str>], intent: Intent, origin: Origin) {
        self.site.ask(variants, intent, origin).await;
        self.app.wake.drain.nudge();
    }

    /// Queues every eligible variant, as the POST request does.
    pub async fn bootstrap(&self) -> u64 {
        let count = bootstrap::bootstrap(&self.app, false).await.expect("begun");
        self.app.wake.drain.nudge();
        count
    }

    /// Waits until no live intent and no open submission remain.
    pub async fn settle(&self) {
        self.until("everything is settled", async || {
            self.wake();
            self.open_work().await == 0
        })
        .await;
    }

    /// Wakes the drain and the poll.
    pub fn wake(&self) {
        self.app.wake.drain.nudge();
        self.app.wake.poll.nudge();
    }

    /// Polls until a condition is true. Fails after [`crate::PATIENCE`].
    pub async fn until(&self, what: &str, holds: impl AsyncFnMut() -> bool) {
        until(what, holds, || format!("actors: {:?}", self.service.board)).await;
    }

    /// Waits until an actor has completed this many more ticks, and wakes it as often as needed.
    pub async fn ticks(&self, actor: &str, more: u64) {
        let enough = self.ticked(actor) + more;
        self.until("the actor has ticked", async || {
            self.wake();
            self.ticked(actor) >= enough
        })
        .await;
    }

    /// Returns the number of ticks that an actor has completed.
    #[must_use]
    pub fn ticked(&self, actor: &str) -> u64 {
        self.service.board.get(actor).expect("an actor").ticks
    }

    /// Returns the number of calls of `items_batch`.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.meta.calls().items_batch
    }

    /// Checks the invariants of a settled shop.
    pub async fn check(&self) {
        self.check_at(self.app.now()).await;
    }

    /// Shuts the service down and waits for it.
    pub async fn close(self) {
        self.service.shutdown().await.expect("a clean end");
    }
}

/// Returns a product that syncs without a finding.
#[must_use]
pub fn product(id: &str, variants: &[Value]) -> Value {
    json!({
        "id": id, "title": format!("Product {id}"), "description": "A thing.", "slug": id, "status": "active",
        "visibility": "public", "thumbnail": format!("{id}.jpg"), "brand": {"title": "Acme"}, "variants": variants,
    })
}

/// Returns a variant that syncs without a finding.
#[must_use]
pub fn variant(id: &str, price: i64) -> Value {
    json!({ "id": id, "sku": format!("SKU-{id}"), "price": price, "inventory": {"quantityOnHand": 5} })
}

/// Returns `count` variants in products of ten. Every second product has no brand.
#[must_use]
pub fn half_branded(count: usize) -> Vec<Value> {
    let each = |p: usize| {
        let variants: Vec<Value> = (0..10).map(|v| variant(&format!("v-{p:03}-{v}"), 10_000)).collect();
        let mut product = product(&format!("p-{p:03}"), &variants);
        if p % 2 == 1 {
            product["brand"] = Value::Null;
        }
        product
    };
    (0..count / 10).map(each).collect()
}
