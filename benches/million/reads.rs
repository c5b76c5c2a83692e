//! What an operator reads, and how long it takes: on an idle service, while a push drains, and with 64 clients at once.
//!
//! Each read is the use case behind an endpoint, without HTTP. Some variants are marked as failed, skipped, excluded and
//! so on for the idle reads, so that each filter finds a few; their marks are gone before anything is pushed again. A page
//! that the shop does not have is its last one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_sync::admin::items::{self, ItemsAsked};
use catalog_sync::admin::status;
use catalog_sync::app::App;
use serde::{Deserialize, Serialize};
use serde_json::json;
use testkit::Shop;

use crate::measure::{Report, median};
use crate::shop;

/// The names of the reads that have a bar.
pub(crate) const STATUS: &str = "status";
pub(crate) const FIRST: &str = "items, first page";
pub(crate) const THOUSAND: &str = "items, page 1,000";
pub(crate) const RARE: &str = "items, search, rare text";
pub(crate) const FREQUENT: &str = "items, search, frequent text";
pub(crate) const SKU: &str = "items, search, SKU";

/// The times of a read, in milliseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Read {
    pub(crate) name: String,
    /// Median on an idle service.
    pub(crate) idle: f64,
    /// Median while a push drains.
    pub(crate) draining: Option<f64>,
    /// Median and 99th percentile of the clients that read at once while a push drains.
    pub(crate) crowd: Option<[f64; 2]>,
}

/// The most rows of a page.
const PAGE: usize = 50;
const CLIENTS: usize = 64;
/// The most variants that a push under reads has.
const PUSHED: usize = 250_000;

#[derive(Clone, Copy)]
enum Kind {
    Status,
    Errors,
    Items,
}

/// A read, and what the list is asked for.
#[derive(Clone, Copy)]
struct What<'q> {
    kind: Kind,
    asked: ItemsAsked<'q>,
}

fn of(kind: Kind) -> What<'static> {
    What { kind, asked: ItemsAsked::default() }
}

fn items_of(asked: ItemsAsked<'_>) -> What<'_> {
    What { kind: Kind::Items, asked }
}

/// Measures every read.
pub(crate) async fn measure(shop: &Shop, variants: usize, report: &Report) -> Vec<Read> {
    let page = |number: usize| number.clamp(1, (variants / PAGE).max(1)).to_string();
    let (thousand, deep) = (page(1_000), page(20_000));
    let any = ItemsAsked::default();
    let by_status = |status| items_of(ItemsAsked { status: Some(status), ..any });
    let search = |text| items_of(ItemsAsked { search: Some(text), ..any });
    let yes = Some("true");
    let wanted = [
        (STATUS, of(Kind::Status)),
        ("errors", of(Kind::Errors)),
        (FIRST, items_of(any)),
        (THOUSAND, items_of(ItemsAsked { page: Some(&thousand), ..any })),
        ("items, page 20,000", items_of(ItemsAsked { page: Some(&deep), ..any })),
        ("items, synced", by_status("synced")),
        ("items, submitted", by_status("submitted")),
        ("items, pending", by_status("pending")),
        ("items, failed", by_status("failed")),
        ("items, skipped", by_status("skipped")),
        ("items, deleted", by_status("deleted")),
        ("items, never synced", by_status("never_synced")),
        ("items, warning", items_of(ItemsAsked { warning: Some(WARNING), ..any })),
        ("items, cause", items_of(ItemsAsked { cause: Some(CAUSE), ..any })),
        ("items, held", items_of(ItemsAsked { held: yes, ..any })),
        ("items, parked", items_of(ItemsAsked { parked: yes, ..any })),
        ("items, excluded", items_of(ItemsAsked { excluded: yes, ..any })),
        ("items, eligible only", items_of(ItemsAsked { eligible_only: yes, ..any })),
        (RARE, search("number 777")),
        (FREQUENT, search("thing")),
        (SKU, search("SKU-0000777-3")),
    ];

    report.say("reads on an idle service");
    mark(shop).await;
    let mut reads = Vec::new();
    for (name, what) in wanted {
        let idle = median_of(&shop.app, what, 5, Duration::from_secs(5)).await;
        reads.push(Read { name: name.to_owned(), idle, draining: None, crowd: None });
    }
    unmark(shop).await;

    report.say("reads while a push drains");
    let below = shop::id_behind(variants.min(PUSHED));
    let sent_before = shop.count(SENT).await;
    shop.set(json!({ "sync_enabled": true })).await;
    shop::reprice(shop, &below).await;
    let measured = async {
        for ((name, what), read) in wanted.into_iter().zip(&mut reads) {
            if [STATUS, FIRST, THOUSAND, RARE, FREQUENT, SKU].contains(&name) {
                read.draining = Some(median_of(&shop.app, what, 21, Duration::from_secs(8)).await);
            }
        }
        for (name, what) in [(STATUS, of(Kind::Status)), (FIRST, items_of(any))] {
            let crowd = crowd(&shop.app, what).await;
            reads.iter_mut().find(|read| read.name == name).expect("it was read").crowd = Some(crowd);
        }
    };
    // The push begins again whenever it is through.
    let pushes = async {
        loop {
            shop::submitted(shop).await;
            shop::reprice(shop, &below).await;
        }
    };
    tokio::select! {
        () = measured => {}
        () = pushes => {}
    }
    let sent = shop.count(SENT).await - sent_before;
    assert!(sent > 0, "calls were made while it was read");
    report.say(&format!("{sent} calls were made meanwhile"));
    shop::settle(shop).await;
    shop.set(json!({ "sync_enabled": false })).await;
    reads
}

/// Returns the median of at most this many reads, in milliseconds; slow ones are fewer.
async fn median_of(app: &App, what: What<'_>, most: usize, within: Duration) -> f64 {
    let (began, mut times) = (Instant::now(), Vec::new());
    while times.len() < most && (times.len() < 3 || began.elapsed() < within) {
        times.push(read(app, what).await);
    }
    median(times)
}

/// Returns the median and the 99th percentile of what the clients that read at once waited, in milliseconds.
async fn crowd(app: &Arc<App>, what: What<'static>) -> [f64; 2] {
    let began = Instant::now();
    let client = |app: Arc<App>| async move {
        let mut times = Vec::new();
        while times.len() < 20 && (times.is_empty() || began.elapsed() < Duration::from_secs(10)) {
            times.push(read(&app, what).await);
        }
        times
    };
    let clients: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(client(Arc::clone(app)))).collect();
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await.expect("a client"));
    }
    times.sort_by(f64::total_cmp);
    let at = (times.len() * 99).div_ceil(100).saturating_sub(1);
    [median(times.clone()), times[at]]
}

