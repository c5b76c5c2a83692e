//! The shop of the bench, and what is done with it.

use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_sync::clock::SystemClock;
use catalog_sync::intake::import::Refusal;
use catalog_sync::intake::import::formats::Ndjson;
use catalog_sync::intake::import::run::{Import, Mode, Progress, Unnamed};
use catalog_sync::store::source::SourceBatch;
use serde_json::json;
use testkit::{Engine, Shop};

use crate::sink;

/// The variants of a product.
pub(crate) const A_PRODUCT: usize = 5;
/// The items of a call.
pub(crate) const A_CALL: usize = 5_000;

/// Opens a connected shop whose Meta is the sink.
pub(crate) async fn open(engine: Engine, sink: &sink::Child, blind: bool) -> Shop {
    let url = sink.url();
    let shop = Shop::open_with(
        engine,
        |_| Arc::new(SystemClock),
        |config| {
            config.graph.base_url = url.clone();
            config.limiter.batch_calls_per_minute = 600_000.try_into().expect("above zero");
            config.limiter.management_calls_per_hour = 36_000_000.try_into().expect("above zero");
        },
    )
    .await;
    if blind && matches!(engine, Engine::Postgres) {
        for (table,) in
            shop.rows::<(String,)>("SELECT tablename::text FROM pg_tables WHERE schemaname = 'meta_catalog'").await
        {
            shop.sql(&format!("ALTER TABLE {table} SET (autovacuum_enabled = false)")).await;
        }
    }
    shop
}

/// Returns the URL of the shop's database.
pub(crate) async fn url(shop: &Shop, engine: Engine) -> String {
    match engine {
        Engine::Sqlite => format!("sqlite://{}", shop.folder().join("shop.db").display()),
        Engine::Postgres => {
            let found = shop.rows::<(String, i32)>("SELECT current_database()::text, inet_server_port()").await;
            let [(database, port)]: [(String, i32); 1] = found.try_into().expect("one row");
            format!("postgres://postgres@127.0.0.1:{port}/{database}")
        }
    }
}

/// Gives PostgreSQL its statistics, as autovacuum does sooner or later. SQLite keeps none.
pub(crate) async fn see(shop: &Shop, engine: Engine) {
    if matches!(engine, Engine::Postgres) {
        shop.sql("ANALYZE").await;
    }
}

/// Imports every variant at this price, with sync switched off.
pub(crate) async fn import(shop: &Shop, variants: usize, price: i64) {
    shop.set(json!({ "sync_enabled": false })).await;
    let import =
        Import { db: shop.db(), mode: Mode::Lenient, now: shop.app.now(), unnamed: Unnamed::Keep, reads_ahead: true };
    let lines = BufReader::with_capacity(
        1 << 20,
        Lines { next: 0, products: variants / A_PRODUCT, price, line: Vec::new(), at: 0 },
    );
    let tally = import.run(Ndjson::new(lines, jiff::tz::TimeZone::UTC), &mut Quiet).await.expect("imported");
    assert_eq!((tally.taken, tally.refused), ((variants / A_PRODUCT) as u64, 0));
}

/// Switches sync on and waits until Meta has judged everything.
pub(crate) async fn push(shop: &Shop) {
    shop.set(json!({ "sync_enabled": true })).await;
    shop.wake();
    settle(shop).await;
    shop.set(json!({ "sync_enabled": false })).await;
}

/// Waits until Meta has judged everything that is or will be queued.
pub(crate) async fn settle(shop: &Shop) {
    until_none(shop, &format!("{OPEN} UNION ALL {UNJUDGED} UNION ALL {REASKS}")).await;
    let unsynced = shop.count("SELECT COUNT(*) FROM meta_sync_state WHERE status <> 'synced'").await;
    assert_eq!(unsynced, 0, "everything is synced");
}

/// Waits until Meta has taken everything that is queued.
pub(crate) async fn submitted(shop: &Shop) {
    until_none(shop, OPEN).await;
}

