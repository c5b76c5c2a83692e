//! A shop with a running service and a local Meta, on either database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use graph_simulator::{Handle, Simulator};
use meta_catalog::admin::bootstrap;
use meta_catalog::clock::{Clock as _, SharedClock, SystemClock};
use meta_catalog::config::Config;
use meta_catalog::demo::local_meta::LocalMeta;
use meta_catalog::demo::verify;
use meta_catalog::domain::credential::TokenKind;
use meta_catalog::domain::intent::{Intent, Origin};
use meta_catalog::domain::record::ProductRecord;
use meta_catalog::domain::state::SyncStatus;
use meta_catalog::intake::import;
use meta_catalog::startup::Service;
use meta_catalog::store::catalog::{self, Written};
use meta_catalog::store::credential::{Credential, Metadata};
use meta_catalog::store::settings::Changes;
use meta_catalog::store::{Db, credential, outbox, settings, sync_state};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::postgres;
use super::process::PATIENCE;

/// The catalog that is selected.
pub(crate) const CATALOG: &str = "4000000001";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Which database a test runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// The shop.
pub(crate) struct Shop {
    pub(crate) service: Service,
    pub(crate) meta: Handle,
    pub(crate) config: Config,
    clock: SharedClock,
    _folder: tempfile::TempDir,
}

impl Shop {
    /// A connected shop with an empty catalog; sync is on, calls are paced by budget with no quota to meet.
    pub(crate) async fn open(engine: Engine) -> Self {
        Self::open_with(engine, |_| Arc::new(SystemClock), |_| ()).await
    }

    /// As [`Shop::open`], with a clock made for this Meta and with a changed configuration.
    pub(crate) async fn open_with(
        engine: Engine,
        clock: impl FnOnce(&Handle) -> SharedClock,
        tune: impl FnOnce(&mut Config),
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let meta = Simulator::spawn(graph_simulator::Config::default()).await.expect("a simulator");
        meta.configure(|world| {
            world.times.processing_ms = 0;
            world.times.visible_after_ms = 0;
            world.quotas.batch_per_minute = 100_000;
        });
        let mut config = Config::default();
        config.listen = "127.0.0.1:0".parse().expect("an address");
        config.data_dir = folder.path().into();
        config.graph.base_url = meta.base_url().into();
        config.graph.dialog_base_url = meta.base_url().into();
        config.s3_public_url = "https://cdn.shop.example".into();
        config.limiter.batch_calls_per_minute = 60_000.try_into().expect("above zero");
        config.set_key_if_missing(KEY);
        if let Engine::Postgres = engine {
            config.set_database_url(postgres::database().await);
        }
        tune(&mut config);
        let clock = clock(&meta);
        let service = Service::start(&config, Arc::clone(&clock)).await.expect("a service");
        let shop = Self { service, meta, config, clock, _folder: folder };
        shop.connect().await;
        shop.set(json!({
            "app_id": "1000000001", "app_secret": "simulator-app-secret", "catalog_id": CATALOG,
            "storefront_base_url": "https://shop.example", "drain_pacing": "budget", "sync_enabled": true,
            "batch_size": 5000,
        }))
        .await;
        shop
    }

    /// Stops the service and starts it anew on the same database; `meanwhile` happens in between.
    pub(crate) async fn restart(self, meanwhile: impl FnOnce(&Handle)) -> Self {
        let Self { service, meta, config, clock, _folder } = self;
        service.shutdown().await.expect("a clean end");
        meanwhile(&meta);
        let service = Service::start(&config, Arc::clone(&clock)).await.expect("a service");
        Self { service, meta, config, clock, _folder }
    }

    pub(crate) fn db(&self) -> &Db {
        &self.service.app.db
    }

    /// Connects with the operator's token, as after the OAuth callback.
    pub(crate) async fn connect(&self) {
        let app = &self.service.app;
        let token = SecretString::from(self.meta.mint_token("2000000001", None));
        let new = Credential {
            account_id: "2000000001".into(),
            access_token: token.clone(),
            access_token_expires_at: None,
            user_token: Some(token),
            user_token_expires_at: None,
            scope: None,
            metadata: Metadata { token_kind: TokenKind::User, account_name: None },
            version: 0,
            connected_at: SystemClock.now(),
        };
        let mut tx = self.db().write().await.expect("a transaction");
        credential::replace(&mut tx, &app.keyring, &new, SystemClock.now()).await.expect("connected");
        tx.commit().await.expect("committed");
        app.tokens.forget();
    }

    /// Writes settings, as the PATCH does.
    pub(crate) async fn set(&self, values: Value) {
        let app = &self.service.app;
        let mut changes = Changes::default();
        for (key, value) in values.as_object().expect("an object") {
            if key == "app_secret" {
                changes.app_secret = value.as_str().map(SecretString::from);
            } else {
                changes.values.insert(key.clone(), (!value.is_null()).then(|| value.clone()));
            }
        }
        let mut tx = self.db().write().await.expect("a transaction");
        settings::write(&mut tx, &app.keyring, &changes, SystemClock.now()).await.expect("written");
        tx.commit().await.expect("committed");
        app.load_settings().await.expect("loaded");
        app.wake.drain.nudge();
        app.wake.poll.nudge();
    }

    /// Takes products in, as the import does.
    pub(crate) async fn import(&self, products: &[Value]) -> Written {
        let records: Vec<ProductRecord> =
            products.iter().map(|product| import::parse(product.to_string().as_bytes()).expect("a product")).collect();
        let mut tx = self.db().write().await.expect("a transaction");
        let written = catalog::write(&mut tx, &records, SystemClock.now()).await.expect("written");
        tx.commit().await.expect("committed");
        self.service.app.wake.drain.nudge();
        written
    }

