//! An installation whose service is another process: the files, the database and the local Meta, with the hands of a
//! shop and of an operator on the store. Kills and restarts leave it as it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use graph_simulator::{Handle, Simulator};
use meta_catalog::app::App;
use meta_catalog::clock::{Clock as _, SystemClock};
use meta_catalog::config::Config;
use meta_catalog::demo::local_meta::LocalMeta;
use meta_catalog::demo::verify;
use meta_catalog::domain::credential::TokenKind;
use meta_catalog::domain::intent::{Intent, Origin};
use meta_catalog::domain::record::ProductRecord;
use meta_catalog::domain::state::SyncStatus;
use meta_catalog::intake::import;
use meta_catalog::startup;
use meta_catalog::store::catalog::{self, Written};
use meta_catalog::store::credential::{Credential, Metadata};
use meta_catalog::store::settings::Changes;
use meta_catalog::store::{Db, credential, outbox, settings, submission, sync_state};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::process::{PATIENCE, Program, Serve};

/// The catalog that is selected.
pub(crate) const CATALOG: &str = "4000000001";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OPERATOR: &str = "2000000001";

/// The installation.
pub(crate) struct Plant {
    pub(crate) meta: Handle,
    /// Store, keyring and configuration, without actors: this process is a shop, not a replica.
    pub(crate) store: App,
    pub(crate) program: Program,
    pub(crate) config: PathBuf,
    clock: PathBuf,
    folder: tempfile::TempDir,
}

impl Plant {
    /// A connected shop with an empty catalog and no process; `database` is a PostgreSQL URL, or none for SQLite.
    pub(crate) async fn open(binary: &Path, database: Option<String>) -> Self {
        Self::open_with(binary, database, Duration::from_secs(6)).await
    }

