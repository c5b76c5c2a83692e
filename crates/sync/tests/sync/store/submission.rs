//! Submissions, from the moment before the call until the verdict.

use catalog_sync::domain::state::{Op, SyncStatus};
use catalog_sync::store::StoreError;
use catalog_sync::store::submission::{self, Answered, Due, NewSubmission, Row, RowVerdict, Show};
use catalog_sync::store::sync_state::Pushed;
use serde_json::json;

use super::sync_state::{held, pushed, record};
use super::{Done, NOW, TestDb, conformance};

conformance![
    a_submission_goes_from_sending_to_pending_to_closed,
    due_asks_the_never_polled_first_and_then_the_longest_ago,
    a_pause_after_a_poll_is_kept,
    faults_of_polls_are_counted_in_a_row,
    a_handle_that_was_given_before_is_known,
    a_verdict_changes_only_rows_that_wait_for_its_handle,
    what_a_verdict_leaves_in_the_rows,
    the_list_goes_by_time_and_by_what_became_of_a_call,
    a_pause_ends_when_the_verdict_is_asked_for,
    a_notification_brings_exactly_its_handle_forward,
    a_notification_during_a_question_is_not_lost,
];

fn rows() -> Vec<Row> {
    vec![Row("ä".into(), Op::Upsert, Some("hash".into()), Some(4)), Row("gone \"1\"".into(), Op::Delete, None, None)]
}

async fn begin(db: &TestDb, id: &str, now: i64) -> Done {
    let mut tx = db.write().await?;
    let rows = rows();
    let new =
        NewSubmission { id, catalog_id: "cat", epoch: 7, rows: &rows, mapper_digest: "digest", implicit_deletes: 0 };
    submission::begin(&mut tx, &new, now).await?;
    tx.commit().await
}

async fn accept(db: &TestDb, id: &str, now: i64) -> Done {
    begin(db, id, now).await?;
    let mut tx = db.write().await?;
    submission::accepted(&mut tx, id, &format!("handle-{id}"), now).await?;
    tx.commit().await
}

/// Everything is due then.
const LAST: Due = Due { now: i64::MAX, polled_before: i64::MAX, pauses_over: i64::MAX };

/// The open submissions that were not polled since `before`, whatever their pause.
async fn due(db: &TestDb, before: i64, limit: i64) -> Result<Vec<String>, StoreError> {
    due_at(db, i64::MAX, before, limit).await
}

async fn due_at(db: &TestDb, now: i64, before: i64, limit: i64) -> Result<Vec<String>, StoreError> {
    let mut tx = db.read().await?;
    Ok(submission::due(&mut tx, Due { now, polled_before: before, pauses_over: now }, limit)
        .await?
        .into_iter()
        .map(|call| call.id)
        .collect())
}

async fn polled(db: &TestDb, id: &str, unknown_handle: bool, now: i64) -> Done {
    let mut tx = db.write().await?;
    submission::polled(&mut tx, id, Answered { asked_at: now, unknown_handle, next_at: now + 100, notices: 0 }).await?;
    tx.commit().await
}

async fn next_poll(db: &TestDb) -> Result<Option<i64>, StoreError> {
    let mut tx = db.read().await?;
    submission::next_poll(&mut tx).await
}

async fn is_repeated(db: &TestDb, handle: &str) -> Result<bool, StoreError> {
    let mut tx = db.read().await?;
    submission::is_repeated(&mut tx, handle).await
}

async fn close(db: &TestDb, id: &str, failed: Option<&str>, errors: Option<&serde_json::Value>) -> Done {
    let mut tx = db.write().await?;
    submission::close(&mut tx, id, failed, errors, NOW + 50).await?;
    tx.commit().await
}

async fn open_counts(db: &TestDb) -> Result<(i64, i64), StoreError> {
    let mut tx = db.read().await?;
    submission::open_counts(&mut tx).await
}

