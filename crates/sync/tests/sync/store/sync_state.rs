//! What is known of each variant at Meta.

use catalog_sync::domain::lint::Noted;
use catalog_sync::domain::state::{SyncState, SyncStatus};
use catalog_sync::store::outbox::Cursor;
use catalog_sync::store::sync_state::{self, Pushed, Settled};
use catalog_sync::store::{StoreError, issues};

use super::outbox::{open_rows, upsert};
use super::{Done, NOW, TestDb, conformance};

conformance![
    a_push_creates_a_row_and_then_changes_it,
    skips_are_written_and_deleted_stays_deleted,
    a_stale_skip_does_not_count,
    noops_are_confirmed_only_on_the_row_they_were_decided_on,
    a_noop_with_a_new_warning_says_since_when,
    only_never_pushed_rows_are_forgotten,
    dropped_claims_leave_nothing_to_rely_on,
    windows_open_once,
    states_are_counted,
    an_unknown_word_is_named,
];

/// A row as after an accepted call.
pub(super) fn pushed<'a>(variant_id: &'a str, status: SyncStatus) -> Pushed<'a> {
    Pushed {
        variant_id,
        product_id: Some("p"),
        status,
        handle: Some("h1"),
        hash: Some("hash"),
        pushed: true,
        error: None,
        count_attempt: false,
        at_meta: true,
        fields_at_meta: Some(3),
        mapper_digest: Some("digest"),
        reeval_at: None,
        noted: &Noted::NOTHING,
        cause: None,
    }
}

