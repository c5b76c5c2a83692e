//! The demonstration from beginning to end.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::local_meta::{Calls, LocalMeta, LocalMetaError};
use super::operator::{Operator, OperatorError};
use super::sample;
use catalog_sync::app::App;
use catalog_sync::clock::{Clock, Millis, SystemClock};
use catalog_sync::config::{Config, ConfigError};
use catalog_sync::domain::record::ProductRecord;
use catalog_sync::store::catalog::{self, Written};
use catalog_sync::store::{Db, StoreError};
use catalog_sync::verify::{self, VerifyError};

use meta_catalog::server::{Server, ServerError};

/// How often the status is queried while waiting.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long after it is shortened the sale ends: long enough for one more push before the end.
const SALE_ENDS_IN: Millis = 15_000;
/// Most products of one import transaction.
const CHUNK: usize = 300;

/// Receives the progress.
pub(crate) trait Show: Send {
    /// A new step began.
    fn step(&mut self, what: &str);
    /// `done` of `of` are done in this step.
    fn progress(&mut self, done: u64, of: u64, note: &str);
}

/// Why the demonstration failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The local Meta failed.
    #[error(transparent)]
    Meta(#[from] LocalMetaError),
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server did not start.
    #[error("the server did not start")]
    Start(#[from] ServerError),
    /// A call to the admin API failed.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// Writing to the database failed.
    #[error("the sample catalog was not imported")]
    Store(#[from] StoreError),
    /// The comparison failed.
    #[error(transparent)]
    Verify(#[from] VerifyError<LocalMetaError>),
    /// There was no progress for too long.
    #[error("no progress for {0:?}; the last status was {1}")]
    Stuck(Duration, String),
}

/// The result: the last line of `demo --json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Whether Meta's items equal the mapper's word and everything is settled.
    pub(crate) ok: bool,
    /// `sqlite` or `postgres`.
    pub(crate) database: &'static str,
    /// Variants imported.
    pub(crate) variants: u64,
    /// The counts of the status.
    pub(crate) counts: Value,
    /// Rows by their final state.
    pub(crate) outcomes: Value,
    /// Calls that the local Meta has counted.
    pub(crate) calls: Value,
    /// Items that differ.
    pub(crate) mismatches: u64,
    /// Time from start to report, in milliseconds.
    pub(crate) elapsed_ms: u64,
    /// Peak memory of the server's process, in bytes.
    pub(crate) peak_rss_bytes: u64,
    /// Descriptions of the first mismatches.
    #[serde(skip)]
    pub(crate) told: Vec<String>,
}

/// A demonstration that is settled and still running.
#[derive(Debug)]
pub(crate) struct Running {
    /// The server.
    pub(crate) server: Server,
    /// The local Meta.
    pub(crate) meta: LocalMeta,
    /// A token for the API.
    pub(crate) token: String,
}

/// Sets the configuration of the demonstration over what the user configured: local Meta, a free port, quotas that are
/// never reached.
pub(crate) fn configure(config: &mut Config, meta: &LocalMeta) {
    config.enabled = true;
    config.listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    config.graph.base_url.clone_from(&meta.base_url);
    config.graph.dialog_base_url.clone_from(&meta.base_url);
    config.public_api_url = None;
    config.public_admin_url = None;
    config.s3_public_url = "https://cdn.shop.example".into();
    let many = std::num::NonZeroU32::new(60_000).unwrap_or(std::num::NonZeroU32::MIN);
    config.limiter.batch_calls_per_minute = many;
    config.limiter.management_calls_per_hour = many;
}

/// Runs the demonstration until everything has settled twice: after the bootstrap, and after the second phase.
///
/// # Errors
/// When a step fails; names the step.
pub(crate) async fn run(
    config: &Config,
    meta: LocalMeta,
    wanted: usize,
    token: impl AsyncFnOnce(&Db) -> Result<String, StoreError>,
    show: &mut impl Show,
) -> Result<(Report, Running), DemoError> {
    let clock = Arc::new(SystemClock);
    let began = clock.now();
    show.step("Starting the service");
    let server = Server::start(config, Arc::clone(&clock) as _).await?;
    let app = Arc::clone(&server.service.app);
    let db = app.db.clone();
    let token = token(&db).await?;
    let operator = Operator::new(format!("http://{}", server.address), token.clone())?;

    show.step("Importing the sample catalog");
    let variants = import(&db, sample::scaled(wanted, clock.now()), wanted, clock.now(), show).await?;

    show.step("Connecting to Meta: consent, business, catalog, system user");
    operator
        .settings(&json!({
            "app_id": "1000000001", "app_secret": "simulator-app-secret", "currency": "INR",
            "storefront_base_url": "https://shop.example", "sync_interval_seconds": 10, "poll_interval_seconds": 10,
            "batch_size": 5000, "handles_per_poll_tick": 64, "drain_pacing": "budget",
        }))
        .await?;
    operator.connect().await?;
    let catalog = operator.select_first_catalog().await?;

    show.step("Bootstrap: queueing every eligible variant");
    operator.bootstrap().await?;
    operator.settings(&json!({ "sync_enabled": true })).await?;
    show.step("Drain and poll: pushing, then waiting for Meta's verdicts");
    settle(&operator, show).await?;

    show.step("Second phase: a price changes, a product is archived, a sale is about to end");
    let sale_ends = second_phase(&db, wanted, clock.now()).await?;
    app.wake.drain.nudge();
    settle(&operator, show).await?;
    show.step("Waiting for the sale to end without any event");
    sale_over(&app, &operator, sale_ends, show).await?;

    show.step("Comparing Meta's items with the mapper's word");
    let settings = app.load_settings().await?;
    let map_settings = settings.mapper.with(&config.s3_public_url);
    let held = async |after: String, limit| meta.items(&catalog, &after, limit).await;
    let (mismatches, told) = verify::mismatches(held, &db, &map_settings, clock.now()).await?;
    let status = operator.status().await?;
    let counts = status["counts"].clone();
    let count = |key: &str| counts[key].as_u64().unwrap_or_default();
    let Calls { items_batch, check_batch, other } = meta.calls().await?;
    let report = Report {
        ok: mismatches == 0 && count("outboxPending") == 0 && count("handlesPending") == 0 && count("submitted") == 0,
        database: match db {
            Db::Sqlite { .. } => "sqlite",
            Db::Postgres { .. } => "postgres",
        },
        variants,
        outcomes: json!({
            "synced": count("synced"), "failed": count("failed"),
            "skipped": count("skipped"), "deleted": count("deleted"),
        }),
        calls: json!({ "itemsBatch": items_batch, "checkBatch": check_batch, "other": other }),
        mismatches,
        elapsed_ms: u64::try_from(clock.now() - began).unwrap_or_default(),
        peak_rss_bytes: peak_rss(),
        counts,
        told,
    };
    Ok((report, Running { server, meta, token }))
}

async fn import(
    db: &Db,
    products: impl Iterator<Item = ProductRecord>,
    wanted: usize,
    now: Millis,
    show: &mut impl Show,
) -> Result<u64, DemoError> {
    let mut products = products.peekable();
    let mut variants = 0;
    while products.peek().is_some() {
        let chunk: Vec<ProductRecord> = products.by_ref().take(CHUNK).collect();
        variants += chunk.iter().map(|product| product.variants.len() as u64).sum::<u64>();
        let mut tx = db.write().await?;
        let _: Written = catalog::write(&mut tx, &chunk, now).await?;
        tx.commit().await?;
        show.progress(variants, wanted as u64, "variants");
    }
    Ok(variants)
}

/// Waits until no live intent and no open submission remain.
async fn settle(operator: &Operator, show: &mut impl Show) -> Result<(), DemoError> {
    let mut last = Value::Null;
    let mut still = Duration::ZERO;
    let patience = Duration::from_secs(120);
    loop {
        let status = operator.status().await?;
        let counts = &status["counts"];
        let count = |key: &str| counts[key].as_u64().unwrap_or_default();
        let (queued, open) = (count("outboxPending"), count("handlesPending"));
        let terminal = count("synced") + count("failed") + count("skipped") + count("deleted");
        let known = terminal + count("submitted") + count("pending");
        let note = format!(
            "rows settled · {} synced, {} submitted, {} failed, {} skipped, {} deleted · {queued} queued",
            count("synced"),
            count("submitted"),
            count("failed"),
            count("skipped"),
            count("deleted")
        );
        show.progress(terminal, known.max(1), &note);
        if queued == 0 && open == 0 {
            return Ok(());
        }
        still = if *counts == last { still + LOOK_EVERY } else { Duration::ZERO };
        last = counts.clone();
        if still > patience {
            return Err(DemoError::Stuck(patience, status.to_string()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Edits the shop's catalog as its owner would; returns the instant when the shortened sale ends.
async fn second_phase(db: &Db, wanted: usize, now: Millis) -> Result<Millis, DemoError> {
    let ends = now + SALE_ENDS_IN;
    let mut edited: Vec<ProductRecord> = sample::scaled(wanted.min(10), now).collect();
    edited.retain(|product| {
        product.id == sample::ARCHIVED_LATER
            || product.variants.iter().any(|v| v.id == sample::PRICE_EDIT || v.id == sample::RUNNING_SALE)
    });
    for product in &mut edited {
        if product.id == sample::ARCHIVED_LATER {
            product.status = "archived".into();
        }
        for variant in &mut product.variants {
            if variant.id == sample::PRICE_EDIT {
                variant.price = variant.price.map(|price| price + 5_000);
            }
            if variant.id == sample::RUNNING_SALE {
                variant.special_price_end = Some(ends);
            }
        }
    }
    let mut tx = db.write().await?;
    catalog::write(&mut tx, &edited, now).await?;
    tx.commit().await?;
    Ok(ends)
}

/// Waits until the sale has ended, the end is noticed, and the change is settled.
async fn sale_over(app: &App, operator: &Operator, ends: Millis, show: &mut impl Show) -> Result<(), DemoError> {
    loop {
        let left = ends - app.now();
        let mut tx = app.db.read().await?;
        let due = catalog_sync::store::sync_state::windows_due(&mut tx, app.now()).await?;
        drop(tx);
        if left <= 0 && !due {
            break;
        }
        let waited = u64::try_from(SALE_ENDS_IN - left.max(0)).unwrap_or_default();
        show.progress(waited / 1000, SALE_ENDS_IN.unsigned_abs() / 1000, "seconds");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    settle(operator, show).await
}

/// Returns the peak memory of this process, in bytes; 0 when the system does not report it.
fn peak_rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: Option<u64> = line.and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse().ok());
    kib.unwrap_or(0) * 1024
}
