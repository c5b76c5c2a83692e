//! Better-Auth's own tables: the session of a token, and its user.
//!
//! Purpose: one query that returns what is known of a session token.
//! Promises: it reads and never writes. Each request runs one query and nothing is cached between requests, so a
//! revocation, a ban or a changed role takes effect at the next request. It returns a result or an error within
//! [`WITHIN`]. Opening does not connect, so this database may be unreachable at start.
//! Left out on purpose: verdicts (the HTTP API makes them), and Better-Auth's caches (the `session_data` cookie,
//! secondary storage), which outlive a revocation.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, FromRow};

use super::connect::sqlite_path;
use super::database_url::{self, UrlError};
use crate::clock::Millis;

/// The longest time a lookup may take.
pub const WITHIN: Duration = Duration::from_secs(2);
const CONNECTIONS: u32 = 5;

/// The names of the tables and columns. The default names are those that Better-Auth creates.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Names {
    /// The table of users. It may include a schema, as in `auth.user`.
    pub user_table: String,
    /// The table of sessions. It may include a schema.
    pub session_table: String,
    /// Key of a user.
    pub user_id: String,
    /// Roles of a user, as text.
    pub role: String,
    /// Whether a user is banned.
    pub banned: String,
    /// When the ban ends.
    pub ban_expires: String,
    /// Token of a session.
    pub token: String,
    /// Key of a session's user.
    pub session_user_id: String,
    /// When a session ends.
    pub expires_at: String,
    /// Key of the user who impersonates the session's user.
    pub impersonated_by: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            user_table: "user".into(),
            session_table: "session".into(),
            user_id: "id".into(),
            role: "role".into(),
            banned: "banned".into(),
            ban_expires: "banExpires".into(),
            token: "token".into(),
            session_user_id: "userId".into(),
            expires_at: "expiresAt".into(),
            impersonated_by: "impersonatedBy".into(),
        }
    }
}

/// Whether a user is banned, and until when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ban {
    /// The flag. It stays set after a ban has expired.
    pub banned: bool,
    /// The end of the ban. `None` means that it has no end.
    pub until: Option<Millis>,
}

/// What the tables hold about a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The user.
    pub user_id: String,
    /// The user's roles as stored: names joined by commas.
    pub role: Option<String>,
    /// The user's ban.
    pub ban: Ban,
    /// When the session ends.
    pub expires_at: Millis,
    /// The user who impersonates the session's user.
    pub impersonator: Option<Impersonator>,
}

/// The user who impersonates a session's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impersonator {
    /// Key of the user.
    pub id: String,
    /// The ban. `None` means that this user no longer exists.
    pub ban: Option<Ban>,
}

/// Why a session lookup failed.
#[derive(Debug, thiserror::Error)]
pub enum LookUpError {
    /// The lookup timed out.
    #[error("Better-Auth's database did not answer within {} s", WITHIN.as_secs())]
    Late,
    /// The database refused the query or is unreachable. A missing table or column usually has another name, which
    /// `sessions.names` must state.
    #[error("the query to Better-Auth's database failed")]
    Database(#[from] sqlx::Error),
    /// A stored value has an unknown format.
    #[error("Better-Auth's column {column} holds a value that this version cannot read as a time")]
    Unreadable {
        /// The column's name in the configuration.
        column: &'static str,
    },
}

/// The location of the tables.
pub enum Location {
    /// In a file.
    Sqlite(SqliteConnectOptions),
    /// On a server.
    Postgres(PgConnectOptions),
}

impl Location {
    /// Parses a URL.
    ///
    /// # Errors
    /// When the URL belongs to neither database or has a parameter that it does not take. The error does not repeat the URL, since it may hold a password.
    pub fn parse(url: &SecretString) -> Result<Self, UrlError> {
        let url = url.expose_secret();
        if let Some(path) = sqlite_path(url) {
            database_url::sqlite(url)?;
            if path.as_os_str().is_empty() {
                return Err(UrlError::Form);
            }
            let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(WITHIN);
            return Ok(Self::Sqlite(options));
        }
        let timeout = WITHIN.as_millis().to_string();
        let options = database_url::postgres(url)?
            .application_name("meta-catalog sessions")
            .options([("default_transaction_read_only", "on"), ("statement_timeout", timeout.as_str())]);
        Ok(Self::Postgres(options))
    }
}

/// A reader of the tables. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BetterAuthDb {
    pool: Pool,
    query: Arc<str>,
}