pub(super) async fn record(db: &TestDb, rows: &[Pushed<'_>]) -> Result<u64, StoreError> {
    let mut tx = db.write().await?;
    let count = sync_state::record_pushed(&mut tx, "cat", rows, NOW).await?;
    tx.commit().await?;
    Ok(count)
}

pub(super) async fn held(db: &TestDb, variant: &str) -> Result<Option<SyncState>, StoreError> {
    let mut tx = db.read().await?;
    Ok(sync_state::load(&mut tx, &[variant]).await?.remove(variant))
}

fn settled<'a>(variant_id: &'a str, version: i64, skipped: Option<&'a str>) -> Settled<'a> {
    Settled { variant_id, product_id: None, version, skipped, reeval_at: None, noted: &Noted::NOTHING }
}

async fn skip(db: &TestDb, rows: &[&Settled<'_>]) -> Result<Vec<String>, StoreError> {
    let mut tx = db.write().await?;
    let mut done = sync_state::record_skips(&mut tx, rows, NOW).await?;
    tx.commit().await?;
    done.sort();
    Ok(done)
}

async fn a_push_creates_a_row_and_then_changes_it(db: &TestDb) -> Done {
    let on_sale = Pushed { reeval_at: Some(NOW + 9), ..pushed("a", SyncStatus::Submitted) };
    assert_eq!(record(db, &[on_sale, pushed("b", SyncStatus::Submitted)]).await?, 2);
    let expected = SyncState {
        status: SyncStatus::Submitted,
        catalog_id: Some("cat".into()),
        hash: Some("hash".into()),
        at_meta: true,
        fields_at_meta: Some(3),
        attempts: 0,
        excluded: false,
        version: 1,
    };
    assert_eq!(held(db, "a").await?, Some(expected.clone()));
    assert_eq!(held(db, "c").await?, None);

    // A mapper's fault: nothing went over the wire, so what is known of the last call stays, the end of a sale as well.
    let fault = Pushed {
        product_id: None,
        handle: None,
        hash: None,
        pushed: false,
        error: Some("it panicked"),
        count_attempt: true,
        mapper_digest: None,
        reeval_at: None,
        ..pushed("a", SyncStatus::Failed)
    };
    record(db, &[fault.clone(), Pushed { variant_id: "new", fields_at_meta: None, at_meta: false, ..fault.clone() }])
        .await?;
    record(db, &[fault]).await?;
    let failed = SyncState { status: SyncStatus::Failed, hash: None, attempts: 2, version: 3, ..expected.clone() };
    assert_eq!(held(db, "a").await?, Some(failed));
    assert_eq!(held(db, "b").await?, Some(expected));
    let kept = "SELECT variant_id || ' ' || COALESCE(product_id, '-') || ' ' || COALESCE(last_handle, '-') || ' '
                || COALESCE(last_pushed_at, 0) || ' ' || COALESCE(meta_retailer_id, '-') || ' '
                || COALESCE(mapper_digest, '-') || ' ' || last_error || ' ' || COALESCE(reeval_at, 0) || ' ' || attempts
                FROM meta_sync_state WHERE status = 'failed' ORDER BY variant_id";
    assert_eq!(
        db.texts(kept).await?,
        [format!("a p h1 {NOW} a digest it panicked {} 2", NOW + 9), "new - - 0 - - it panicked 0 1".into()]
    );
    Ok(())
}

async fn skips_are_written_and_deleted_stays_deleted(db: &TestDb) -> Done {
    upsert(db, &["pending"]).await?;
    record(db, &[pushed("deleted", SyncStatus::Deleted)]).await?;
    let rows = [settled("new", 0, Some("why")), settled("pending", 1, Some("why")), settled("deleted", 1, Some("why"))];
    assert_eq!(skip(db, &rows.iter().collect::<Vec<_>>()).await?, ["deleted", "new", "pending"]);
    let states = db.texts(
        "SELECT variant_id || ' ' || status || ' ' || last_error || ' ' || version FROM meta_sync_state
         ORDER BY variant_id",
    );
    assert_eq!(states.await?, ["deleted deleted why 2", "new skipped why 1", "pending skipped why 2"]);
    Ok(())
}

async fn a_stale_skip_does_not_count(db: &TestDb) -> Done {
    upsert(db, &["a", "b", "c"]).await?;
    record(db, &[pushed("a", SyncStatus::Submitted)]).await?;
    db.run("DELETE FROM meta_sync_state WHERE variant_id = 'c'").await?;
    let rows = [settled("a", 1, Some("why")), settled("b", 1, Some("why")), settled("c", 1, Some("why"))];
    assert_eq!(skip(db, &rows.iter().collect::<Vec<_>>()).await?, ["b"]);
    assert_eq!(held(db, "a").await?.map(|held| (held.status, held.version)), Some((SyncStatus::Submitted, 2)));
    assert_eq!(held(db, "c").await?, None, "a row that went away is not the one read");
    // Decided on no row, and there is one now.
    assert_eq!(skip(db, &[&settled("a", 0, Some("why"))]).await?, Vec::<String>::new());
    Ok(())
}

async fn noops_are_confirmed_only_on_the_row_they_were_decided_on(db: &TestDb) -> Done {
    record(db, &[pushed("a", SyncStatus::Synced), pushed("b", SyncStatus::Synced)]).await?;
    record(db, &[pushed("b", SyncStatus::Submitted)]).await?;
    let rows = [
        Settled { reeval_at: Some(NOW + 7), ..settled("a", 1, None) },
        Settled { reeval_at: Some(NOW + 7), ..settled("b", 1, None) },
        settled("c", 0, None),
    ];
    let mut tx = db.write().await?;
    let same = sync_state::confirm_noops(&mut tx, &rows.iter().collect::<Vec<_>>(), NOW + 9).await?;
    tx.commit().await?;
    assert_eq!(same, ["a"]);
    assert_eq!(held(db, "a").await?.map(|held| held.version), Some(1), "a noop touches nothing that counts");
    assert_eq!(db.texts("SELECT variant_id FROM meta_sync_state WHERE reeval_at IS NOT NULL").await?, ["a"]);
    Ok(())
}

async fn a_noop_with_a_new_warning_says_since_when(db: &TestDb) -> Done {
    upsert(db, &["a"]).await?;
    record(db, &[pushed("a", SyncStatus::Submitted)]).await?;
    let noted = Noted { warnings: Some("invalid_gtin".into()), traits: None };
    let row = Settled { noted: &noted, ..settled("a", 2, None) };
    for now in [NOW + 9, NOW + 12] {
        let mut tx = db.write().await?;
        assert_eq!(sync_state::confirm_noops(&mut tx, &[&row], now).await?, ["a"]);
        let groups = issues::warnings(&mut tx).await?;
        assert_eq!(
            groups.iter().map(|group| (group.first_at, group.last_at)).collect::<Vec<_>>(),
            [(NOW + 9, NOW + 9)]
        );
        tx.commit().await?;
    }
    Ok(())
}

async fn only_never_pushed_rows_are_forgotten(db: &TestDb) -> Done {
    upsert(db, &["pending", "other"]).await?;
    record(db, &[pushed("synced", SyncStatus::Synced), pushed("held", SyncStatus::Pending)]).await?;
    // The shop does not have it, and Meta never took it.
    record(db, &[Pushed { at_meta: false, ..pushed("failed", SyncStatus::Failed) }]).await?;
    let mut tx = db.write().await?;
    assert_eq!(sync_state::forget_dropped(&mut tx, &["pending", "synced", "held", "unknown", "failed"]).await?, 2);
    tx.commit().await?;
    let left = db.texts("SELECT variant_id FROM meta_sync_state ORDER BY variant_id").await?;
    assert_eq!(left, ["held", "other", "synced"]);
    Ok(())
}

async fn dropped_claims_leave_nothing_to_rely_on(db: &TestDb) -> Done {
    let all = SyncStatus::ALL.map(|status| pushed(status.as_str(), status));
    record(db, &all).await?;
    let mut tx = db.write().await?;
    assert_eq!(sync_state::drop_claims(&mut tx, NOW).await?, 6);
    tx.commit().await?;
    for status in SyncStatus::ALL {
        let expected = match status {
            SyncStatus::Skipped | SyncStatus::Deleted => status,
            _ => SyncStatus::Pending,
        };
        let expected = SyncState {
            status: expected,
            catalog_id: None,
            hash: None,
            at_meta: false,
            fields_at_meta: None,
            attempts: 0,
            excluded: false,
            version: 2,
        };
        assert_eq!(held(db, status.as_str()).await?, Some(expected));
    }
    assert_eq!(db.number("SELECT COUNT(last_handle) FROM meta_sync_state").await?, 0);
    Ok(())
}

async fn windows_open_once(db: &TestDb) -> Done {
    let at = |variant_id, reeval_at| Pushed { reeval_at: Some(reeval_at), ..pushed(variant_id, SyncStatus::Synced) };
    record(db, &[at("now", NOW), at("past", NOW - 1), at("later", NOW + 1), pushed("never", SyncStatus::Synced)])
        .await?;
    let mut tx = db.read().await?;
    assert!(!sync_state::windows_due(&mut tx, NOW - 2).await?);
    assert!(sync_state::windows_due(&mut tx, NOW).await?);
    drop(tx);
    // One a time: the longest due first.
    for expected in [1, 1, 0] {
        let mut tx = db.write().await?;
        assert_eq!(sync_state::open_windows(&mut tx, 1, NOW).await?, expected);
        tx.commit().await?;
    }
    let rows = open_rows(db).await?.rows;
    let mut asked: Vec<_> =
        rows.iter().map(|row| (row.variant_id.as_str(), row.intent.as_str(), row.origin.as_str())).collect();
    asked.sort_unstable();
    assert_eq!(asked, [("now", "upsert", "window"), ("past", "upsert", "window")]);
    assert_eq!(db.number("SELECT reeval_at FROM meta_sync_state WHERE reeval_at IS NOT NULL").await?, NOW + 1);
    Ok(())
}

async fn states_are_counted(db: &TestDb) -> Done {
    let mut tx = db.read().await?;
    assert!(sync_state::counts(&mut tx).await?.is_empty());
    drop(tx);
    record(db, &[pushed("a", SyncStatus::Synced), pushed("b", SyncStatus::Synced), pushed("c", SyncStatus::Failed)])
        .await?;
    let mut tx = db.read().await?;
    let counts = sync_state::counts(&mut tx).await?;
    assert_eq!(counts, [(SyncStatus::Synced, 2), (SyncStatus::Failed, 1)].into());
    Ok(())
}

async fn an_unknown_word_is_named(db: &TestDb) -> Done {
    upsert(db, &["a"]).await?;
    db.run("UPDATE meta_sync_state SET status = 'paused'; UPDATE meta_outbox SET intent = 'merge'").await?;
    let error = held(db, "a").await.expect_err("not ours").to_string();
    assert_eq!(error, "this version cannot read meta_sync_state.status: unknown word \"paused\"");
    let error = super::outbox::window(db, Cursor::default(), 1).await.expect_err("not ours").to_string();
    assert_eq!(error, "this version cannot read meta_outbox.intent: unknown word \"merge\"");
    Ok(())
}
