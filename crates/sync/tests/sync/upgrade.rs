//! A database made by an earlier version: `tests/fixtures/35c8b3a` holds one of each kind, dumped after a demonstration of
//! twenty variants with a re-map begun. The present version opens it, keeps what is in it, and goes on.

use catalog_sync::admin::status;
use catalog_sync::clock::SystemClock;
use catalog_sync::config::Config;
use catalog_sync::domain::reask::Reason;
use catalog_sync::domain::state::SyncStatus;
use catalog_sync::startup::{self, Service};
use catalog_sync::store::{connect, reask, settings, sync_state};
use serde_json::json;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use std::sync::Arc;

use testkit::{KEY, postgres, until};

const SQLITE: &str = include_str!("../../../../tests/fixtures/35c8b3a/sqlite.sql");
const POSTGRES: &str = include_str!("../../../../tests/fixtures/35c8b3a/postgres.sql");

async fn upgraded(url: String) {
    // Nothing listens there: what has to be sent waits.
    let config = Config::load(None, |name| match name {
        "DATABASE_URL" => Some(url.clone()),
        "META_CATALOG_KEY" => Some(KEY.into()),
        "META_CATALOG_LISTEN" => Some("127.0.0.1:0".into()),
        "META_GRAPH_BASE_URL" | "META_DIALOG_BASE_URL" => Some("http://127.0.0.1:9".into()),
        "META_CATALOG_MAPPER_DIR" => Some("off".into()),
        _ => None,
    })
    .expect("a configuration");
    let app = startup::build(&config, Arc::new(SystemClock)).await.expect("it opens, and its secrets with it");
    let mut tx = app.db.read().await.expect("a connection");
    let kept = settings::load(&mut tx).await.expect("the settings");
    assert_eq!((kept.catalog_id.is_empty(), kept.sync_enabled, kept.batch_size), (false, true, 5_000));
    assert!(app.app_credentials(&kept).await.expect("they open").is_some());
    let states = sync_state::counts(&mut tx).await.expect("the states");
    assert_eq!((states[&SyncStatus::Synced], states[&SyncStatus::Skipped]), (8, 6), "{states:?}");
    let remap = reask::find(&mut tx, Reason::Remap).await.expect("read").expect("the re-map under way");
    assert_eq!((remap.total, remap.queued, remap.finished_at), (Some(20), 0, None));
    assert_eq!(reask::made_with(&mut tx).await.expect("read"), None);
    drop(tx);
    app.db.close().await;

    let service = Service::start(&config, Arc::new(SystemClock)).await.expect("it starts");
    let reasks = async || status::status(&service.app).await.expect("a status").reasks;
    let both_end = async || {
        service.app.wake.reask.nudge();
        let reasks = reasks().await;
        ["mapper_upgrade", "remap"].iter().all(|reason| reasks.iter().any(|one| one.reason == *reason && !one.running))
    };
    until("the upgrade's re-ask and the re-map end", both_end, || format!("actors: {:?}", service.board)).await;
    assert_eq!(reasks().await.len(), 2);
    let detail = catalog_sync::admin::items::list(&service.app, Default::default()).await.expect("a list");
    assert_eq!(json!(detail.total), json!(20));
    service.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_an_earlier_version_goes_on_on_sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("old.db").display());
    let mut old = SqliteConnection::connect(&format!("{url}?mode=rwc")).await.expect("a database");
    sqlx::raw_sql(SQLITE).execute(&mut old).await.expect("restored");
    old.close().await.expect("closed");
    upgraded(url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_an_earlier_version_goes_on_on_postgres() {
    let url = postgres::database().await;
    let mut old = PgConnection::connect(&url).await.expect("a database");
    sqlx::raw_sql(POSTGRES).execute(&mut old).await.expect("restored");
    old.close().await.expect("closed");
    upgraded(url.clone()).await;
    assert!(source_view(&url).await.contains("LATERAL"), "the view is replaced");
}

/// A platform's own view is its own, also when a later version would write ours in another way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platforms_own_view_stays() {
    let url = postgres::database().await;
    let mut old = PgConnection::connect(&url).await.expect("a database");
    sqlx::raw_sql(POSTGRES).execute(&mut old).await.expect("restored");
    let own = "ALTER VIEW meta_catalog.variant_source RENAME TO ours;
               CREATE VIEW meta_catalog.variant_source AS SELECT * FROM meta_catalog.ours WHERE price > 0";
    sqlx::raw_sql(own).execute(&mut old).await.expect("replaced");
    old.close().await.expect("closed");
    let before = source_view(&url).await;
    connect::open(&url, &connect::Options::default()).await.expect("it opens").close().await;
    assert_eq!(source_view(&url).await, before);
}

async fn source_view(url: &str) -> String {
    let mut connection = PgConnection::connect(url).await.expect("a connection");
    let text = sqlx::query_scalar("SELECT pg_get_viewdef('meta_catalog.variant_source'::regclass)");
    text.fetch_one(&mut connection).await.expect("the view")
}
