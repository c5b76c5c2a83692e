//! The store: all state that must survive a restart, on SQLite (embedded) or PostgreSQL (shared by replicas).
//!
//! Promises: every function that takes a [`Tx`] runs inside that transaction and does one round trip per step, however
//! many rows it touches. Lookups return `Option`; a missing row is never an error.
//! Left out on purpose: decisions. What to push, skip or retry is decided in [`crate::domain`]; the store records it.
//!
//! One file per aggregate. The two databases share each statement (see [`sql`]).

pub mod api_token;
pub mod audit;
pub mod better_auth;
pub mod bulk;
pub mod catalog;
pub mod channel;
pub mod connect;
pub mod credential;
pub mod database;
pub mod database_url;
pub mod drift;
pub mod events;
pub mod exclusive;
pub mod field_set;
pub mod history;
pub mod intents;
pub mod issues;
pub mod items;
pub mod lease;
pub mod limiter;
pub mod lint;
mod list;
pub mod mapper;
pub mod oauth_state;
pub mod outbox;
pub mod ping;
pub mod preview;
pub mod private;
pub mod reask;
pub mod seal;
pub mod sealed;
pub mod sent_body;
pub mod settings;
pub mod source;
pub mod sql;
pub mod submission;
pub mod sync_state;
pub mod timeline;
pub mod variants;
pub mod webhook;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool};

pub use sql::Dialect;

/// Why a store operation failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused the query, or the query failed.
    #[error("the database query failed")]
    Database(#[from] sqlx::Error),
    /// Another process holds this SQLite database.
    #[error("{0}")]
    Held(String),
    /// Another transaction held a lock that this one needs for longer than this one waits. Nothing was written.
    #[error("{0}")]
    Busy(String),
    /// The URL is not one of a supported database, or its database cannot be opened.
    #[error("{0}")]
    Url(String),
    /// The schema migration failed.
    #[error("the schema migration failed")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// This process no longer holds the lease, or what the decision was based on changed. Nothing was committed.
    #[error("deposed: {0}")]
    Deposed(Deposed),
    /// Sealing or opening a secret failed.
    #[error(transparent)]
    Seal(#[from] seal::SealError),
    /// A stored value is not one that this version writes.
    #[error("this version cannot read {table}.{column}: {found}")]
    Corrupt {
        /// Table of the value.
        table: &'static str,
        /// Column of the value.
        column: &'static str,
        /// The value, or the error.
        found: String,
    },
}

impl StoreError {
    /// Returns whether the database is unavailable or busy, as opposed to having refused the query.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Busy(_) => true,
            Self::Database(
                sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::Tls(_),
            ) => true,
            // PostgreSQL's error codes for: connection lost, no free connection, starting or shutting down, lock timeout
            // behind another transaction.
            Self::Database(sqlx::Error::Database(said)) => {
                let code = said.code().unwrap_or_default();
                code.starts_with("08") || code.starts_with("57P") || ["53300", "55P03", "57014"].contains(&&*code)
            }
            _ => false,
        }
    }
}

/// What changed under a pipeline transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Deposed {
    /// The lease has another holder or epoch.
    #[error("another process runs the pipeline now")]
    Lease,
    /// `meta.catalog_id` changed.
    #[error("another catalog is selected now")]
    Catalog,
    /// The settings changed since the decision was made.
    #[error("the settings changed meanwhile")]
    Settings,
    /// The active mapper changed since the decision was made.
    #[error("another mapper is active now")]
    Mapper,
    /// The account was disconnected or reconnected since the token was read.
    #[error("the connection to Meta changed meanwhile")]
    Credential,
}

/// The result type of the store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A connected database. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Db {
    /// One writer connection and a separate pool of readers.
    Sqlite {
        /// The only connection that writes.
        writer: SqlitePool,
        /// Connections that never write.
        readers: SqlitePool,
    },
    /// A pool on the schema `meta_catalog`.
    Postgres {
        /// Connections for requests and intakes.
        pool: PgPool,
        /// The pipeline's own connections, with timeouts below the lease.
        pipeline: PgPool,
    },
}

impl Db {
    /// Returns the SQL dialect of this database.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } => Dialect::Sqlite,
            Self::Postgres { .. } => Dialect::Postgres,
        }
    }

    /// Returns a connection for reading. Each statement runs on its own.
    ///
    /// # Errors
    /// When no connection is available.
    pub async fn read(&self) -> Result<Tx> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Tx::Sqlite(SqliteTx::Plain(readers.acquire().await?)),
            Self::Postgres { pool, .. } => Tx::Postgres(PgTx::Plain(pool.acquire().await?)),
        })
    }

    /// Opens a connection for reading, of which a statement may change settings: on PostgreSQL they end with the
    /// transaction.
    ///
    /// # Errors
    /// When no connection is available.
    pub async fn read_apart(&self) -> Result<Tx> {
        match self {
            Self::Sqlite { .. } => self.read().await,
            Self::Postgres { .. } => self.write().await,
        }
    }

    /// Begins a transaction for reading: all its statements see one moment.
    ///
    /// # Errors
    /// When no connection is available.
    pub async fn snapshot(&self) -> Result<Tx> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Tx::Sqlite(SqliteTx::Transaction(readers.begin().await?)),
            Self::Postgres { pool, .. } => {
                let begun = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
                Tx::Postgres(PgTx::Transaction(begun))
            }
        })
    }

    /// Begins a transaction for writing. Dropping it without [`Tx::commit`] rolls it back.
    ///
    /// # Errors
    /// When no connection is available.
    pub async fn write(&self) -> Result<Tx> {
        Ok(match self {
            Self::Sqlite { writer, .. } => {
                let begun = writer.begin_with("BEGIN IMMEDIATE").await;
                Tx::Sqlite(SqliteTx::Transaction(begun.map_err(connect::another_writes)?))
            }
            Self::Postgres { pool, .. } => Tx::Postgres(PgTx::Transaction(pool.begin().await?)),
        })
    }

    /// Begins a transaction of the pipeline. Callers use [`lease::Fence::begin`].
    async fn write_pipeline(&self) -> Result<Tx> {
        Ok(match self {
            Self::Sqlite { .. } => self.write().await?,
            Self::Postgres { pipeline, .. } => Tx::Postgres(PgTx::Transaction(pipeline.begin().await?)),
        })
    }

    /// Closes every connection and waits for it.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres { pool, pipeline } => {
                pipeline.close().await;
                pool.close().await;
            }
        }
    }
}