#[derive(Clone, Debug)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Every value as text: ids may be text, uuid or integer; times may be text or integer; flags may be boolean or
/// integer.
#[derive(Debug, FromRow)]
struct Row {
    user_id: String,
    role: Option<String>,
    banned: Option<String>,
    ban_expires: Option<String>,
    expires_at: Option<String>,
    impersonated_by: Option<String>,
    impersonator_id: Option<String>,
    impersonator_banned: Option<String>,
    impersonator_ban_expires: Option<String>,
}

impl BetterAuthDb {
    /// Creates a separate pool, which connects at the first lookup. Must be called inside the runtime.
    #[must_use]
    pub fn open(location: Location, names: &Names) -> Self {
        match location {
            Location::Sqlite(options) => {
                let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(WITHIN);
                Self { pool: Pool::Sqlite(pool.connect_lazy_with(options)), query: sqlite_query(names).into() }
            }
            Location::Postgres(options) => {
                let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(WITHIN);
                Self { pool: Pool::Postgres(pool.connect_lazy_with(options)), query: postgres_query(names).into() }
            }
        }
    }

    /// Returns what is known of the session with this token.
    ///
    /// # Errors
    /// When the lookup fails or takes longer than [`WITHIN`].
    pub async fn session(&self, token: &SecretString) -> Result<Option<Session>, LookUpError> {
        let row = tokio::time::timeout(WITHIN, self.fetch(token.expose_secret())).await;
        row.map_err(|_| LookUpError::Late)??.map(Session::try_from).transpose()
    }

    async fn fetch(&self, token: &str) -> Result<Option<Row>, sqlx::Error> {
        // The query consists only of identifiers from the configuration, each quoted.
        let query = AssertSqlSafe(Arc::clone(&self.query));
        match &self.pool {
            Pool::Sqlite(pool) => sqlx::query_as(query).bind(token).fetch_optional(pool).await,
            Pool::Postgres(pool) => sqlx::query_as(query).bind(token).fetch_optional(pool).await,
        }
    }

    /// Closes every connection and waits for it.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }
}

impl TryFrom<Row> for Session {
    type Error = LookUpError;
    fn try_from(row: Row) -> Result<Self, LookUpError> {
        let expires_at = time("expires_at", row.expires_at)?.ok_or(LookUpError::Unreadable { column: "expires_at" })?;
        let impersonator_ban = match row.impersonator_id {
            Some(_) => Some(ban(row.impersonator_banned, row.impersonator_ban_expires)?),
            None => None,
        };
        Ok(Self {
            user_id: row.user_id,
            role: row.role,
            ban: ban(row.banned, row.ban_expires)?,
            expires_at,
            impersonator: row.impersonated_by.map(|id| Impersonator { id, ban: impersonator_ban }),
        })
    }
}

/// Only values that clearly mean "no" count as not banned.
fn ban(banned: Option<String>, until: Option<String>) -> Result<Ban, LookUpError> {
    let banned = !matches!(banned.as_deref(), None | Some("0" | "f" | "false"));
    Ok(Ban { banned, until: time("ban_expires", until)? })
}

/// Reads a text as RFC 3339, or as a whole number of milliseconds or seconds since the epoch.
fn time(column: &'static str, text: Option<String>) -> Result<Option<Millis>, LookUpError> {
    /// In milliseconds this is the year 1973, in seconds the year 5138: no real session time is near either.
    const SECONDS_BELOW: i64 = 100_000_000_000;
    let Some(text) = text else { return Ok(None) };
    let parsed = match text.parse::<i64>() {
        Ok(number) if number.unsigned_abs() < SECONDS_BELOW.unsigned_abs() => Some(number * 1000),
        Ok(number) => Some(number),
        Err(_) => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond),
    };
    parsed.map(Some).ok_or(LookUpError::Unreadable { column })
}

fn sqlite_query(names: &Names) -> String {
    let [id, impersonated_by] = [&names.user_id, &names.impersonated_by].map(|column| quoted(column));
    // The index on the key is used: SQLite compares an integer key with the number in the text.
    let impersonator = format!("LEFT JOIN {} i ON i.{id} = s.{impersonated_by}", table_name(&names.user_table));
    query(names, |column| format!("CAST({column} AS TEXT)"), &impersonator)
}

