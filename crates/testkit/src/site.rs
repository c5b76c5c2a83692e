//! The shared core of all variants: the store, the local Meta, and the actions of a shop and an operator on them.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use catalog_sync::admin::settings;
use catalog_sync::app::App;
use catalog_sync::clock::Millis;
use catalog_sync::domain::credential::TokenKind;
use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::domain::record::ProductRecord;
use catalog_sync::domain::state::SyncStatus;
use catalog_sync::intake::import;
use catalog_sync::store::catalog::{self, Written};
use catalog_sync::store::credential::{Credential, Metadata};
use catalog_sync::store::{Db, credential, outbox, sync_state};
use catalog_sync::verify::{self, Page};
use graph_simulator::{Handle, Simulator};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow};

use crate::postgres;

/// The key that seals secrets.
pub const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The catalog that is selected.
pub const CATALOG: &str = "4000000001";
/// The business of the catalogs.
pub const BUSINESS: &str = "3000000001";
/// The account of the operator at Meta.
pub const OPERATOR: &str = "2000000001";
/// The base URL of the shop's pictures.
pub const PICTURES: &str = "https://cdn.shop.example";

/// The database engine of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A file in the folder of the installation.
    Sqlite,
    /// A new database on the server of this process.
    Postgres,
}

impl Engine {
    /// Returns the URL of a new database. SQLite keeps it in this folder.
    pub async fn url(self, folder: &Path) -> String {
        match self {
            Self::Sqlite => format!("sqlite://{}", folder.join("shop.db").display()),
            Self::Postgres => postgres::database().await,
        }
    }
}

/// A row that both engines can return.
pub trait Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}
impl<R> Row for R where R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// The store, the local Meta, and the folder of an installation.
pub struct Site {
    /// The local Meta.
    pub meta: Handle,
    /// Store, keyring and configuration; a running service shares it.
    pub app: Arc<App>,
    /// Its files.
    pub folder: tempfile::TempDir,
}

/// Starts a local Meta that finishes a batch at once and has no quota.
pub(crate) async fn quick_meta() -> Handle {
    let meta = Simulator::spawn(graph_simulator::Config::default()).await.expect("a simulator");
    meta.configure(|world| {
        world.times.processing_ms = 0;
        world.times.visible_after_ms = 0;
    });
    meta
}

