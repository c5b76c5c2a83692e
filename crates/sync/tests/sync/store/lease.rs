//! Who runs the pipeline, and that nobody else commits to it.

use std::time::{Duration, Instant};

use catalog_sync::store::connect::{Options, lock_sqlite, open, sqlite_path};
use catalog_sync::store::lease::{Fence, hold_pipeline, release, renew, take};
use catalog_sync::store::mapper::{self, BUILTIN};
use catalog_sync::store::settings::{self, Changes};
use catalog_sync::store::{Db, Deposed, PgTx, StoreError, Tx, outbox};
use serde_json::json;

use super::outbox::{mark, open_rows, upsert};
use super::{Done, NOW, TestDb, conformance, keyring};
use testkit::PATIENCE;

conformance![
    the_epoch_grows_with_every_take_over,
    a_deposed_fence_begins_nothing,
    a_fence_is_bound_to_the_selected_catalog,
    what_was_decided_counts_only_with_the_active_mapper,
    a_renewal_tells_of_new_settings_and_credentials,
    a_fenced_transaction_is_one,
];

const MINUTE: i64 = 60_000;

async fn taken(db: &Db, holder: &str) -> Result<Fence, StoreError> {
    Ok(take(db, holder, MINUTE).await?.expect("the lease is free"))
}

fn select(catalog: &str) -> Changes {
    Changes { values: [("catalog_id".to_owned(), Some(json!(catalog)))].into(), ..Changes::default() }
}

pub(super) async fn select_catalog(db: &Db, catalog: &str) -> Done {
    let mut tx = db.write().await?;
    settings::write(&mut tx, &keyring(), &select(catalog), NOW).await?;
    tx.commit().await
}

fn deposed(result: Result<Tx, StoreError>) -> Deposed {
    match result {
        Err(StoreError::Deposed(why)) => why,
        other => panic!("not deposed: {other:?}"),
    }
}

async fn the_epoch_grows_with_every_take_over(db: &TestDb) -> Done {
    let first = taken(db, "one").await?;
    release(db, &first).await?;
    let second = taken(db, "two").await?;
    assert!(second.epoch > first.epoch);
    release(db, &first).await?;
    assert!(renew(db, &second, MINUTE).await?.is_some(), "an old fence gives nothing back");
    release(db, &second).await?;
    assert!(taken(db, "two").await?.epoch > second.epoch, "also for the same holder");
    Ok(())
}

async fn a_deposed_fence_begins_nothing(db: &TestDb) -> Done {
    let first = taken(db, "one").await?;
    first.begin(db, None).await?.commit().await?;
    release(db, &first).await?;
    assert_eq!(deposed(first.begin(db, None).await), Deposed::Lease, "released");
    let second = taken(db, "two").await?;
    assert_eq!(deposed(first.begin(db, None).await), Deposed::Lease, "another holder");
    assert_eq!(
        deposed(Fence { epoch: first.epoch, ..second.clone() }.begin(db, None).await),
        Deposed::Lease,
        "an old epoch"
    );
    assert!(renew(db, &first, MINUTE).await?.is_none());
    second.begin(db, None).await?.commit().await
}

async fn a_fence_is_bound_to_the_selected_catalog(db: &TestDb) -> Done {
    let fence = taken(db, "one").await?;
    assert_eq!(deposed(fence.begin(db, Some("c1")).await), Deposed::Catalog, "none is selected");
    select_catalog(db, "c1").await?;
    fence.begin(db, Some("c1")).await?.commit().await?;
    assert_eq!(deposed(fence.begin(db, Some("c2")).await), Deposed::Catalog);
    fence.begin(db, None).await?.commit().await
}

