//! The least that a database needs for the same work: bare SQL over all rows, with plain joins and without JSON lists.
//!
//! Promises: a floor works on copies of the tables, with their columns and indexes, and changes nothing of the service's.
//! It does what the phase has to leave behind, in chunks of a call, one statement after the other.
//! Left out on purpose: fences, checks, hashing and mapping, and that a pass marks its intents.

use catalog_sync::store::{Db, connect};
use sqlx::AssertSqlSafe;
use testkit::{Engine, Row, Shop};

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
const CALL: i64 = 5_000;

/// The copies of the tables.
pub(crate) struct Floor {
    engine: Engine,
}

/// A stretch of the copied outbox: the items of a call.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    first: i64,
    last: i64,
}

impl Floor {
    /// Makes empty copies: a schema on PostgreSQL, an attached file on SQLite.
    pub(crate) async fn new(shop: &Shop, engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let path = shop.folder().join("floor.db");
                let url = format!("sqlite://{}", path.display());
                connect::open(&url, &connect::Options::default()).await.expect("a database").close().await;
                shop.sql(&format!("ATTACH '{}' AS floor", path.display())).await;
            }
            Engine::Postgres => {
                shop.sql("CREATE SCHEMA floor").await;
                for table in IMPORTED.iter().chain(&["meta_outbox"]) {
                    shop.sql(&format!("CREATE TABLE floor.{table} (LIKE meta_catalog.{table} INCLUDING ALL)")).await;
                }
            }
        }
        Self { engine }
    }

    /// Writes every imported row once, and its intent.
    pub(crate) async fn import(&self, shop: &Shop) {
        for table in IMPORTED {
            shop.sql(&format!("INSERT INTO floor.{table} SELECT * FROM {table}")).await;
        }
        let over = match self.engine {
            Engine::Sqlite => "",
            Engine::Postgres => "OVERRIDING SYSTEM VALUE",
        };
        shop.sql(&format!("INSERT INTO floor.meta_outbox {over} SELECT * FROM meta_outbox")).await;
        if matches!(self.engine, Engine::Postgres) {
            // What is queued from now on comes behind the copied rows.
            shop.sql(
                "SELECT setval(pg_get_serial_sequence('floor.meta_outbox', 'seq'),
                               (SELECT MAX(seq) FROM floor.meta_outbox))",
            )
            .await;
        }
    }

    /// Gives PostgreSQL statistics of the copies.
    pub(crate) async fn see(&self, shop: &Shop) {
        if matches!(self.engine, Engine::Postgres) {
            for table in IMPORTED.iter().chain(&["meta_outbox"]) {
                shop.sql(&format!("ANALYZE floor.{table}")).await;
            }
        }
    }

    /// Writes another price to every variant, and an intent.
    pub(crate) async fn reprice(&self, shop: &Shop) {
        shop.sql(
            "UPDATE floor.product_variant SET price = price + 1,
                 digest = '0123456789012345678901234567890123456789012345678901234567890123'",
        )
        .await;
        shop.sql(
            "INSERT INTO floor.meta_outbox (variant_id, intent, origin, enqueued_at)
             SELECT id, 'upsert', 'import', 0 FROM floor.product_variant",
        )
        .await;
    }

    /// Queues every eligible variant.
    pub(crate) async fn queue(&self, shop: &Shop) {
        shop.sql(
            "INSERT INTO floor.meta_outbox (variant_id, intent, origin, enqueued_at)
             SELECT variant_id, 'upsert', 'operator', 0 FROM variant_index
             WHERE status = 'active' AND visibility = 'public' AND NOT product_deleted AND NOT variant_deleted",
        )
        .await;
    }

    /// Queues the variants whose ids are below this one.
    pub(crate) async fn queue_below(&self, shop: &Shop, below: &str) {
        shop.sql(&format!(
            "INSERT INTO floor.meta_outbox (variant_id, intent, origin, enqueued_at)
             SELECT id, 'upsert', 'event', 0 FROM product_variant WHERE id < '{below}'"
        ))
        .await;
    }

    /// Removes what is queued.
    pub(crate) async fn unqueue(&self, shop: &Shop) {
        shop.sql("DELETE FROM floor.meta_outbox WHERE processed_at IS NULL").await;
    }

    /// Takes the copied outbox to its end, a call at a time: reads the source, records the call, records the verdict.
    pub(crate) async fn push(&self, shop: &Shop) {
        for call in self.calls(shop).await {
            let source = SOURCE.replace(
                "{range}",
                &format!("JOIN floor.meta_outbox o ON o.variant_id = v.id WHERE {}", call.within("o.seq")),
            );
            drop(rows::<Source>(shop, &source).await);
            submit(shop, call).await;
            judge(shop, call).await;
        }
    }

    /// Records everything that is queued as sent; returns the calls.
    pub(crate) async fn submit(&self, shop: &Shop) -> Vec<Call> {
        let calls = self.calls(shop).await;
        for &call in &calls {
            submit(shop, call).await;
        }
        calls
    }

    /// Records the verdicts.
    pub(crate) async fn poll(&self, shop: &Shop, calls: &[Call]) {
        for &call in calls {
            judge(shop, call).await;
        }
    }

    /// Reads the whole source once, a call at a time.
    pub(crate) async fn pass(&self, shop: &Shop) {
        let mut after = String::new();
        loop {
            let range = format!("WHERE v.id > '{after}' ORDER BY v.id LIMIT {CALL}");
            let rows: Vec<Source> = shop.rows(&SOURCE.replace("{range}", &range)).await;
            let Some(last) = rows.last() else { return };
            after.clone_from(&last.0);
        }
    }

    /// Returns the open intents, a call at a time.
    async fn calls(&self, shop: &Shop) -> Vec<Call> {
        let found: Vec<(Option<i64>, Option<i64>)> = rows(
            shop,
            "SELECT MIN(seq), MAX(seq) FROM floor.meta_outbox
             WHERE processed_at IS NULL AND parked_at IS NULL AND held_at IS NULL",
        )
        .await;
        let Some(&(Some(first), Some(last))) = found.first() else { return Vec::new() };
        let step = usize::try_from(CALL).expect("small");
        (first..=last).step_by(step).map(|first| Call { first, last: last.min(first + CALL - 1) }).collect()
    }
}

