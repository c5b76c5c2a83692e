//! Better-Auth's tables without a running Better-Auth, and the recorded sessions that fill them.

use serde::Deserialize;
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use std::collections::BTreeMap;

/// The content of `tests/better-auth/vectors.json`. Its `reading` field explains it.
#[derive(Debug, Deserialize)]
pub struct Vectors {
    /// Expected statuses by verdict and permission.
    pub verdicts: BTreeMap<String, BTreeMap<String, u16>>,
    /// SQL statements that create the tables, by schema.
    pub schemas: BTreeMap<String, String>,
    /// The recorded sessions.
    pub scenarios: Vec<Scenario>,
}

/// A recorded session and the requests made with it.
#[derive(Debug, Deserialize)]
pub struct Scenario {
    /// The name of the scenario.
    pub id: String,
    /// The schema of its tables.
    pub schema: String,
    /// The deployment that issued the session.
    pub deployment: Deployment,
    /// The time at which the requests are made.
    pub now: String,
    /// The row of the user; `None` when the user does not exist.
    pub user: Option<Map<String, Value>>,
    /// The row of the session; `None` when the session does not exist.
    pub session: Option<Map<String, Value>>,
    /// The row of the impersonating user; `None` without impersonation.
    pub impersonator: Option<Map<String, Value>>,
    /// Rows of another user.
    pub others: Option<Others>,
    /// The requests.
    pub requests: Vec<Asked>,
}

/// A user and a session other than the requested ones.
#[derive(Debug, Deserialize)]
pub struct Others {
    /// The row of the user.
    pub user: Map<String, Value>,
    /// The row of the session.
    pub session: Map<String, Value>,
}

/// The settings of a Better-Auth deployment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// The secret that signs cookies.
    pub secret: String,
    /// The name of the cookie.
    pub cookie_name: String,
    /// Whether a bearer token must be signed.
    pub bearer_requires_signature: bool,
}

/// A recorded request.
#[derive(Debug, Deserialize)]
pub struct Asked {
    /// The name of the request.
    pub id: String,
    /// The headers of the request.
    pub headers: BTreeMap<String, String>,
    /// The expected verdict.
    pub expect: String,
}

/// Reads the recorded sessions.
pub fn vectors() -> Vectors {
    let text = include_str!("../../../tests/better-auth/vectors.json");
    serde_json::from_str(text).expect("the vectors are of this form")
}

impl Scenario {
    /// Returns the scenario with this name.
    pub fn named(id: &str) -> Self {
        vectors().scenarios.into_iter().find(|scenario| scenario.id == id).expect("there is such a scenario")
    }

    /// Returns the time of the requests, in milliseconds.
    pub fn now(&self) -> i64 {
        self.now.parse::<jiff::Timestamp>().expect("a time").as_millisecond()
    }

    /// Returns the headers of one of the requests.
    pub fn headers(&self, request: &str) -> &BTreeMap<String, String> {
        &self.requests.iter().find(|asked| asked.id == request).expect("there is such a request").headers
    }
}

/// Returns the configuration of a service that trusts this deployment.
pub fn config(deployment: &Deployment, url: &str, more: &str) -> String {
    let Deployment { secret, cookie_name, bearer_requires_signature } = deployment;
    let raw_bearer = !bearer_requires_signature;
    format!(
        "[sessions]\nsecret = {secret:?}\ndatabase_url = {url:?}\ncookie_name = {cookie_name:?}\nraw_bearer = {raw_bearer}\n{more}\n"
    )
}

/// A database with Better-Auth's tables.
pub struct AuthDb {
    /// The URL of the database.
    pub url: String,
    pool: Pool,
    _folder: tempfile::TempDir,
}

enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl AuthDb {
    /// Creates an empty database on the engine that the schema's name begins with.
    pub async fn new(schema: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (url, pool) = if schema.starts_with("sqlite") {
            let url = format!("sqlite:{}", folder.path().join("auth.db").display());
            let options = url.parse::<sqlx::sqlite::SqliteConnectOptions>().expect("a URL").create_if_missing(true);
            (url, Pool::Sqlite(SqlitePool::connect_with(options).await.expect("it opens")))
        } else {
            let url = crate::postgres::database().await;
            let pool = PgPool::connect(&url).await.expect("it opens");
            (url, Pool::Postgres(pool))
        };
        let db = Self { url, pool, _folder: folder };
        db.run(&vectors().schemas[schema]).await;
        db
    }

    /// Runs statements.
    pub async fn run(&self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match &self.pool {
            Pool::Sqlite(pool) => sql.execute(pool).await.map(drop),
            Pool::Postgres(pool) => sql.execute(pool).await.map(drop),
        }
        .expect("it runs");
    }

    /// Replaces all rows with those of the scenario.
    pub async fn hold(&self, scenario: &Scenario) {
        self.run("DELETE FROM \"session\"; DELETE FROM \"user\"").await;
        let others = scenario.others.as_ref();
        let users = [scenario.user.as_ref(), scenario.impersonator.as_ref(), others.map(|others| &others.user)];
        for user in users.into_iter().flatten() {
            self.insert("user", user).await;
        }
        for session in [scenario.session.as_ref(), others.map(|others| &others.session)].into_iter().flatten() {
            self.insert("session", session).await;
        }
    }

    async fn insert(&self, table: &str, row: &Map<String, Value>) {
        match &self.pool {
            Pool::Postgres(pool) => {
                let sql = format!(
                    "INSERT INTO \"{table}\" SELECT * FROM jsonb_populate_record(NULL::\"{table}\", CAST($1 AS jsonb))"
                );
                let row = Value::Object(row.clone()).to_string();
                sqlx::query(AssertSqlSafe(sql)).bind(row).execute(pool).await.expect("inserted");
            }
            Pool::Sqlite(pool) => {
                let columns: Vec<_> = row.keys().map(|column| format!("\"{column}\"")).collect();
                let marks = vec!["?"; columns.len()].join(", ");
                let sql = format!("INSERT INTO \"{table}\" ({}) VALUES ({marks})", columns.join(", "));
                let query = row.values().fold(sqlx::query(AssertSqlSafe(sql)), |query, value| match value {
                    Value::Number(number) => query.bind(number.as_i64()),
                    other => query.bind(other.as_str().map(str::to_owned)),
                });
                query.execute(pool).await.expect("inserted");
            }
        }
    }
}