    /// As [`Plant::open`], with a lease of whole seconds.
    pub(crate) async fn open_with(binary: &Path, database: Option<String>, lease: Duration) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let meta = Simulator::spawn(graph_simulator::Config::default()).await.expect("a simulator");
        meta.configure(|world| {
            world.times.processing_ms = 0;
            world.times.visible_after_ms = 0;
            world.quotas.batch_per_minute = 1_000_000;
            world.quotas.management_per_hour = 10_000_000;
            world.quotas.app_per_hour = 10_000_000;
        });
        let file = folder.path().join("meta-catalog.toml");
        let url = database.unwrap_or_else(|| format!("sqlite://{}", folder.path().join("shop.db").display()));
        let text = format!(
            "listen = '127.0.0.1:0'\ndatabase_url = '{url}'\nkey = '{KEY}'\nlease_seconds = {lease}\n\
             s3_public_url = 'https://cdn.shop.example'\n\
             [graph]\nbase_url = '{meta}'\ndialog_base_url = '{meta}'\nrequest_timeout_seconds = 2\n\
             [limiter]\nbatch_calls_per_minute = 60000\nmanagement_calls_per_hour = 60000000\n",
            meta = meta.base_url(),
            lease = lease.as_secs(),
        );
        std::fs::write(&file, text).expect("written");
        let config = Config::load(Some(&file), |_| None).expect("a configuration");
        let store = startup::build(&config, Arc::new(SystemClock)).await.expect("a store");
        let clock = folder.path().join("clock");
        let program = Program::new(binary).with("META_CATALOG_TEST_CLOCK", &clock);
        let plant = Self { meta, store, program, config: file, clock, folder };
        plant.connect(None).await;
        plant
            .set(json!({
                "app_id": "1000000001", "app_secret": "simulator-app-secret", "catalog_id": CATALOG,
                "storefront_base_url": "https://shop.example", "drain_pacing": "budget", "sync_enabled": true,
                "sync_interval_seconds": 10, "poll_interval_seconds": 10, "batch_size": 5000,
            }))
            .await;
        plant
    }

    /// Starts `serve` and waits until it listens.
    pub(crate) async fn serve(&self) -> Serve {
        let mut serve = self.program.serve(&self.config);
        serve.listening().await;
        assert!(serve.ended().is_none(), "{}", serve.log.text());
        serve
    }

    /// Starts `serve` with failpoints.
    pub(crate) fn serve_with(&self, failpoints: &str) -> Serve {
        self.program.with("FAILPOINTS", failpoints).serve(&self.config)
    }

    /// As [`Plant::serve_with`], with one more failpoint, at which a task stands still until [`Plant::go_on`].
    pub(crate) fn serve_waiting_at(&self, failpoint: &str, others: &str) -> Serve {
        let go = self.folder().join("go");
        // Of an earlier process.
        let _ = std::fs::remove_file(&go);
        self.serve_with(&format!("{failpoint}=wait:{},{others}", go.display()))
    }

    /// Ends the wait of [`Plant::serve_waiting_at`].
    pub(crate) fn go_on(&self) {
        std::fs::write(self.folder().join("go"), "").expect("written");
    }

    /// Puts the services' clock ahead of the machine's.
    pub(crate) fn ahead(&self, ms: i64) {
        std::fs::write(&self.clock, ms.to_string()).expect("written");
    }

    /// Ends the lease of a process that is gone, as waiting does.
    pub(crate) async fn lease_ends(&self) {
        if let Db::Postgres { pool, .. } = self.db() {
            let sql = "UPDATE lease SET expires_at = to_timestamp(0)";
            sqlx::query(sql).execute(pool).await.expect("updated");
        }
    }

    /// An API token with every permission.
    pub(crate) async fn token(&self) -> SecretString {
        let made = self.program.run(&["token", "create", "--role", "catalog-admin"], &self.config).await;
        SecretString::from(String::from_utf8(made.stdout).expect("text").trim())
    }

    /// A place for files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn db(&self) -> &Db {
        &self.store.db
    }

    /// Connects with the operator's token, as after the OAuth callback; it ends after so many seconds, if it does.
    pub(crate) async fn connect(&self, seconds: Option<i64>) {
        let token = SecretString::from(self.meta.mint_token(OPERATOR, seconds));
        let expires_at = seconds.map(|seconds| SystemClock.now() + seconds * 1_000);
        let new = Credential {
            account_id: OPERATOR.into(),
            access_token: token.clone(),
            access_token_expires_at: expires_at,
            user_token: Some(token),
            user_token_expires_at: expires_at,
            scope: None,
            metadata: Metadata { token_kind: TokenKind::User, account_name: None },
            version: 0,
            connected_at: SystemClock.now(),
        };
        let mut tx = self.db().write().await.expect("a transaction");
        credential::replace(&mut tx, &self.store.keyring, &new, SystemClock.now()).await.expect("connected");
        tx.commit().await.expect("committed");
    }

    /// Disconnects.
    pub(crate) async fn disconnect(&self) {
        let mut tx = self.db().write().await.expect("a transaction");
        credential::delete(&mut tx).await.expect("disconnected");
        tx.commit().await.expect("committed");
    }

    /// Writes settings, as the PATCH does.
    pub(crate) async fn set(&self, values: Value) {
        let mut changes = Changes::default();
        for (key, value) in values.as_object().expect("an object") {
            if key == "app_secret" {
                changes.app_secret = value.as_str().map(SecretString::from);
            } else {
                changes.values.insert(key.clone(), (!value.is_null()).then(|| value.clone()));
            }
        }
        let mut tx = self.db().write().await.expect("a transaction");
        settings::write(&mut tx, &self.store.keyring, &changes, SystemClock.now()).await.expect("written");
        tx.commit().await.expect("committed");
    }

    /// Takes products in, as the import does.
    pub(crate) async fn import(&self, products: &[Value]) -> Written {
        let records: Vec<ProductRecord> =
            products.iter().map(|product| import::parse(product.to_string().as_bytes()).expect("a product")).collect();
        let mut tx = self.db().write().await.expect("a transaction");
        let written = catalog::write(&mut tx, &records, SystemClock.now()).await.expect("written");
        tx.commit().await.expect("committed");
        written
    }

    /// Queues intents, as an event or an operator does.
    pub(crate) async fn ask(&self, variants: &[String], intent: Intent, origin: Origin) {
        let mut tx = self.db().write().await.expect("a transaction");
        outbox::append(&mut tx, variants, intent, origin, SystemClock.now()).await.expect("appended");
        tx.commit().await.expect("committed");
    }

    /// Makes a running service look at once instead of at its interval: a renewal of the lease learns of the new
    /// revision of the settings.
    pub(crate) async fn nudge(&self) {
        self.set(json!({})).await;
    }

    /// The services' time.
    pub(crate) fn now(&self) -> i64 {
        let ahead = std::fs::read_to_string(&self.clock).ok().and_then(|text| text.parse::<i64>().ok());
        SystemClock.now() + ahead.unwrap_or(0)
    }

    /// Whether no live intent, no open submission and no sale that is over remains. Releases what is held back.
    pub(crate) async fn settled(&self) -> bool {
        let mut tx = self.db().read().await.expect("a connection");
        if sync_state::windows_due(&mut tx, self.now()).await.expect("read") {
            return false;
        }
        let backlog = outbox::backlog(&mut tx).await.expect("counted");
        if backlog.held > 0 {
            // A long run deletes more within an hour than the mass-delete guard lets pass unasked.
            drop(tx);
            let mut tx = self.db().write().await.expect("a transaction");
            outbox::release_held(&mut tx, self.now()).await.expect("released");
            tx.commit().await.expect("committed");
            return false;
        }
        backlog.live == 0 && submission::open_counts(&mut tx).await.expect("counted") == (0, 0)
    }

    /// Waits until [`Plant::settled`].
    pub(crate) async fn settle(&self, serve: &Serve) {
        self.until("everything is settled", serve, async || self.settled().await).await;
    }

    /// Waits until a condition holds, looking often; fails after [`PATIENCE`] with what the process said.
    pub(crate) async fn until(&self, what: &str, serve: &Serve, mut holds: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        let mut nudged = Instant::now();
        while !holds().await {
            assert!(began.elapsed() < PATIENCE, "never came true: {what}\n{}", serve.log.text());
            if nudged.elapsed() > Duration::from_secs(1) {
                self.nudge().await;
                nudged = Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The state of a variant.
    pub(crate) async fn status(&self, variant: &str) -> Option<SyncStatus> {
        let mut tx = self.db().read().await.expect("a connection");
        let held = sync_state::load(&mut tx, &[variant]).await.expect("loaded");
        held.get(variant).map(|held| held.status)
    }

    /// An item as Meta holds it.
    pub(crate) fn item(&self, variant: &str) -> Option<Value> {
        self.meta.items(CATALOG).expect("the catalog").get(variant).cloned()
    }

    /// What differs between Meta's items and the mapper's word.
    pub(crate) async fn differences(&self) -> Vec<String> {
        let settings = self.store.load_settings().await.expect("loaded");
        let map = settings.mapper.with("https://cdn.shop.example");
        let meta = LocalMeta::attach(self.meta.base_url().into()).expect("attached");
        let compared = verify::mismatches(&meta, self.db(), CATALOG, &map, self.now()).await;
        let (_, told) = compared.expect("compared");
        told
    }

    /// Rows that are `submitted` without an open handle, or the other way round.
    pub(crate) async fn stranded(&self) -> i64 {
        self.count(
            "SELECT COUNT(*) FROM meta_sync_state s WHERE (status = 'submitted') <> EXISTS (
                 SELECT 1 FROM meta_batch_handles h WHERE h.handle = s.last_handle AND h.state = 'pending')",
        )
        .await
    }

    /// Variants with more than one open submission.
    pub(crate) async fn twice_open(&self) -> i64 {
        self.count(match self.db() {
            Db::Sqlite { .. } => {
                "SELECT COUNT(*) FROM (SELECT 1 FROM meta_batch_handles h, json_each(h.rows) r
                     WHERE h.state IN ('sending', 'pending')
                     GROUP BY json_extract(r.value, '$[0]') HAVING COUNT(*) > 1)"
            }
            Db::Postgres { .. } => {
                "SELECT COUNT(*) FROM (SELECT 1 FROM meta_batch_handles h, jsonb_array_elements(h.rows) r
                     WHERE h.state IN ('sending', 'pending') GROUP BY r.value ->> 0 HAVING COUNT(*) > 1) AS twice"
            }
        })
        .await
    }

    /// What a `SELECT COUNT(*)` answers.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        match self.db() {
            Db::Sqlite { readers, .. } => sqlx::query_scalar(sql).fetch_one(readers).await.expect("counted"),
            Db::Postgres { pool, .. } => sqlx::query_scalar(sql).fetch_one(pool).await.expect("counted"),
        }
    }

    /// What must hold whenever everything is settled.
    pub(crate) async fn check(&self) {
        let told = self.differences().await;
        assert!(told.is_empty(), "{told:#?}");
        assert_eq!(self.stranded().await, 0, "a row is submitted iff its last handle is open");
    }
}