async fn what_was_decided_counts_only_with_the_active_mapper(db: &TestDb) -> Done {
    let fence = taken(db, "a").await?;
    select_catalog(db, "c1").await?;
    let decided = async |version: i64, mapper: &str| fence.begin_decided(db, "c1", version, mapper).await;
    let mut tx = db.read().await?;
    let version = settings::load(&mut tx).await?.version;
    drop(tx);
    decided(version, BUILTIN).await?.commit().await?;
    assert_eq!(deposed(decided(version - 1, BUILTIN).await), Deposed::Settings);
    assert_eq!(deposed(decided(version, "module").await), Deposed::Mapper);

    let mut tx = db.write().await?;
    hold_pipeline(&mut tx).await?;
    assert_eq!(mapper::activate(&mut tx, "module", "module", "api", NOW).await?, Some(0));
    tx.commit().await?;
    assert_eq!(deposed(decided(version, BUILTIN).await), Deposed::Mapper);
    decided(version, "module").await?.commit().await?;
    assert_eq!(renew(db, &fence, MINUTE).await?.map(|renewal| renewal.mapper).as_deref(), Some("module"));
    Ok(())
}

async fn a_renewal_tells_of_new_settings_and_credentials(db: &TestDb) -> Done {
    let fence = taken(db, "one").await?;
    let before = renew(db, &fence, MINUTE).await?.expect("it is ours");
    assert_eq!(renew(db, &fence, MINUTE).await?, Some(before.clone()));
    select_catalog(db, "c1").await?;
    let after = renew(db, &fence, MINUTE).await?.expect("it is ours");
    assert!(after.settings > before.settings && after.credential == before.credential);
    let mut tx = db.write().await?;
    catalog_sync::store::credential::delete(&mut tx).await?;
    tx.commit().await?;
    assert!(renew(db, &fence, MINUTE).await?.expect("it is ours").credential > before.credential);
    Ok(())
}

async fn a_fenced_transaction_is_one(db: &TestDb) -> Done {
    let fence = taken(db, "one").await?;
    upsert(db, &["a"]).await?;
    let seq = open_rows(db).await?.rows[0].seq;
    let mut tx = fence.begin(db, None).await?;
    outbox::mark(&mut tx, &[(seq, outbox::IntentOutcome::Noop)], NOW).await?;
    drop(tx);
    assert_eq!(mark(db, &[(seq, outbox::IntentOutcome::Noop)]).await?, 1, "dropped, it left nothing behind");
    Ok(())
}

#[test]
fn a_second_process_on_a_sqlite_file_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let url = format!("sqlite://{}", directory.path().join("store.db").display());
    let path = sqlite_path(&url).expect("a SQLite URL");
    let held = lock_sqlite(&path).expect("nobody has it");
    let error = lock_sqlite(&path).expect_err("held");
    assert!(matches!(error, StoreError::Held(_)));
    let message = error.to_string();
    assert!(message.contains(&path.display().to_string()) && message.contains("stop it first"), "{message}");
    drop(held);
    drop(lock_sqlite(&path).expect("it was given back"));
}

#[tokio::test]
async fn postgres_refuses_a_second_holder_until_the_lease_ends() -> Done {
    let db = TestDb::postgres().await;
    let lost = taken(&db, "one").await?;
    assert_eq!(take(&db, "two", MINUTE).await?, None);
    // A process that lost track of its lease takes it again, in an epoch that what it did before is fenced off from.
    let first = taken(&db, "one").await?;
    assert!(first.epoch > lost.epoch);
    assert_eq!(deposed(lost.begin(&db, None).await), Deposed::Lease);
    db.run("UPDATE lease SET expires_at = clock_timestamp() - interval '1 second'").await?;
    // Late, but nobody else took it: the epoch counts, not the time.
    first.begin(&db, None).await?.commit().await?;
    assert!(renew(&db, &first, MINUTE).await?.is_some());
    assert_eq!(take(&db, "two", MINUTE).await?, None, "renewed");
    db.run("UPDATE lease SET expires_at = clock_timestamp() - interval '1 second'").await?;
    taken(&db, "two").await?;
    assert_eq!(deposed(first.begin(&db, None).await), Deposed::Lease);
    Ok(())
}