/// Asks for the verdicts until all are there.
pub(crate) async fn poll(shop: &Shop) {
    let judged = format!("SELECT COUNT(*) FROM ({UNJUDGED}) AS open");
    while shop.count(&judged).await > 0 {
        shop.app.wake.poll.nudge();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Ends the pauses of the polls that were asked in vain.
pub(crate) async fn end_pauses(shop: &Shop) {
    shop.sql("UPDATE meta_batch_handles SET next_poll_at = NULL, last_polled_at = NULL WHERE state = 'pending'").await;
}

/// Waits until a list of what is left is empty. Nothing is nudged: the service works at its own pace.
async fn until_none(shop: &Shop, left: &str) {
    let left = format!("SELECT COUNT(*) FROM ({left}) AS remaining");
    let began = Instant::now();
    while shop.count(&left).await > 0 {
        // The question is work for the database too: it costs a fiftieth of the accuracy at most.
        let pause = (began.elapsed() / 50).clamp(Duration::from_millis(20), Duration::from_millis(500));
        tokio::time::sleep(pause).await;
    }
}

// Each is cheap while there is much to do.
const OPEN: &str = "SELECT 1 FROM (SELECT 1 FROM meta_outbox
    WHERE processed_at IS NULL AND parked_at IS NULL AND held_at IS NULL AND lane >= 0 ORDER BY lane, seq LIMIT 1) AS one";
const UNJUDGED: &str =
    "SELECT 1 FROM (SELECT 1 FROM meta_batch_handles WHERE state IN ('pending', 'sending', 'late') LIMIT 1) AS two";
const REASKS: &str = "SELECT 1 FROM reask WHERE finished_at IS NULL";

/// Queues every variant, as many events do.
pub(crate) async fn ask_for_all(shop: &Shop) {
    shop.sql(
        "INSERT INTO meta_outbox (variant_id, intent, origin, enqueued_at)
         SELECT id, 'upsert', 'event', 0 FROM product_variant",
    )
    .await;
}

/// Returns the id that comes behind this number of variants.
pub(crate) fn id_behind(variants: usize) -> String {
    format!("v{:07}", variants / A_PRODUCT)
}

/// Changes the price of the variants whose ids are below this one, and queues them, as many events do.
pub(crate) async fn reprice(shop: &Shop, below: &str) {
    shop.sql(&format!("UPDATE product_variant SET price = price + 1 WHERE id < '{below}'")).await;
    shop.sql(&format!(
        "INSERT INTO meta_outbox (variant_id, intent, origin, enqueued_at)
         SELECT id, 'upsert', 'event', 0 FROM product_variant WHERE id < '{below}'"
    ))
    .await;
    shop.app.wake.drain.nudge();
}

/// Returns the size of the service's tables in bytes, and the number of intents in them.
pub(crate) async fn size(shop: &Shop, engine: Engine) -> (f64, f64) {
    let size = match engine {
        Engine::Sqlite => "SELECT page_count * page_size FROM pragma_page_count('main'), pragma_page_size('main')",
        Engine::Postgres => {
            "SELECT SUM(pg_total_relation_size(format('%I.%I', schemaname, tablename)))::BIGINT
             FROM pg_tables WHERE schemaname = 'meta_catalog'"
        }
    };
    (shop.count(size).await as f64, shop.count("SELECT COUNT(*) FROM meta_outbox").await as f64)
}

/// The lines of the import file, made as they are read.
struct Lines {
    next: usize,
    products: usize,
    price: i64,
    line: Vec<u8>,
    at: usize,
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.line.len() {
            if self.next == self.products {
                return Ok(0);
            }
            (self.line, self.at) = (line(self.next, self.price), 0);
            self.next += 1;
        }
        let count = buffer.len().min(self.line.len() - self.at);
        buffer[..count].copy_from_slice(&self.line[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

fn line(p: usize, price: i64) -> Vec<u8> {
    let variants: Vec<_> = (0..A_PRODUCT)
        .map(|v| {
            json!({
                "id": format!("v{p:07}-{v}"), "sku": format!("SKU-{p:07}-{v}"), "price": price + v as i64,
                "options": [{"name": "Color", "value": "Blue"}, {"name": "Size", "value": format!("{v}")}],
                "inventory": {"quantityOnHand": 5},
            })
        })
        .collect();
    let product = json!({
        "id": format!("p{p:07}"), "title": format!("Thing number {p}"), "slug": format!("thing-{p:07}"),
        "description": format!("<p>Thing no. {p}, <b>made to last</b> &amp; to please.</p>").repeat(12),
        "status": "active", "visibility": "public", "thumbnail": format!("{p}.jpg"),
        "images": [format!("{p}-2.jpg"), format!("{p}-3.jpg")], "brand": {"title": format!("Brand {}", p % 50)},
        "vendor": {"name": format!("Vendor {}", p % 20)},
        "categories": ["Things", format!("Kind {}", p % 30), format!("Sort {}", p % 300)], "variants": variants,
    });
    let mut line = product.to_string().into_bytes();
    line.push(b'\n');
    line
}

struct Quiet;

impl Progress for Quiet {
    fn at(&mut self, _: u64, _: u64) {}
    fn deletes(&mut self, _: u64, _: u64) {}
    async fn judge(&mut self, _: SourceBatch) {}
    fn refused(&mut self, line: u64, refusal: &Refusal) {
        panic!("line {line}: {refusal}");
    }
}