impl Site {
    /// Returns the store.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.app.db
    }

    /// Returns a folder for files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Connects with the operator's token, as after the OAuth callback.
    pub async fn connect(&self) {
        self.connect_until(None).await;
    }

    /// Connects with a token that expires after this many seconds.
    pub async fn connect_for(&self, seconds: i64) {
        self.connect_until(Some(seconds)).await;
    }

    async fn connect_until(&self, seconds: Option<i64>) {
        let now = self.app.now();
        let token = SecretString::from(self.meta.mint_token(OPERATOR, seconds));
        let expires_at = seconds.map(|seconds| now + seconds * 1_000);
        let new = Credential {
            account_id: OPERATOR.into(),
            access_token: token.clone(),
            access_token_expires_at: expires_at,
            user_token: Some(token),
            user_token_expires_at: expires_at,
            scope: None,
            metadata: Metadata { token_kind: TokenKind::User, account_name: None },
            version: 0,
            connected_at: now,
        };
        let mut tx = self.db().write().await.expect("a transaction");
        credential::replace(&mut tx, &self.app.keyring, &new, now).await.expect("connected");
        tx.commit().await.expect("committed");
        self.app.tokens.forget();
    }

    /// Removes the connection from the store.
    pub async fn disconnect(&self) {
        let mut tx = self.db().write().await.expect("a transaction");
        credential::delete(&mut tx).await.expect("disconnected");
        tx.commit().await.expect("committed");
        self.app.tokens.forget();
    }

    /// Changes settings through the use case behind the PATCH request.
    pub async fn set(&self, values: Value) {
        settings::patch(&self.app, values.as_object().expect("an object")).await.expect("the settings are taken");
    }

    /// Sets the app, the catalog, the other settings that sync needs, and `more`.
    pub(crate) async fn set_up(&self, more: Value) {
        let mut values = json!({
            "app_id": "1000000001", "app_secret": "simulator-app-secret", "catalog_id": CATALOG,
            "storefront_base_url": "https://shop.example", "drain_pacing": "budget", "sync_enabled": true,
            "batch_size": 5000,
            // A sweep makes calls of its own, which the tests of other parts count. A test of drift asks for it.
            "drift_sweep_hours": 0,
        });
        for (key, value) in more.as_object().expect("an object") {
            values[key] = value.clone();
        }
        self.set(values).await;
    }

    /// Imports products as the import does, and wakes no actor.
    pub async fn import(&self, products: &[Value]) -> Written {
        let records: Vec<ProductRecord> = products
            .iter()
            .map(|product| import::parse(product.to_string().as_bytes()).unwrap_or_else(|why| panic!("{why:?}")))
            .collect();
        let mut tx = self.db().write().await.expect("a transaction");
        let written = catalog::write(&mut tx, &records, self.app.now()).await.expect("written");
        tx.commit().await.expect("committed");
        written
    }

    /// Queues intents, as an event or an operator does, and wakes no actor.
    pub async fn ask(&self, variants: &[impl AsRef<str>], intent: Intent, origin: Origin) {
        let ids: Vec<String> = variants.iter().map(|id| id.as_ref().to_owned()).collect();
        let mut tx = self.db().write().await.expect("a transaction");
        outbox::append(&mut tx, &ids, intent, origin, self.app.now()).await.expect("appended");
        tx.commit().await.expect("committed");
    }

    /// Returns the status of a variant.
    pub async fn status(&self, variant: &str) -> Option<SyncStatus> {
        let mut tx = self.db().read().await.expect("a connection");
        let held = sync_state::load(&mut tx, &[variant]).await.expect("loaded");
        held.get(variant).map(|held| held.status)
    }

    /// Returns the error of a variant.
    pub async fn last_error(&self, variant: &str) -> Option<String> {
        let rows = self.rows_of("SELECT last_error FROM meta_sync_state WHERE variant_id = $1", variant).await;
        let [(error,)]: [(Option<String>,); 1] = rows.try_into().expect("one row");
        error
    }

    /// Returns an item at Meta.
    #[must_use]
    pub fn item(&self, variant: &str) -> Option<Value> {
        self.meta.items(CATALOG).expect("the catalog").get(variant).cloned()
    }

    /// Runs an SQL statement that changes data.
    pub async fn sql(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.db() {
            Db::Sqlite { writer, .. } => sqlx::query(sql).execute(writer).await.map(drop),
            Db::Postgres { pool, .. } => sqlx::query(sql).execute(pool).await.map(drop),
        }
        .expect("it runs");
    }

    /// Returns the rows of a query.
    pub async fn rows<R: Row>(&self, sql: &str) -> Vec<R> {
        rows(self.db(), sql).await
    }

    /// Returns the rows of a query with one parameter.
    pub async fn rows_of<R: Row>(&self, sql: &str, parameter: &str) -> Vec<R> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.db() {
            Db::Sqlite { readers, .. } => sqlx::query_as(sql).bind(parameter.to_owned()).fetch_all(readers).await,
            Db::Postgres { pool, .. } => sqlx::query_as(sql).bind(parameter.to_owned()).fetch_all(pool).await,
        }
        .expect("it runs")
    }

    /// Returns the result of a `SELECT COUNT(*)`.
    pub async fn count(&self, sql: &str) -> i64 {
        let [(count,)]: [(i64,); 1] = self.rows(sql).await.try_into().expect("one row");
        count
    }

    /// Returns the number of open intents and submissions. It is one query, because between two queries a verdict could
    /// close a submission and queue an intent.
    pub async fn open_work(&self) -> i64 {
        self.count(
            "SELECT (SELECT COUNT(*) FROM meta_outbox
                     WHERE processed_at IS NULL AND parked_at IS NULL AND held_at IS NULL)
                  + (SELECT COUNT(*) FROM meta_batch_handles WHERE state IN ('pending', 'sending', 'late'))",
        )
        .await
    }

    /// Returns the differences between Meta's items and the mapper's word at a time.
    pub async fn differences_at(&self, now: Millis) -> Vec<String> {
        let settings = self.app.load_settings().await.expect("loaded");
        let map = settings.mapper.with(&self.app.config.s3_public_url);
        let held = async |_, _| -> Result<Page, Infallible> {
            let items = self.meta.items(CATALOG).expect("the catalog");
            Ok(Page { items: items.into_iter().collect(), next: None })
        };
        let (differ, told) = verify::mismatches(held, self.db(), &map, now).await.expect("compared");
        assert_eq!(differ == 0, told.is_empty(), "{differ}: {told:#?}");
        told
    }

    /// Returns the number of rows that are `submitted` without an open handle, or not `submitted` with one.
    pub async fn stranded(&self) -> i64 {
        self.count(
            "SELECT COUNT(*) FROM meta_sync_state s WHERE (status = 'submitted') <> EXISTS (
                 SELECT 1 FROM meta_batch_handles h WHERE h.handle = s.last_handle AND h.state = 'pending')",
        )
        .await
    }

    /// Checks the invariants of a settled installation at a time: Meta's items equal the mapper's word, and no row
    /// waits for a closed handle.
    pub async fn check_at(&self, now: Millis) {
        let told = self.differences_at(now).await;
        assert!(told.is_empty(), "{told:#?}");
        assert_eq!(self.stranded().await, 0, "a row is submitted iff its last handle is open");
    }
}

/// Returns the rows of a query.
pub(crate) async fn rows<R: Row>(db: &Db, sql: &str) -> Vec<R> {
    let sql = AssertSqlSafe(sql.to_owned());
    match db {
        Db::Sqlite { readers, .. } => sqlx::query_as(sql).fetch_all(readers).await,
        Db::Postgres { pool, .. } => sqlx::query_as(sql).fetch_all(pool).await,
    }
    .expect("it runs")
}

/// Returns the body that selects one of the local Meta's catalogs.
#[must_use]
pub fn selection(catalog: &str) -> Value {
    json!({
        "businessId": BUSINESS,
        "businessName": "Acme Holdings",
        "catalogId": catalog,
        "catalogName": "Acme Master Catalog",
    })
}
