//! The storage conformance suite: one body, run against SQLite and against PostgreSQL.
//!
//! Each test is an `async fn(&TestDb) -> Done` named in its file's [`conformance!`], which makes two tests of it,
//! `sqlite::…` and `postgres::…`, each with a fresh database. A test that is forgotten there is dead code and fails
//! the lints. What only one database has (the lease between replicas, the functions for triggers) says so in its name.

mod audit;
mod catalog;
mod concurrency;
mod credential;
mod drift;
mod fan_out;
mod finds;
mod history;
mod keys;
mod lease;
mod lists;
mod migrations;
mod oauth;
mod outbox;
mod preview;
mod retention;
mod settings;
mod size;
mod small;
mod source;
mod submission;
mod sync_state;
mod timeline;
mod webhook;

use catalog_sync::store::connect::{Options, open};
use catalog_sync::store::seal::Keyring;
use catalog_sync::store::{Db, StoreError};
use tempfile::TempDir;

use testkit::postgres;

/// What a test answers; the error's debug form names the statement.
pub(crate) type Done = Result<(), StoreError>;

/// Some instant; tests count from it.
pub(crate) const NOW: i64 = 1_750_000_000_000;

/// Makes two tests of each function.
macro_rules! conformance {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let db = $crate::store::TestDb::sqlite().await;
                super::$name(&db).await.unwrap();
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let db = $crate::store::TestDb::postgres().await;
                super::$name(&db).await.unwrap();
            })+
        }
    };
}
pub(crate) use conformance;

/// A fresh database that the product itself opened.
pub(crate) struct TestDb {
    db: Db,
    pub(crate) url: String,
    /// Holds the SQLite file.
    _directory: Option<TempDir>,
}

impl std::ops::Deref for TestDb {
    type Target = Db;
    fn deref(&self) -> &Db {
        &self.db
    }
}

impl TestDb {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        // The folder in between does not exist: opening makes it.
        let url = format!("sqlite://{}", directory.path().join("data/store.db").display());
        Self { db: connect(&url).await, url, _directory: Some(directory) }
    }

    pub(crate) async fn postgres() -> Self {
        let url = postgres::database().await;
        Self { db: connect(&url).await, url, _directory: None }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.db, Db::Postgres { .. })
    }

    /// Runs statements as they are.
    pub(crate) async fn run(&self, sql: &'static str) -> Done {
        match &self.db {
            Db::Sqlite { writer, .. } => sqlx::raw_sql(sql).execute(writer).await.map(|_| ())?,
            Db::Postgres { pool, .. } => sqlx::raw_sql(sql).execute(pool).await.map(|_| ())?,
        }
        Ok(())
    }

    /// The one text column of a query.
    pub(crate) async fn texts(&self, sql: &'static str) -> Result<Vec<String>, StoreError> {
        Ok(match &self.db {
            Db::Sqlite { readers, .. } => sqlx::query_scalar(sql).fetch_all(readers).await?,
            Db::Postgres { pool, .. } => sqlx::query_scalar(sql).fetch_all(pool).await?,
        })
    }

    /// The one number of a query.
    pub(crate) async fn number(&self, sql: &'static str) -> Result<i64, StoreError> {
        Ok(match &self.db {
            Db::Sqlite { readers, .. } => sqlx::query_scalar(sql).fetch_one(readers).await?,
            Db::Postgres { pool, .. } => sqlx::query_scalar(sql).fetch_one(pool).await?,
        })
    }
}

async fn connect(url: &str) -> Db {
    open(url, &Options::default()).await.expect("an empty database opens")
}

/// A keyring of its own.
pub(crate) fn keyring() -> Keyring {
    Keyring::parse(&Keyring::generate().expect("randomness")).expect("a generated key is a key")
}

/// Owned ids.
pub(crate) fn ids(list: &[&str]) -> Vec<String> {
    list.iter().map(|&id| id.to_owned()).collect()
}