fn postgres_query(names: &Names) -> String {
    // JavaScript's dates, and so the times of sessions, have millisecond precision. A `timestamp` without zone is UTC.
    let time = |column: &str| format!("CAST(floor(extract(epoch FROM {column}) * 1000) AS bigint)::text");
    let [id, banned, ban_expires, impersonated_by] =
        [&names.user_id, &names.banned, &names.ban_expires, &names.impersonated_by].map(|column| quoted(column));
    // The key may be text, uuid or integer, while the other column is always text; the cast prevents the use of the
    // index. With the limit, the planner evaluates the first condition once and scans only for impersonated sessions.
    // The columns are named because the database role may have access to no others.
    let impersonator = format!(
        "LEFT JOIN LATERAL (SELECT x.{id}, x.{banned}, x.{ban_expires} FROM {} x
                             WHERE s.{impersonated_by} IS NOT NULL AND CAST(x.{id} AS TEXT) = s.{impersonated_by}
                             LIMIT 1) i ON TRUE",
        table_name(&names.user_table)
    );
    query(names, time, &impersonator)
}

fn query(names: &Names, time: impl Fn(&str) -> String, impersonator: &str) -> String {
    let [user, session] = [&names.user_table, &names.session_table].map(|table| table_name(table));
    let [id, role, banned, ban_expires] =
        [&names.user_id, &names.role, &names.banned, &names.ban_expires].map(|column| quoted(column));
    let [token, user_id, expires_at, impersonated_by] =
        [&names.token, &names.session_user_id, &names.expires_at, &names.impersonated_by].map(|column| quoted(column));
    let ends = time(&format!("s.{expires_at}"));
    let ban_ends = time(&format!("u.{ban_expires}"));
    let impersonator_ban_ends = time(&format!("i.{ban_expires}"));
    format!(
        "SELECT CAST(u.{id} AS TEXT) AS user_id, CAST(u.{role} AS TEXT) AS role, CAST(u.{banned} AS TEXT) AS banned,
                {ban_ends} AS ban_expires, {ends} AS expires_at, CAST(s.{impersonated_by} AS TEXT) AS impersonated_by,
                CAST(i.{id} AS TEXT) AS impersonator_id, CAST(i.{banned} AS TEXT) AS impersonator_banned,
                {impersonator_ban_ends} AS impersonator_ban_expires
           FROM {session} s
           JOIN {user} u ON u.{id} = s.{user_id}
           {impersonator}
          WHERE s.{token} = $1"
    )
}

fn table_name(table: &str) -> String {
    table.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form_they_come_in() {
        let read = |text: &str| time("expires_at", Some(text.into())).map_err(|_| ());
        assert_eq!(read("2026-12-01T07:10:49.460Z"), Ok(Some(1_796_109_049_460)));
        assert_eq!(read("2026-12-01T08:10:49.460+01:00"), Ok(Some(1_796_109_049_460)));
        assert_eq!(read("1796109049460"), Ok(Some(1_796_109_049_460)));
        assert_eq!(read("1796109049"), Ok(Some(1_796_109_049_000)));
        for unknown in ["", "tomorrow", "1796109049.5", "2026-12-01", "2026-12-01 07:10:49"] {
            assert_eq!(read(unknown), Err(()), "{unknown}");
        }
        assert_eq!(time("expires_at", None).map_err(|_| ()), Ok(None));
    }

    #[test]
    fn only_what_plainly_says_no_is_no_ban() {
        let banned = |text: Option<&str>| ban(text.map(str::to_owned), None).expect("a readable ban").banned;
        assert!(![None, Some("0"), Some("f"), Some("false")].into_iter().any(banned));
        assert!([Some("1"), Some("t"), Some("true"), Some(""), Some("yes")].into_iter().all(banned));
    }

    #[test]
    fn a_name_cannot_break_out_of_its_quotes() {
        assert_eq!(table_name("auth.user"), r#""auth"."user""#);
        assert_eq!(quoted(r#"a" OR "1"#), r#""a"" OR ""1""#);
    }

    #[test]
    fn only_urls_of_the_two_databases_are_taken() {
        let taken = |url: &str| Location::parse(&url.into()).is_ok();
        assert!(["sqlite:a.db", "sqlite:///a.db", "postgres://h/d", "postgresql://h/d"].into_iter().all(taken));
        assert!(!["", "mysql://h/d", "sqlite://", "sqlite:", "postgres:/h", "a.db"].into_iter().any(taken));
    }
}