/// A connection in use: a transaction, or a plain connection for reading.
#[derive(Debug)]
pub enum Tx {
    /// On SQLite.
    Sqlite(SqliteTx),
    /// On PostgreSQL.
    Postgres(PgTx),
}

/// A SQLite connection in use.
#[derive(Debug)]
pub enum SqliteTx {
    /// For reading, statement by statement.
    Plain(PoolConnection<Sqlite>),
    /// For writing, as one transaction.
    Transaction(sqlx::Transaction<'static, Sqlite>),
}

/// A PostgreSQL connection in use.
#[derive(Debug)]
pub enum PgTx {
    /// For reading, statement by statement.
    Plain(PoolConnection<Postgres>),
    /// For writing, as one transaction.
    Transaction(sqlx::Transaction<'static, Postgres>),
}

/// The bare connection of a [`Tx`], which the query macros match on.
pub(crate) enum Conn<'t> {
    Sqlite(&'t mut SqliteConnection),
    Postgres(&'t mut PgConnection),
}

impl Tx {
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(SqliteTx::Plain(connection)) => Conn::Sqlite(connection),
            Self::Sqlite(SqliteTx::Transaction(transaction)) => Conn::Sqlite(transaction),
            Self::Postgres(PgTx::Plain(connection)) => Conn::Postgres(connection),
            Self::Postgres(PgTx::Transaction(transaction)) => Conn::Postgres(transaction),
        }
    }

    /// Commits the transaction. A connection for reading is returned to the pool.
    ///
    /// # Errors
    /// When the database did not confirm the commit. Its outcome is then unknown.
    pub async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(SqliteTx::Transaction(transaction)) => transaction.commit().await?,
            Self::Postgres(PgTx::Transaction(transaction)) => transaction.commit().await?,
            Self::Sqlite(SqliteTx::Plain(_)) | Self::Postgres(PgTx::Plain(_)) => {}
        }
        Ok(())
    }
}

/// Runs one statement on either database and binds its arguments. The last argument is the sqlx call.
macro_rules! run {
    ($tx:expr, [$($query:tt)+], $sql:expr, [$($arg:expr),*], |$ready:ident, $connection:ident| $run:expr) => {
        match $tx.conn() {
            $crate::store::Conn::Sqlite($connection) => {
                let arguments = sqlx::sqlite::SqliteArguments::default();
                $(let arguments = $crate::store::list::with_sqlite(arguments, $arg)?;)*
                let $ready = $($query)+($crate::store::sql::text($crate::store::Dialect::Sqlite, $sql), arguments);
                $run
            }
            $crate::store::Conn::Postgres($connection) => {
                let arguments = sqlx::postgres::PgArguments::default();
                $(let arguments = $crate::store::list::with_postgres(arguments, $arg)?;)*
                let $ready = $($query)+($crate::store::sql::text($crate::store::Dialect::Postgres, $sql), arguments);
                $run
            }
        }
        .map_err($crate::store::StoreError::from)
    };
}

/// Runs a statement. Returns the number of affected rows.
macro_rules! execute {
    ($tx:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
        $crate::store::run!($tx, [sqlx::query_with], $sql, [$($arg),*], |ready, connection| {
            ready.execute(connection).await.map(|done| done.rows_affected())
        })
    };
}

/// Returns all rows, as a `FromRow` type.
macro_rules! fetch_all {
    ($tx:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        $crate::store::run!($tx, [sqlx::query_as_with::<_, $row, _>], $sql, [$($arg),*], |ready, connection| {
            ready.fetch_all(connection).await
        })
    };
}

/// Returns the row as a `FromRow` type, or `None`.
macro_rules! fetch_optional {
    ($tx:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        $crate::store::run!($tx, [sqlx::query_as_with::<_, $row, _>], $sql, [$($arg),*], |ready, connection| {
            ready.fetch_optional(connection).await
        })
    };
}

/// Returns the one row, as a `FromRow` type.
macro_rules! fetch_one {
    ($tx:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        $crate::store::run!($tx, [sqlx::query_as_with::<_, $row, _>], $sql, [$($arg),*], |ready, connection| {
            ready.fetch_one(connection).await
        })
    };
}

pub(crate) use {execute, fetch_all, fetch_one, fetch_optional, run};

/// Returns a list as the JSON text that `@ids` and `@rows` read.
pub(crate) fn json<T: serde::Serialize + ?Sized>(list: &T) -> Result<String> {
    serde_json::to_string(list).map_err(|error| StoreError::Corrupt {
        table: "(parameter)",
        column: "json",
        found: error.to_string(),
    })
}
