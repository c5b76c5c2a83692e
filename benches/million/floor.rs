//! The least that a database needs for the same work: bare SQL over all rows, with plain joins and without JSON lists.

use catalog_sync::store::connect;
use testkit::{Engine, Shop};

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

/// Empty copies of the tables, with their indexes.
pub(crate) struct Floor {
    overriding: &'static str,
    chunk: i64,
}

impl Floor {
    /// Makes the copies: a schema on PostgreSQL, an attached file on SQLite.
    pub(crate) async fn new(shop: &Shop, engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let path = shop.folder().join("floor.db");
                let url = format!("sqlite://{}", path.display());
                connect::open(&url, &connect::Options::default()).await.expect("a database").close().await;
                shop.sql(&format!("ATTACH '{}' AS floor", path.display())).await;
                Self { overriding: "", chunk: 5_000 }
            }
            Engine::Postgres => {
                shop.sql("CREATE SCHEMA floor").await;
                for table in IMPORTED.iter().chain(&["meta_outbox"]) {
                    shop.sql(&format!(
                        "CREATE TABLE floor.{table} (LIKE meta_catalog.{table} INCLUDING ALL EXCLUDING GENERATED)"
                    ))
                    .await;
                }
                Self { overriding: "OVERRIDING SYSTEM VALUE", chunk: 5_000 }
            }
        }
    }

    /// Writes every imported row once, and its intent.
    pub(crate) async fn import(&self, shop: &Shop) {
        for table in IMPORTED {
            shop.sql(&format!("INSERT INTO floor.{table} SELECT * FROM {table}")).await;
        }
        let over = self.overriding;
        shop.sql(&format!("INSERT INTO floor.meta_outbox {over} SELECT * FROM meta_outbox")).await;
    }

    /// Takes the copied outbox to its end, a call at a time: reads the source, records the call, records the verdict.
    pub(crate) async fn push(&self, shop: &Shop) {
        let [(first, last)]: [(i64, i64); 1] =
            shop.rows("SELECT MIN(seq), MAX(seq) FROM meta_outbox").await.try_into().expect("one row");
        let mut at = first;
        while at <= last {
            let range = format!("o.seq BETWEEN {at} AND {}", at + self.chunk - 1);
            let source = SOURCE.replace("{range}", &format!("JOIN meta_outbox o ON o.variant_id = v.id WHERE {range}"));
            drop(shop.rows::<Source>(&source).await);
            let of_range = format!("variant_id IN (SELECT o.variant_id FROM floor.meta_outbox o WHERE {range})");
            shop.sql(&format!(
                "UPDATE floor.meta_sync_state SET status = 'submitted', last_handle = 'h{at}', last_pushed_at = 1,
                     last_pushed_hash = '0123456789012345678901234567890123456789012345678901234567890123',
                     catalog_id = '4000000001', meta_retailer_id = variant_id, at_meta = TRUE, version = version + 1
                 WHERE {of_range}"
            ))
            .await;
            shop.sql(&format!(
                "UPDATE floor.meta_outbox SET processed_at = 1, outcome = 'submitted' WHERE {}",
                range.replace("o.", "")
            ))
            .await;
            shop.sql(&format!(
                "UPDATE floor.meta_sync_state SET status = 'synced', updated_at = 2, version = version + 1
                 WHERE last_handle = 'h{at}' AND status = 'submitted'"
            ))
            .await;
            at += self.chunk;
        }
    }

    /// Reads the whole source once, a call at a time.
    pub(crate) async fn pass(&self, shop: &Shop) {
        let mut after = String::new();
        loop {
            let range = format!("WHERE v.id > '{after}' ORDER BY v.id LIMIT {}", self.chunk);
            let rows: Vec<Source> = shop.rows(&SOURCE.replace("{range}", &range)).await;
            let Some(last) = rows.last() else { return };
            after.clone_from(&last.0);
        }
    }

    /// The size of the service's tables, in bytes.
    pub(crate) async fn bytes(&self, shop: &Shop, engine: Engine) -> f64 {
        let size = match engine {
            Engine::Sqlite => "SELECT page_count * page_size FROM pragma_page_count('main'), pragma_page_size('main')",
            Engine::Postgres => {
                "SELECT SUM(pg_total_relation_size(format('%I.%I', schemaname, tablename)))::BIGINT
                 FROM pg_tables WHERE schemaname = 'meta_catalog'"
            }
        };
        shop.count(size).await as f64
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