    /// Queues intents, as an event or an operator does.
    pub(crate) async fn ask(&self, variants: &[&str], intent: Intent, origin: Origin) {
        let ids: Vec<String> = variants.iter().map(|id| (*id).to_owned()).collect();
        let mut tx = self.db().write().await.expect("a transaction");
        outbox::append(&mut tx, &ids, intent, origin, SystemClock.now()).await.expect("appended");
        tx.commit().await.expect("committed");
        self.service.app.wake.drain.nudge();
    }

    /// Queues every eligible variant, as the POST does.
    pub(crate) async fn bootstrap(&self) -> u64 {
        let count = bootstrap::bootstrap(&self.service.app).await.expect("begun");
        self.service.app.wake.drain.nudge();
        count
    }

    /// Waits until no live intent and no open submission remain.
    pub(crate) async fn settle(&self) {
        self.until("everything is settled", async || {
            self.service.app.wake.drain.nudge();
            self.service.app.wake.poll.nudge();
            // As one look: between two, a verdict could close a submission and ask again.
            let sql = "SELECT (SELECT COUNT(*) FROM meta_outbox
                               WHERE processed_at IS NULL AND parked_at IS NULL AND held_at IS NULL)
                            + (SELECT COUNT(*) FROM meta_batch_handles WHERE state IN ('pending', 'sending', 'late'))";
            let open: i64 = match self.db() {
                Db::Sqlite { readers, .. } => sqlx::query_scalar(sql).fetch_one(readers).await.expect("counted"),
                Db::Postgres { pool, .. } => sqlx::query_scalar(sql).fetch_one(pool).await.expect("counted"),
            };
            open == 0
        })
        .await;
    }

    /// Waits until a condition holds, looking often; fails after [`PATIENCE`].
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        while !holds().await {
            assert!(began.elapsed() < PATIENCE, "never came true: {what}; actors: {:?}", self.service.board);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until an actor has ended this many more ticks, woken as often as needed.
    pub(crate) async fn ticks(&self, actor: &str, more: u64) {
        let enough = self.ticked(actor) + more;
        self.until("the actor has ticked", async || {
            self.service.app.wake.drain.nudge();
            self.service.app.wake.poll.nudge();
            self.ticked(actor) >= enough
        })
        .await;
    }

    /// How many ticks an actor has ended.
    pub(crate) fn ticked(&self, actor: &str) -> u64 {
        self.service.board.get(actor).expect("an actor").ticks
    }

    /// The state of a variant.
    pub(crate) async fn status(&self, variant: &str) -> Option<SyncStatus> {
        let mut tx = self.db().read().await.expect("a connection");
        let held = sync_state::load(&mut tx, &[variant]).await.expect("loaded");
        held.get(variant).map(|held| held.status)
    }

    /// The error that a variant shows.
    pub(crate) async fn last_error(&self, variant: &str) -> Option<String> {
        let sql = "SELECT last_error FROM meta_sync_state WHERE variant_id = $1";
        match self.db() {
            Db::Sqlite { readers, .. } => {
                sqlx::query_scalar(sql).bind(variant).fetch_one(readers).await.expect("a row")
            }
            Db::Postgres { pool, .. } => sqlx::query_scalar(sql).bind(variant).fetch_one(pool).await.expect("a row"),
        }
    }

    /// An item as Meta holds it.
    pub(crate) fn item(&self, variant: &str) -> Option<Value> {
        self.meta.items(CATALOG).expect("the catalog").get(variant).cloned()
    }

    /// How many rows `items_batch` has seen, and in how many calls.
    pub(crate) fn batches(&self) -> u64 {
        self.meta.calls().items_batch
    }

    /// What must hold whenever everything is settled: Meta's items equal the mapper's word, and no row waits for a
    /// closed handle.
    pub(crate) async fn check(&self) {
        let settings = self.service.app.load_settings().await.expect("loaded");
        let map = settings.mapper.with(&self.config.s3_public_url);
        let meta = LocalMeta::attach(self.meta.base_url().into()).expect("attached");
        let (differ, told) =
            verify::mismatches(&meta, self.db(), CATALOG, &map, self.clock.now()).await.expect("compared");
        assert_eq!(differ, 0, "{told:#?}");
        let sql = "SELECT COUNT(*) FROM meta_sync_state s WHERE (status = 'submitted') <> EXISTS (
                       SELECT 1 FROM meta_batch_handles h WHERE h.handle = s.last_handle AND h.state = 'pending')";
        let stranded: i64 = match self.db() {
            Db::Sqlite { readers, .. } => sqlx::query_scalar(sql).fetch_one(readers).await.expect("counted"),
            Db::Postgres { pool, .. } => sqlx::query_scalar(sql).fetch_one(pool).await.expect("counted"),
        };
        assert_eq!(stranded, 0, "a row is submitted iff its last handle is open");
    }

    pub(crate) async fn close(self) {
        self.service.shutdown().await.expect("a clean end");
    }
}

/// A product that syncs without a complaint.
pub(crate) fn product(id: &str, variants: &[Value]) -> Value {
    json!({
        "id": id, "title": format!("Product {id}"), "description": "A thing.", "slug": id, "status": "active",
        "visibility": "public", "thumbnail": format!("{id}.jpg"), "brand": {"title": "Acme"}, "variants": variants,
    })
}

/// A variant that syncs without a complaint.
pub(crate) fn variant(id: &str, price: i64) -> Value {
    json!({ "id": id, "sku": format!("SKU-{id}"), "price": price, "inventory": {"quantityOnHand": 5} })
}