impl Call {
    fn within(self, column: &str) -> String {
        format!("{column} BETWEEN {} AND {}", self.first, self.last)
    }
}

async fn submit(shop: &Shop, call: Call) {
    shop.sql(&format!(
        "UPDATE floor.meta_sync_state SET status = 'submitted', last_handle = 'h{}', last_pushed_at = 1,
             last_pushed_hash = '0123456789012345678901234567890123456789012345678901234567890123',
             catalog_id = '4000000001', meta_retailer_id = variant_id, at_meta = TRUE, version = version + 1
         WHERE variant_id IN (SELECT o.variant_id FROM floor.meta_outbox o WHERE {})",
        call.first,
        call.within("o.seq")
    ))
    .await;
    let range = call.within("seq");
    shop.sql(&format!("UPDATE floor.meta_outbox SET processed_at = 1, outcome = 'submitted' WHERE {range}")).await;
}

async fn judge(shop: &Shop, call: Call) {
    shop.sql(&format!(
        "UPDATE floor.meta_sync_state SET status = 'synced', updated_at = 2, version = version + 1
         WHERE last_handle = 'h{}' AND status = 'submitted'",
        call.first
    ))
    .await;
}

/// Returns the rows of a query on the copies. On SQLite, only the writing connection has them.
async fn rows<R: Row>(shop: &Shop, sql: &str) -> Vec<R> {
    match shop.db() {
        Db::Sqlite { writer, .. } => {
            sqlx::query_as(AssertSqlSafe(sql.to_owned())).fetch_all(writer).await.expect("it runs")
        }
        Db::Postgres { .. } => shop.rows(sql).await,
    }
}

/// What the mapper needs of a variant, in plain columns.
type Source = (String, String, String, String, i64, Option<String>, Option<String>, Option<i64>, Option<String>);

const SOURCE: &str = "SELECT v.id, p.id, p.title, p.description, v.price, b.title, w.name, i.quantity_on_hand, c.title
    FROM product_variant v
    JOIN product p ON p.id = v.product_id
    LEFT JOIN brand b ON b.id = p.brand_id
    LEFT JOIN vendor w ON w.id = p.vendor_id
    LEFT JOIN category c ON c.id = p.category_id
    LEFT JOIN inventory_stock i ON i.variant_id = v.id
    {range}";
