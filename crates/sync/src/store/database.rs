//! The database itself: what it is, and how large.

use super::{Db, Dialect, Result, fetch_one};

/// What is known of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// `sqlite` or `postgres`.
    pub engine: &'static str,
    /// The version that it tells.
    pub version: String,
    /// Its size in bytes, with everything else that is in it.
    pub bytes: i64,
    /// The number of the last migration.
    pub migration: i64,
}

/// Returns what is known of the database.
///
/// # Errors
/// When the database query fails.
pub async fn describe(db: &Db) -> Result<Database> {
    let mut tx = db.read().await?;
    let (version, bytes, migration): (String, i64, i64) = fetch_one!(
        tx,
        (String, i64, i64),
        "SELECT @pg{current_setting('server_version')}@sqlite{sqlite_version()},
                @pg{pg_database_size(current_database())}@sqlite{(SELECT page_count * page_size FROM pragma_page_count, pragma_page_size)},
                (SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations)"
    )?;
    let engine = match db.dialect() {
        Dialect::Sqlite => "sqlite",
        Dialect::Postgres => "postgres",
    };
    Ok(Database { engine, version, bytes, migration })
}