/// Waits until a statement in this database waits for a lock.
async fn somebody_waits(db: &TestDb) -> Done {
    let waiting =
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let deadline = Instant::now() + PATIENCE;
    while db.number(waiting).await? == 0 {
        assert!(Instant::now() < deadline, "nobody waits for a lock");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_take_over_waits_for_the_transaction_under_way() -> Done {
    let db = TestDb::postgres().await;
    let first = taken(&db, "one").await?;
    upsert(&db, &["a"]).await?;
    let seq = open_rows(&db).await?.rows[0].seq;
    db.run("UPDATE lease SET expires_at = clock_timestamp() - interval '1 second'").await?;

    let mut tx = first.begin(&db, None).await?;
    let pool = Db::clone(&db);
    let taking = tokio::spawn(async move { take(&pool, "two", MINUTE).await });
    somebody_waits(&db).await?;
    assert!(!taking.is_finished());
    outbox::mark(&mut tx, &[(seq, outbox::IntentOutcome::Noop)], NOW).await?;
    tx.commit().await?;
    assert!(taking.await.expect("no panic")?.is_some());
    assert_eq!(deposed(first.begin(&db, None).await), Deposed::Lease);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_another_catalog_waits_for_the_transaction_under_way() -> Done {
    let db = TestDb::postgres().await;
    select_catalog(&db, "old").await?;
    let fence = taken(&db, "one").await?;
    let tx = fence.begin(&db, Some("old")).await?;
    let pool = Db::clone(&db);
    let selecting = tokio::spawn(async move { select_catalog(&pool, "new").await });
    somebody_waits(&db).await?;
    assert!(!selecting.is_finished());
    tx.commit().await?;
    selecting.await.expect("no panic")?;
    assert_eq!(deposed(fence.begin(&db, Some("old")).await), Deposed::Catalog);
    Ok(())
}

/// Invariant 4: what the fence reads after its wait must be what the other transaction left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_a_fence_that_waited_sees_the_new_catalog() -> Done {
    let db = TestDb::postgres().await;
    select_catalog(&db, "old").await?;
    let fence = taken(&db, "one").await?;
    let mut tx = db.write().await?;
    settings::write(&mut tx, &keyring(), &select("new"), NOW).await?;
    let (pool, late) = (Db::clone(&db), fence.clone());
    let beginning = tokio::spawn(async move { late.begin(&pool, Some("old")).await });
    somebody_waits(&db).await?;
    tx.commit().await?;
    assert_eq!(deposed(beginning.await.expect("no panic")), Deposed::Catalog);
    Ok(())
}

#[tokio::test]
async fn postgres_pipeline_connections_give_up_within_a_third_of_the_lease() -> Done {
    let url = testkit::postgres::database().await;
    let db = open(&url, &Options { lease: Duration::from_secs(30), ..Options::default() }).await?;
    let fence = taken(&db, "one").await?;
    let mut tx = fence.begin(&db, None).await?;
    let Tx::Postgres(PgTx::Transaction(transaction)) = &mut tx else { panic!("not a transaction on PostgreSQL") };
    let mut read = Vec::new();
    for show in [
        "SHOW statement_timeout",
        "SHOW idle_in_transaction_session_timeout",
        "SHOW tcp_keepalives_idle",
        "SHOW search_path",
    ] {
        read.push(sqlx::query_scalar::<_, String>(show).fetch_one(&mut **transaction).await?);
    }
    assert_eq!(read, ["9s", "10s", "5", "meta_catalog,public"]);
    Ok(())
}

#[tokio::test]
async fn postgres_a_stalled_holder_loses_its_transaction() -> Done {
    let url = testkit::postgres::database().await;
    let db = open(&url, &Options { lease: Duration::from_millis(900), ..Options::default() }).await?;
    let deadline = Instant::now() + PATIENCE;
    // A statement has 270 milliseconds, which is more than a busy machine always gives it.
    let stalled = loop {
        assert!(Instant::now() < deadline, "the lease cannot be had");
        let Ok(Some(first)) = take(&db, "one", 900).await else { continue };
        if let Ok(begun) = first.begin(&db, None).await {
            break begun;
        }
    };
    // A taker that waits too long for the lock is told so, and asks again.
    while !matches!(take(&db, "two", MINUTE).await, Ok(Some(_))) {
        assert!(Instant::now() < deadline, "the stalled holder keeps the pipeline");
    }
    assert!(stalled.commit().await.is_err());
    Ok(())
}
