//! Opening a database: from a URL to a migrated [`Db`].

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, PgConnection};

use super::database_url::UrlError;
use super::{Db, Result, StoreError, database_url, fetch_optional, private};

static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/sqlite");
static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/postgres");

/// The PostgreSQL schema of all tables of this service.
pub const SCHEMA: &str = "meta_catalog";

/// How long a SQLite transaction waits for another program's write.
const SQLITE_WAITS: Duration = Duration::from_secs(10);

/// Connection options.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections for requests and intakes.
    pub pool: u32,
    /// How long a lease lasts; the pipeline's timeouts are derived from it.
    pub lease: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { pool: 10, lease: Duration::from_secs(30) }
    }
}

/// Opens the database at a `sqlite://` or `postgres://` URL and brings its schema up to date.
///
/// # Errors
/// When the URL is of no supported kind, the database is unreachable, or a migration fails.
pub async fn open(url: &str, options: &Options) -> Result<Db> {
    let db = connect(url, options).await?;
    match &db {
        Db::Sqlite { writer, .. } => SQLITE.run(writer).await?,
        Db::Postgres { pool, .. } => POSTGRES.run(pool).await?,
    }
    Ok(db)
}

async fn connect(url: &str, options: &Options) -> Result<Db> {
    if let Some(path) = sqlite_path(url) {
        database_url::sqlite(url).map_err(unusable)?;
        // Each connection to `:memory:` opens a separate database.
        if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
            return Err(StoreError::Url("a SQLite URL must name a file, such as sqlite://data/meta-catalog.db".into()));
        }
        return connect_sqlite(&path).await;
    }
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(StoreError::Url(
            "the database URL must start with sqlite:// or postgres://, such as sqlite://data/meta-catalog.db".into(),
        ));
    }
    let postgres = database_url::postgres(url).map_err(unusable)?.application_name("meta-catalog");
    let mut first = PgConnection::connect_with(&postgres).await?;
    create_schema(&mut first).await?;
    first.close().await?;

    // Compiling a statement takes longer than running any of these. They look rows up by key, mostly in memory: with the
    // default cost of a random page PostgreSQL reads a table of a few pages whole for each row.
    let postgres =
        postgres.options([("search_path", "meta_catalog,public"), ("jit", "off"), ("random_page_cost", "1.1")]);
    let third = (options.lease / 3).as_millis().to_string();
    let statement = (options.lease * 3 / 10).as_millis().to_string();
    let pipeline = postgres.clone().options([
        ("idle_in_transaction_session_timeout", third.as_str()),
        ("statement_timeout", statement.as_str()),
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "2"),
        ("tcp_keepalives_count", "3"),
    ]);
    let acquire = Duration::from_secs(5);
    Ok(Db::Postgres {
        pool: PgPoolOptions::new()
            .max_connections(options.pool)
            .acquire_timeout(acquire)
            .connect_with(postgres)
            .await?,
        pipeline: PgPoolOptions::new().max_connections(4).acquire_timeout(acquire).connect_lazy_with(pipeline),
    })
}

/// The URL may hold a password: the error does not repeat it.
fn unusable(error: UrlError) -> StoreError {
    StoreError::Url(format!("the database URL cannot be used: {error}"))
}