async fn read(app: &App, what: What<'_>) -> f64 {
    let began = Instant::now();
    match what.kind {
        Kind::Status => drop(status::status(app).await.expect("a status")),
        Kind::Errors => drop(items::failed(app, None, None, None).await.expect("a list")),
        Kind::Items => drop(items::list(app, what.asked).await.expect("a list")),
    }
    began.elapsed().as_secs_f64() * 1e3
}

const SENT: &str = "SELECT COUNT(*) FROM meta_batch_handles";
const WARNING: &str = "title_cut";
const CAUSE: &str = "meta:1690073";

/// Marks a hundredth of the variants: one of each product whose number ends in 00 for each filter.
pub(crate) async fn mark(shop: &Shop) {
    for (which, set) in [
        (0, format!("status = 'failed', cause = '{CAUSE}', last_error = 'refused', attempts = 1")),
        (1, "status = 'skipped', cause = 'mapper:missing_price', last_error = 'no price'".to_owned()),
        (2, "status = 'pending'".to_owned()),
        (3, "status = 'deleted', excluded = TRUE".to_owned()),
        (4, format!("warnings = '{WARNING}'")),
    ] {
        shop.sql(&format!("UPDATE meta_sync_state SET {set} WHERE variant_id LIKE 'v_____00-{which}'")).await;
    }
    for (which, column) in [(1, "held_at"), (2, "parked_at")] {
        shop.sql(&format!(
            "INSERT INTO meta_outbox (variant_id, intent, origin, enqueued_at, {column})
             SELECT id, 'upsert', 'event', 1, 1 FROM product_variant WHERE id LIKE 'v_____00-{which}'"
        ))
        .await;
    }
}

pub(crate) async fn unmark(shop: &Shop) {
    shop.sql(
        "UPDATE meta_sync_state SET status = 'synced', cause = NULL, last_error = NULL, attempts = 0, excluded = FALSE,
             warnings = NULL
         WHERE variant_id LIKE 'v_____00-_'",
    )
    .await;
    shop.sql("DELETE FROM meta_outbox WHERE processed_at IS NULL AND (held_at IS NOT NULL OR parked_at IS NOT NULL)")
        .await;
}