async fn a_submission_goes_from_sending_to_pending_to_closed(db: &TestDb) -> Done {
    assert_eq!(open_counts(db).await?, (0, 0));
    begin(db, "s1", NOW).await?;
    begin(db, "s2", NOW + 1).await?;
    assert_eq!(open_counts(db).await?, (0, 2));
    let mut tx = db.read().await?;
    let unresolved = submission::unresolved(&mut tx).await?;
    drop(tx);
    let first = &unresolved[0];
    assert_eq!((first.id.as_str(), first.catalog_id.as_str(), &first.handle), ("s1", "cat", &None));
    assert_eq!((&first.rows, first.submitted_at, first.poll_faults), (&rows(), NOW, 0));
    assert!(due(db, i64::MAX, 9).await?.is_empty(), "nothing to ask for before it was taken");

    let mut tx = db.write().await?;
    submission::accepted(&mut tx, "s1", "handle", NOW + 2).await?;
    tx.commit().await?;
    assert_eq!(open_counts(db).await?, (1, 1));
    let mut tx = db.read().await?;
    let call = submission::due(&mut tx, Due { now: NOW, polled_before: NOW, pauses_over: NOW }, 9).await?.remove(0);
    drop(tx);
    assert_eq!((call.handle.as_deref(), call.submitted_at, &call.rows), (Some("handle"), NOW + 2, &rows()));

    close(db, "s1", None, Some(&json!({"errors": [{"id": "ä"}], "errors_total_count": 1}))).await?;
    close(db, "s2", Some("timeout"), None).await?;
    assert_eq!(open_counts(db).await?, (0, 0));
    let closed = db.texts(
        "SELECT id || ' ' || state || ' ' || COALESCE(reason, '-') || ' ' || row_count || ' ' || epoch || ' '
             || CAST(delete_retailer_ids AS TEXT) FROM meta_batch_handles ORDER BY id",
    );
    assert_eq!(closed.await?, [r#"s1 completed - 2 7 ["gone \"1\""]"#, r#"s2 failed timeout 2 7 ["gone \"1\""]"#]);
    let errors = db.texts("SELECT CAST(errors AS TEXT) FROM meta_batch_handles WHERE errors IS NOT NULL").await?;
    let errors: serde_json::Value = serde_json::from_str(&errors[0]).expect("JSON");
    assert_eq!(errors, json!({"errors": [{"id": "ä"}], "errors_total_count": 1}));
    Ok(())
}

async fn due_asks_the_never_polled_first_and_then_the_longest_ago(db: &TestDb) -> Done {
    for (id, at) in [("late", 3), ("early", 2), ("recent", 0), ("old", 1)] {
        accept(db, id, NOW + at).await?;
    }
    polled(db, "recent", false, NOW + 20).await?;
    polled(db, "old", false, NOW + 10).await?;
    assert_eq!(due(db, NOW + 20, 9).await?, ["early", "late", "old", "recent"]);
    assert_eq!(due(db, NOW + 19, 9).await?, ["early", "late", "old"]);
    assert_eq!(due(db, NOW + 20, 2).await?, ["early", "late"]);
    close(db, "early", None, None).await?;
    assert_eq!(due(db, NOW + 20, 2).await?, ["late", "old"]);
    Ok(())
}

/// A handle without a verdict is not due before its pause ends, and the answers are counted.
async fn a_pause_after_a_poll_is_kept(db: &TestDb) -> Done {
    assert_eq!(next_poll(db).await?, None);
    accept(db, "fresh", NOW).await?;
    accept(db, "asked", NOW).await?;
    accept(db, "closed", NOW).await?;
    polled(db, "asked", false, NOW).await?;
    polled(db, "asked", true, NOW + 1).await?;
    polled(db, "closed", false, NOW).await?;
    close(db, "closed", None, None).await?;
    assert_eq!(due_at(db, NOW + 100, NOW + 100, 9).await?, ["fresh"]);
    assert_eq!(due_at(db, NOW + 101, NOW + 100, 9).await?, ["fresh", "asked"]);
    // A clock that was an hour ahead was set back.
    let back = NOW - 60 * 60 * 1_000;
    assert_eq!(due_at(db, back, back, 9).await?, ["fresh", "asked"], "nobody waits for that hour");
    assert_eq!(next_poll(db).await?, Some(0), "at once");
    polled(db, "fresh", false, NOW + 7).await?;
    assert_eq!(next_poll(db).await?, Some(NOW + 101));
    let mut tx = db.read().await?;
    let polls: Vec<i64> = submission::due(&mut tx, LAST, 9).await?.into_iter().map(|call| call.polls).collect();
    assert_eq!(polls, [2, 1]);
    Ok(())
}

async fn a_handle_that_was_given_before_is_known(db: &TestDb) -> Done {
    for (id, handle) in [("one", "h1"), ("closed", "h2"), ("two", "h3\nh4")] {
        begin(db, id, NOW).await?;
        let mut tx = db.write().await?;
        submission::accepted(&mut tx, id, handle, NOW).await?;
        tx.commit().await?;
    }
    close(db, "closed", None, None).await?;
    for known in ["h1", "h2", "h3", "h4", "h3\nh4", "new\nh1", "h4\nh3"] {
        assert!(is_repeated(db, known).await?, "{known:?}");
    }
    for new in ["h", "h11", "new", "new\nnewer"] {
        assert!(!is_repeated(db, new).await?, "{new:?}");
    }
    Ok(())
}

async fn faults_of_polls_are_counted_in_a_row(db: &TestDb) -> Done {
    accept(db, "s", NOW).await?;
    let faults = "SELECT poll_faults FROM meta_batch_handles";
    polled(db, "s", true, NOW).await?;
    polled(db, "s", true, NOW).await?;
    assert_eq!(db.number(faults).await?, 2);
    polled(db, "s", false, NOW).await?;
    assert_eq!(db.number(faults).await?, 0);
    close(db, "s", None, None).await?;
    polled(db, "s", true, NOW).await?;
    assert_eq!(db.number(faults).await?, 0, "a closed one is not touched");
    Ok(())
}

fn verdict(variant_id: &str, status: SyncStatus, fields: Option<i64>) -> RowVerdict<'_> {
    RowVerdict { variant_id, status, error: (status == SyncStatus::Failed).then_some("refused"), fields, cause: None }
}

async fn apply(db: &TestDb, handle: &str, verdicts: &[RowVerdict<'_>]) -> Result<Vec<(String, i64)>, StoreError> {
    let mut tx = db.write().await?;
    let changed = submission::apply_verdict(&mut tx, handle, verdicts, NOW + 60).await?;
    tx.commit().await?;
    let mut changed: Vec<_> = changed.into_iter().collect();
    changed.sort();
    Ok(changed)
}

/// Invariant 3.
async fn a_verdict_changes_only_rows_that_wait_for_its_handle(db: &TestDb) -> Done {
    record(
        db,
        &[
            pushed("waits", SyncStatus::Submitted),
            Pushed { handle: Some("h2"), ..pushed("moved-on", SyncStatus::Submitted) },
            // Settled before, by the same handle.
            pushed("settled", SyncStatus::Synced),
        ],
    )
    .await?;
    let all = ["waits", "moved-on", "settled", "unknown"].map(|id| verdict(id, SyncStatus::Failed, None));
    assert_eq!(apply(db, "h1", &all).await?, [("waits".into(), 1)]);
    assert_eq!(held(db, "moved-on").await?.map(|held| held.status), Some(SyncStatus::Submitted));
    assert_eq!(held(db, "settled").await?.map(|held| (held.status, held.version)), Some((SyncStatus::Synced, 1)));
    assert_eq!(apply(db, "h1", &all).await?, [], "a second verdict finds nothing");
    Ok(())
}

async fn what_a_verdict_leaves_in_the_rows(db: &TestDb) -> Done {
    let submit = |id| Pushed { count_attempt: true, reeval_at: Some(NOW + 99), ..pushed(id, SyncStatus::Submitted) };
    record(db, &["ok", "bad", "gone"].map(submit)).await?;
    let verdicts = [
        verdict("ok", SyncStatus::Synced, Some(2)),
        verdict("bad", SyncStatus::Failed, Some(2)),
        verdict("gone", SyncStatus::Deleted, None),
    ];
    assert_eq!(apply(db, "h1", &verdicts).await?, [("bad".into(), 2), ("gone".into(), 0), ("ok".into(), 0)]);

    let seen = |held: Option<catalog_sync::domain::state::SyncState>| {
        held.map(|held| (held.status, held.hash, held.at_meta, held.fields_at_meta, held.attempts, held.version))
    };
    // Confirmed: the claim holds, and the fields are those of the clean push.
    let ok = (SyncStatus::Synced, Some("hash".into()), true, Some(2), 0, 2);
    assert_eq!(seen(held(db, "ok").await?), Some(ok));
    // Refused: no claim, and Meta may still hold every field it ever got.
    assert_eq!(seen(held(db, "bad").await?), Some((SyncStatus::Failed, None, true, Some(3), 2, 2)));
    assert_eq!(seen(held(db, "gone").await?), Some((SyncStatus::Deleted, None, false, None, 0, 2)));
    let timed = db.texts("SELECT variant_id FROM meta_sync_state WHERE reeval_at IS NOT NULL ORDER BY variant_id");
    assert_eq!(timed.await?, ["bad", "ok"]);
    assert_eq!(db.texts("SELECT last_error FROM meta_sync_state WHERE last_error IS NOT NULL").await?, ["refused"]);
    Ok(())
}

async fn the_list_goes_by_time_and_by_what_became_of_a_call(db: &TestDb) -> Done {
    for (id, at) in [("a", NOW), ("b", NOW + 1), ("c", NOW + 1), ("d", NOW + 2), ("e", NOW + 3)] {
        accept(db, id, at).await?;
    }
    begin(db, "f", NOW + 4).await?;
    let verdict = json!({"errors": [{"id": "ä", "line": 1, "message": "Not now"}], "errors_total_count": 2, "warnings_total_count": 1});
    close(db, "a", None, Some(&verdict)).await?;
    close(db, "b", Some("unknown"), None).await?;
    close(db, "d", Some("canceled"), None).await?;
    let shown = async |show, before, limit| -> Result<String, StoreError> {
        let rows = submission::recent(&mut db.read().await?, show, before, limit).await?;
        Ok(rows.into_iter().map(|row| row.id).collect())
    };
    assert_eq!(shown(Show::All, None, 9).await?, "fedcba");
    assert_eq!(shown(Show::All, Some((NOW + 1, "c")), 1).await?, "b", "of the same time");
    assert_eq!(shown(Show::Open, None, 9).await?, "fec");
    assert_eq!(shown(Show::Open, Some((NOW + 3, "e")), 9).await?, "c");
    assert_eq!(shown(Show::Settled, None, 9).await?, "dba");
    assert_eq!(shown(Show::Failed, None, 9).await?, "db");
    assert_eq!(shown(Show::Failed, Some((NOW + 2, "d")), 9).await?, "b");

    let told = submission::find(&mut db.read().await?, "a").await?.expect("it is kept");
    let about = &told.submission;
    assert_eq!((about.row_count, about.deletes, about.errors, about.warnings), (2, 1, Some(2), Some(1)));
    assert!(told.verdict.expect("a verdict").contains("Not now"));
    assert_eq!(submission::find(&mut db.read().await?, "nothing").await?, None);
    let open = submission::find(&mut db.read().await?, "c").await?.expect("it is kept");
    assert_eq!((open.submission.errors, open.verdict), (None, None));
    Ok(())
}

async fn a_pause_ends_when_the_verdict_is_asked_for(db: &TestDb) -> Done {
    accept(db, "a", NOW).await?;
    let mut tx = db.write().await?;
    let answered = Answered { asked_at: NOW, unknown_handle: false, next_at: NOW + 60_000, notices: 0 };
    submission::polled(&mut tx, "a", answered).await?;
    tx.commit().await?;
    assert_eq!(due_at(db, NOW + 1_000, NOW, 9).await?, [] as [&str; 0]);
    let mut tx = db.write().await?;
    assert_eq!(submission::ask_again(&mut tx).await?, 1);
    tx.commit().await?;
    assert_eq!(due_at(db, NOW + 1_000, NOW, 9).await?, ["a"]);
    Ok(())
}

async fn bring_forward(db: &TestDb, handles: &[&str]) -> Result<u64, StoreError> {
    let mut tx = db.write().await?;
    let woken = submission::bring_forward(&mut tx, handles).await?;
    tx.commit().await?;
    Ok(woken)
}

async fn a_notification_brings_exactly_its_handle_forward(db: &TestDb) -> Done {
    for (id, handle) in [("a", "h_1"), ("b", "h%2"), ("c", "h3\nh4"), ("closed", "h5"), ("never", "hx1")] {
        begin(db, id, NOW).await?;
        let mut tx = db.write().await?;
        submission::accepted(&mut tx, id, handle, NOW).await?;
        tx.commit().await?;
        polled(db, id, false, NOW + 10).await?;
    }
    close(db, "closed", None, None).await?;
    let due_now = async || due_at(db, NOW + 20, NOW, 9).await;
    assert_eq!(due_now().await?, [""; 0], "all of them pause");
    assert_eq!(bring_forward(db, &["unknown", "h5", "h", "3", "h%"]).await?, 0);
    assert_eq!(bring_forward(db, &[]).await?, 0);
    assert_eq!(due_now().await?, [""; 0]);
    assert_eq!(bring_forward(db, &["h_1"]).await?, 1);
    assert_eq!(due_now().await?, ["a"]);
    assert_eq!(next_poll(db).await?, Some(0));
    assert_eq!(bring_forward(db, &["h4", "h%2", "h3"]).await?, 2, "one of several handles of a submission is enough");
    assert_eq!(due_now().await?, ["a", "b", "c"]);
    // To repeat it gains nothing in the end.
    for _ in 0..20 {
        bring_forward(db, &["h_1"]).await?;
    }
    let notices = "SELECT notices FROM meta_batch_handles WHERE id = 'a'";
    assert_eq!(db.number(notices).await?, submission::MOST_NOTICES);
    let mut tx = db.write().await?;
    let answered =
        Answered { asked_at: NOW, unknown_handle: false, next_at: NOW + 100, notices: submission::MOST_NOTICES };
    submission::polled(&mut tx, "a", answered).await?;
    tx.commit().await?;
    assert_eq!(bring_forward(db, &["h_1"]).await?, 0);
    assert_eq!(due_now().await?, ["b", "c"]);
    Ok(())
}

/// Meta's answer may be older than the notification that comes while the answer is on its way.
async fn a_notification_during_a_question_is_not_lost(db: &TestDb) -> Done {
    for id in ["asked", "troubled"] {
        accept(db, id, NOW).await?;
    }
    let mut tx = db.read().await?;
    let asked = submission::due(&mut tx, LAST, 9).await?;
    drop(tx);
    assert_eq!(bring_forward(db, &["handle-asked", "handle-troubled"]).await?, 2);
    let answered = |notices| Answered { asked_at: NOW, unknown_handle: false, next_at: NOW + 60_000, notices };
    let mut tx = db.write().await?;
    submission::polled(&mut tx, "asked", answered(asked[0].notices)).await?;
    submission::asked_in_vain(&mut tx, "troubled", answered(asked[1].notices)).await?;
    tx.commit().await?;
    assert_eq!(due_at(db, NOW + 1, NOW, 9).await?, ["asked", "troubled"]);
    let mut tx = db.read().await?;
    let again = submission::due(&mut tx, LAST, 9).await?;
    drop(tx);
    assert_eq!(again.iter().map(|call| (call.polls, call.notices)).collect::<Vec<_>>(), [(1, 1), (1, 1)]);
    let mut tx = db.write().await?;
    submission::polled(&mut tx, "asked", answered(1)).await?;
    submission::asked_in_vain(&mut tx, "troubled", answered(1)).await?;
    tx.commit().await?;
    assert_eq!(due_at(db, NOW + 1, NOW, 9).await?, [""; 0]);
    Ok(())
}
