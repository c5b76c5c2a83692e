//! The least that a database needs for the same work: bare SQL over all rows, with plain joins and without JSON lists.
//!
//! Promises: a floor works on copies of the tables, with their columns and indexes, and changes nothing of the service's.
//! It does what the phase has to leave behind, in chunks of a call, one statement after the other. It runs in a process
//! of its own with one connection, so that its memory is not the service's.
//! Left out on purpose: fences, checks, hashing and mapping.

use std::io::{self, BufRead as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use catalog_sync::store::connect;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use testkit::Row;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::shop;

/// The process that measures floors, unless a run goes without. It ends with this value.
pub(crate) struct Floors(Option<Measuring>);

struct Measuring {
    _process: Child,
    steps: ChildStdin,
    times: Lines<BufReader<ChildStdout>>,
}

impl Floors {
    /// Goes without.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Starts it on the service's database.
    pub(crate) async fn start(database: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("a path"))
            .args(["--floor", database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a process for the floors");
        let steps = process.stdin.take().expect("an input");
        let times = BufReader::new(process.stdout.take().expect("an output")).lines();
        let mut floors = Self(Some(Measuring { _process: process, steps, times }));
        floors.take("").await;
        floors
    }

    /// Takes these steps, separated by blanks, and returns the seconds.
    pub(crate) async fn take(&mut self, steps: &str) -> Option<f64> {
        let Self(Some(measuring)) = self else { return None };
        measuring.steps.write_all(format!("{steps}\n").as_bytes()).await.expect("the process of the floors runs");
        let time = measuring.times.next_line().await.expect("an output").expect("the floor is measured");
        Some(time.parse().expect("seconds"))
    }
}

/// Takes the steps of each line of the standard input and prints the seconds.
pub(crate) async fn serve(database: &str) {
    let mut floor = Floor::new(database).await;
    for line in io::stdin().lock().lines() {
        let line = line.expect("text");
        let began = Instant::now();
        for step in line.split_whitespace() {
            let (step, argument) = step.split_once('=').unwrap_or((step, ""));
            match step {
                "import" => floor.import().await,
                "analyze" => floor.analyze().await,
                "reprice" => floor.reprice().await,
                "queue" => floor.queue().await,
                "queue-below" => floor.queue_below(argument).await,
                "push" => floor.push().await,
                "pass" => floor.pass().await,
                "submit" => floor.submit_all().await,
                "poll" => floor.poll(argument.parse().expect("a number of calls")).await,
                other => panic!("no step {other}"),
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        floor.vacuum().await;
        println!("{seconds}");
    }
}

/// What an import writes.
const IMPORTED: [&str; 10] = [
    "vendor",
    "brand",
    "category",
    "product",
    "product_variant",
    "product_option",
    "product_option_value",
    "variant_option_value",
    "inventory_stock",
    "meta_sync_state",
];

/// The items of a call.
const CALL: i64 = shop::A_CALL as i64;

/// The copies of the tables.
struct Floor {
    database: Connection,
    submitted: Vec<Call>,
}

enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// A stretch of the copied outbox: the items of a call.
#[derive(Clone, Copy)]
struct Call {
    first: i64,
    last: i64,
}

impl Floor {
    /// Makes empty copies: a schema on PostgreSQL, an attached file on SQLite.
    async fn new(database: &str) -> Self {
        let mut floor = Self { database: open(database).await, submitted: Vec::new() };
        if floor.is_sqlite() {
            let path = database.trim_start_matches("sqlite://");
            let copies = Path::new(path).with_file_name("floor.db");
            let url = format!("sqlite://{}", copies.display());
            connect::open(&url, &connect::Options::default()).await.expect("a database").close().await;
            floor.sql(&format!("ATTACH '{}' AS floor", copies.display())).await;
        } else {
            floor.sql("SET search_path = meta_catalog").await;
            floor.sql("CREATE SCHEMA floor").await;
            for table in IMPORTED.iter().chain(&["meta_outbox"]) {
                // A column that is computed is copied as it is.
                let like = format!("LIKE meta_catalog.{table} INCLUDING ALL EXCLUDING GENERATED");
                floor.sql(&format!("CREATE TABLE floor.{table} ({like})")).await;
                // What the floors leave is not cleaned up while the service is measured.
                floor.sql(&format!("ALTER TABLE floor.{table} SET (autovacuum_enabled = false)")).await;
            }
        }
        floor
    }

    fn is_sqlite(&self) -> bool {
        matches!(self.database, Connection::Sqlite(_))
    }

    async fn sql(&mut self, sql: &str) {
        let query = AssertSqlSafe(sql.to_owned());
        match &mut self.database {
            Connection::Sqlite(database) => sqlx::query(query).execute(database).await.map(drop),
            Connection::Postgres(database) => sqlx::query(query).execute(database).await.map(drop),
        }
        .unwrap_or_else(|why| panic!("{sql}: {why}"));
    }

    async fn rows<R: Row>(&mut self, sql: &str) -> Vec<R> {
        let query = AssertSqlSafe(sql.to_owned());
        match &mut self.database {
            Connection::Sqlite(database) => sqlx::query_as(query).fetch_all(database).await,
            Connection::Postgres(database) => sqlx::query_as(query).fetch_all(database).await,
        }
        .unwrap_or_else(|why| panic!("{sql}: {why}"))
    }

    /// Writes every imported row once, and its intent.
    async fn import(&mut self) {
        for table in IMPORTED {
            let (columns, all) = self.columns(table).await;
            self.sql(&format!("INSERT INTO floor.{table}{columns} SELECT {all} FROM {table}")).await;
        }
        let over = if self.is_sqlite() { "" } else { "OVERRIDING SYSTEM VALUE" };
        self.sql(&format!("INSERT INTO floor.meta_outbox {over} SELECT * FROM meta_outbox")).await;
        if !self.is_sqlite() {
            // What is queued from now on comes behind the copied rows.
            self.sql(
                "SELECT setval(pg_get_serial_sequence('floor.meta_outbox', 'seq'),
                               (SELECT MAX(seq) FROM floor.meta_outbox))",
            )
            .await;
        }
    }

    /// Returns the columns that an `INSERT … SELECT` names: SQLite computes the others.
    async fn columns(&mut self, table: &str) -> (String, String) {
        if !self.is_sqlite() {
            return (String::new(), "*".into());
        }
        let named: Vec<(String,)> = self.rows(&format!("SELECT name FROM pragma_table_info('{table}')")).await;
        let named: Vec<String> = named.into_iter().map(|(name,)| name).collect();
        (format!(" ({})", named.join(", ")), named.join(", "))
    }

    /// Removes what earlier floors left behind on PostgreSQL.
    async fn vacuum(&mut self) {
        if !self.is_sqlite() {
            self.sql("VACUUM floor.product_variant, floor.meta_sync_state, floor.meta_outbox").await;
        }
    }

    /// Gives PostgreSQL statistics of the copies.
    async fn analyze(&mut self) {
        if !self.is_sqlite() {
            for table in IMPORTED.iter().chain(&["meta_outbox"]) {
                self.sql(&format!("ANALYZE floor.{table}")).await;
            }
        }
    }

    /// Writes another price to every variant, and an intent.
    async fn reprice(&mut self) {
        self.sql(
            "UPDATE floor.product_variant SET price = price + 1,
                 digest = '0123456789012345678901234567890123456789012345678901234567890123'",
        )
        .await;
        self.sql(
            "INSERT INTO floor.meta_outbox (variant_id, intent, origin, enqueued_at)
             SELECT id, 'upsert', 'import', 0 FROM floor.product_variant",
        )
        .await;
    }

    /// Queues every eligible variant.
    async fn queue(&mut self) {
        self.sql(
            "INSERT INTO floor.meta_outbox (variant_id, intent, origin, enqueued_at)
             SELECT variant_id, 'upsert', 'operator', 0 FROM variant_index
             WHERE status = 'active' AND visibility = 'public' AND NOT product_deleted AND NOT variant_deleted",
        )
        .await;
    }

    /// Queues the variants whose ids are below this one.
    async fn queue_below(&mut self, below: &str) {
        self.sql(&format!(
            "INSERT INTO floor.meta_outbox (variant_id, intent, origin, enqueued_at)
             SELECT id, 'upsert', 'event', 0 FROM product_variant WHERE id < '{below}'"
        ))
        .await;
    }

    /// Takes the copied outbox to its end, a call at a time: reads the source, records the call, records the verdict.
    async fn push(&mut self) {
        for call in self.calls().await {
            let asked = format!("JOIN floor.meta_outbox q ON q.variant_id = v.id WHERE {}", call.within("q.seq"));
            drop(self.rows::<Source>(&SOURCE.replace("{range}", &asked)).await);
            drop(self.rows::<Choice>(&OPTIONS.replace("{range}", &asked)).await);
            self.submit(call).await;
            self.judge(call).await;
        }
    }

    /// Records everything that is queued as sent.
    async fn submit_all(&mut self) {
        self.submitted = self.calls().await;
        for call in self.submitted.clone() {
            self.submit(call).await;
        }
    }

    /// Records the verdicts of this many calls.
    async fn poll(&mut self, calls: usize) {
        for call in self.submitted.clone().into_iter().take(calls) {
            self.judge(call).await;
        }
    }

    /// Reads the source of everything that is queued, and marks it, a call at a time.
    async fn pass(&mut self) {
        for call in self.calls().await {
            let asked = format!("JOIN floor.meta_outbox q ON q.variant_id = v.id WHERE {}", call.within("q.seq"));
            drop(self.rows::<Source>(&SOURCE.replace("{range}", &asked)).await);
            drop(self.rows::<Choice>(&OPTIONS.replace("{range}", &asked)).await);
            self.mark(call, "noop").await;
        }
    }

    /// Records a call.
    async fn submit(&mut self, call: Call) {
        self.sql(&format!(
            "UPDATE floor.meta_sync_state SET status = 'submitted', last_handle = 'h{}', last_pushed_at = 1,
             last_pushed_hash = '0123456789012345678901234567890123456789012345678901234567890123',
             catalog_id = '4000000001', meta_retailer_id = variant_id, at_meta = TRUE, version = version + 1
         WHERE variant_id IN (SELECT o.variant_id FROM floor.meta_outbox o WHERE {})",
            call.first,
            call.within("o.seq")
        ))
        .await;
        self.mark(call, "submitted").await;
    }

    /// Marks its intents.
    async fn mark(&mut self, call: Call, outcome: &str) {
        let range = call.within("seq");
        self.sql(&format!("UPDATE floor.meta_outbox SET processed_at = 1, outcome = '{outcome}' WHERE {range}")).await;
    }

    /// Records its verdict.
    async fn judge(&mut self, call: Call) {
        self.sql(&format!(
            "UPDATE floor.meta_sync_state SET status = 'synced', updated_at = 2, version = version + 1
         WHERE variant_id IN (SELECT o.variant_id FROM floor.meta_outbox o WHERE {})",
            call.within("o.seq")
        ))
        .await;
    }

    /// Returns the open intents, a call at a time.
    async fn calls(&mut self) -> Vec<Call> {
        let found: Vec<(Option<i64>, Option<i64>)> = self
            .rows(
                "SELECT MIN(seq), MAX(seq) FROM floor.meta_outbox
             WHERE processed_at IS NULL AND parked_at IS NULL AND held_at IS NULL",
            )
            .await;
        let Some(&(Some(first), Some(last))) = found.first() else { return Vec::new() };
        let step = usize::try_from(CALL).expect("small");
        (first..=last).step_by(step).map(|first| Call { first, last: last.min(first + CALL - 1) }).collect()
    }
}

/// Connects as the service does.
async fn open(database: &str) -> Connection {
    let Some(path) = database.strip_prefix("sqlite://") else {
        return Connection::Postgres(PgConnection::connect(database).await.expect("a connection"));
    };
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    Connection::Sqlite(SqliteConnection::connect_with(&options).await.expect("a connection"))
}

impl Call {
    fn within(self, column: &str) -> String {
        format!("{column} BETWEEN {} AND {}", self.first, self.last)
    }
}

/// What the mapper needs of a variant, in plain columns.
#[derive(sqlx::FromRow)]
#[expect(dead_code, reason = "they are read from the database")]
struct Source {
    variant: String,
    product: String,
    title: String,
    description: String,
    price: i64,
    brand: Option<String>,
    vendor: Option<String>,
    stock: Option<i64>,
    category: Option<String>,
    above: Option<String>,
    top: Option<String>,
}

/// A variant's value of an option.
type Choice = (String, String, String);

const SOURCE: &str = "SELECT v.id AS variant, p.id AS product, p.title, p.description, v.price, b.title AS brand,
        w.name AS vendor, i.quantity_on_hand AS stock, c.title AS category, d.title AS above, e.title AS top
    FROM product_variant v
    JOIN product p ON p.id = v.product_id
    LEFT JOIN brand b ON b.id = p.brand_id
    LEFT JOIN vendor w ON w.id = p.vendor_id
    LEFT JOIN category c ON c.id = p.category_id
    LEFT JOIN category d ON d.id = c.parent_id
    LEFT JOIN category e ON e.id = d.parent_id
    LEFT JOIN inventory_stock i ON i.variant_id = v.id
    {range}";

const OPTIONS: &str = "SELECT v.variant_id, o.name, c.value
    FROM (SELECT variant_id AS id, variant_id, option_value_id FROM variant_option_value) AS v
    JOIN product_option_value c ON c.id = v.option_value_id
    JOIN product_option o ON o.id = c.option_id
    {range}";