/// Creates the schema. Replicas that start at the same time run this one after the other: `IF NOT EXISTS` checks before
/// it creates, so the second one would fail. When the schema exists, no right to create one is needed.
async fn create_schema(connection: &mut PgConnection) -> Result<()> {
    let mut tx = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('meta_catalog schema'))").execute(&mut *tx).await?;
    let known: Option<i32> = sqlx::query_scalar("SELECT 1 FROM pg_namespace WHERE nspname = 'meta_catalog'")
        .fetch_optional(&mut *tx)
        .await?;
    if known.is_none() {
        sqlx::query("CREATE SCHEMA meta_catalog").execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn connect_sqlite(path: &Path) -> Result<Db> {
    make_folder(path)?;
    private::claim_database(path)
        .map_err(|error| StoreError::Url(format!("cannot open the database file {}: {error}", path.display())))?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // FULL: a confirmed commit survives a power failure. NORMAL may lose it in WAL mode.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(SQLITE_WAITS)
        .statement_cache_capacity(200);
    let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(4)
        .connect_with(options.create_if_missing(false).pragma("query_only", "ON"))
        .await?;
    Ok(Db::Sqlite { writer, readers })
}

/// Returns why a SQLite transaction did not begin. The error tells the caller when another program is writing.
pub(super) fn another_writes(error: sqlx::Error) -> StoreError {
    // SQLITE_BUSY. Extended codes hold it in their lowest byte.
    let busy = |code: &str| code.parse().is_ok_and(|code: i32| code & 0xff == 5);
    match &error {
        sqlx::Error::Database(said) if said.code().is_some_and(|code| busy(&code)) => StoreError::Busy(format!(
            "another program, such as an import, has been writing to the database for {} s; nothing was changed: try \
             again when it has finished",
            SQLITE_WAITS.as_secs()
        )),
        _ => error.into(),
    }
}

fn make_folder(path: &Path) -> Result<()> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else { return Ok(()) };
    private::make_folder(parent)
        .map_err(|error| StoreError::Url(format!("cannot create the folder {}: {error}", parent.display())))
}

/// Returns the file of a `sqlite://` URL, or `None` for another database.
#[must_use]
pub fn sqlite_path(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"))?;
    Some(PathBuf::from(rest.split('?').next().unwrap_or(rest)))
}

/// Takes the lock that makes this process the only one to run the pipeline on a SQLite database. It is held until
/// dropped.
///
/// # Errors
/// [`StoreError::Held`] when another process holds it.
pub fn lock_sqlite(path: &Path) -> Result<File> {
    make_folder(path)?;
    let lock = path.with_extension("lock");
    let file = private::open_lock(&lock)
        .map_err(|error| StoreError::Url(format!("cannot open the lock file {}: {error}", lock.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Held(format!(
            "another meta-catalog process runs on {}; stop it first, or use PostgreSQL for several replicas",
            path.display()
        ))),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(StoreError::Url(format!("cannot lock {}: {error}", lock.display())))
        }
    }
}

/// Returns whether the database holds no data of this service apart from the schema.
///
/// # Errors
/// When the database cannot be opened.
pub async fn is_empty(url: &str, options: &Options) -> Result<bool> {
    if sqlite_path(url).is_some_and(|path| !path.exists()) {
        return Ok(true);
    }
    let db = open(url, options).await?;
    let mut tx = db.read().await?;
    let row: Option<(i64,)> = fetch_optional!(
        tx,
        (i64,),
        "SELECT CAST(1 AS BIGINT) WHERE EXISTS (SELECT 1 FROM product) OR EXISTS (SELECT 1 FROM meta_sync_state)
             OR EXISTS (SELECT 1 FROM meta_outbox) OR EXISTS (SELECT 1 FROM integration_credentials)
             OR EXISTS (SELECT 1 FROM setting)"
    )?;
    drop(tx);
    db.close().await;
    Ok(row.is_none())
}

/// Removes all data of this service: the schema `meta_catalog`, or the SQLite file.
///
/// # Errors
/// When the database refuses it.
pub async fn reset(url: &str) -> Result<()> {
    if let Some(path) = sqlite_path(url) {
        for suffix in ["", "-wal", "-shm"] {
            let mut file = path.clone().into_os_string();
            file.push(suffix);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::Url(format!("cannot remove {}: {error}", Path::new(&file).display())));
                }
                _ => {}
            }
        }
        return Ok(());
    }
    let options = database_url::postgres(url).map_err(unusable)?;
    let mut connection = PgConnection::connect_with(&options).await?;
    sqlx::query("DROP SCHEMA IF EXISTS meta_catalog CASCADE").execute(&mut connection).await?;
    Ok(connection.close().await?)
}
