//! What goes once it is old, and what stays whatever its age.

use std::collections::BTreeMap;

use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::domain::state::Op;
use catalog_sync::store::outbox::{self, Cursor, IntentOutcome, Place};
use catalog_sync::store::submission::{self, NewSubmission, Row};
use catalog_sync::store::{StoreError, bulk};

use super::outbox::{append, upsert};
use super::{Done, NOW, TestDb, conformance, ids};

conformance![
    old_intents_go_and_open_ones_stay,
    the_last_word_stays_where_it_may_be_asked_for,
    a_preview_goes_before_what_came_after_it,
    no_pass_changes_what_would_be_asked_for_again,
    closed_submissions_go_the_oldest_first,
];

const DAY: i64 = 24 * 60 * 60 * 1_000;

/// Appends an intent and marks it, or not, at that time.
async fn intent(
    db: &TestDb,
    variant: &str,
    intent: Intent,
    origin: Origin,
    done: Option<(IntentOutcome, i64)>,
) -> Done {
    let mut tx = db.write().await?;
    outbox::append(&mut tx, &ids(&[variant]), intent, origin, NOW).await?;
    tx.commit().await?;
    let seq = db.number("SELECT MAX(seq) FROM meta_outbox").await?;
    if let Some((outcome, at)) = done {
        let mut tx = db.write().await?;
        assert_eq!(outbox::mark(&mut tx, &[(seq, outcome)], at).await?, 1, "marked");
        tx.commit().await?;
    }
    Ok(())
}

async fn done(db: &TestDb, variant: &str, outcome: IntentOutcome, at: i64) -> Done {
    intent(db, variant, Intent::Upsert, Origin::Event, Some((outcome, at))).await
}

/// One pass in chunks of `limit`; answers how many went.
async fn pass(db: &TestDb, before: i64, limit: i64) -> Result<u64, StoreError> {
    let (mut place, mut gone) = (Some(Place::START), 0);
    while let Some(from) = place {
        let (next, more) = chunk(db, before, from, limit).await?;
        (place, gone) = (next, gone + more);
    }
    Ok(gone)
}

async fn chunk(db: &TestDb, before: i64, from: Place, limit: i64) -> Result<(Option<Place>, u64), StoreError> {
    let mut tx = db.read().await?;
    let settled = outbox::settled(&mut tx, before, from, limit).await?;
    drop(tx);
    let mut tx = db.write().await?;
    let gone = outbox::forget(&mut tx, &settled.seqs).await?;
    tx.commit().await?;
    assert_eq!(gone, settled.seqs.len() as u64);
    Ok((settled.next, gone))
}

async fn left(db: &TestDb) -> Result<Vec<String>, StoreError> {
    db.texts("SELECT variant_id || ' ' || COALESCE(outcome, 'open') FROM meta_outbox ORDER BY seq").await
}

/// A preview is recorded only in that mode.
async fn preview_mode(db: &TestDb) -> Done {
    db.run("INSERT INTO setting (grp, key, value, updated_at) VALUES ('meta', 'feed_mode', '\"preview\"', 0)").await
}

async fn old_intents_go_and_open_ones_stay(db: &TestDb) -> Done {
    for (variant, outcome) in
        [("a", IntentOutcome::Submitted), ("b", IntentOutcome::Noop), ("c", IntentOutcome::Skipped)]
    {
        done(db, variant, outcome, NOW).await?;
    }
    done(db, "on the day", IntentOutcome::Dropped, NOW + DAY).await?;
    upsert(db, &["open", "parked", "held"]).await?;
    db.run("UPDATE meta_outbox SET enqueued_at = 0").await?;
    db.run("UPDATE meta_outbox SET parked_at = 0 WHERE variant_id = 'parked'").await?;
    db.run("UPDATE meta_outbox SET held_at = 0 WHERE variant_id = 'held'").await?;

    assert_eq!(pass(db, NOW, 10).await?, 0, "none is older than that");
    assert_eq!(pass(db, NOW + DAY, 10).await?, 3);
    let open = ["open open", "parked open", "held open"];
    assert_eq!(left(db).await?, [&["on the day dropped"], &open[..]].concat());
    assert_eq!(pass(db, NOW + DAY + 1, 1).await?, 1);
    assert_eq!(left(db).await?, open);

    let open: Vec<i64> = {
        let mut tx = db.read().await?;
        outbox::read_window(&mut tx, Cursor::default(), 10)
            .await?
            .expect("open rows")
            .rows
            .iter()
            .map(|row| row.seq)
            .collect()
    };
    let mut tx = db.write().await?;
    assert_eq!(outbox::forget(&mut tx, &open).await?, 0, "not even when told to");
    tx.commit().await
}

async fn the_last_word_stays_where_it_may_be_asked_for(db: &TestDb) -> Done {
    preview_mode(db).await?;
    for variant in ["synced", "failed", "submitted", "previewed", "unknown"] {
        done(db, variant, IntentOutcome::Noop, NOW).await?;
        let outcome = if variant == "previewed" { IntentOutcome::Previewed } else { IntentOutcome::Submitted };
        done(db, variant, outcome, NOW + 1).await?;
    }
    db.run(
        "UPDATE meta_sync_state SET status = CASE WHEN variant_id = 'previewed' THEN 'synced' ELSE variant_id END;
         DELETE FROM meta_sync_state WHERE variant_id = 'unknown'",
    )
    .await?;
    pass(db, NOW + DAY, 3).await?;
    assert_eq!(left(db).await?, ["failed submitted", "submitted submitted", "previewed previewed"]);

    // Settled since.
    db.run("UPDATE meta_sync_state SET status = 'synced'").await?;
    pass(db, NOW + DAY, 3).await?;
    assert_eq!(left(db).await?, ["previewed previewed"]);

    // An operator's delete is respected for as long as nothing follows it.
    let removal = Some((IntentOutcome::Submitted, NOW));
    intent(db, "removed", Intent::Delete, Origin::Operator, removal).await?;
    intent(db, "gone", Intent::Delete, Origin::Event, removal).await?;
    pass(db, NOW + DAY, 3).await?;
    assert_eq!(left(db).await?, ["previewed previewed", "removed submitted"]);
    done(db, "removed", IntentOutcome::Noop, NOW + 1).await?;
    pass(db, NOW + DAY, 3).await?;
    assert_eq!(left(db).await?, ["previewed previewed"]);
    Ok(())
}

/// Were the noop gone first, the change to `live` would send what the shop has taken back.
async fn a_preview_goes_before_what_came_after_it(db: &TestDb) -> Done {
    preview_mode(db).await?;
    // The clock was put back in between: the preview is the younger one by it.
    done(db, "a", IntentOutcome::Previewed, NOW + 2 * DAY).await?;
    done(db, "a", IntentOutcome::Noop, NOW).await?;
    assert_eq!(pass(db, NOW + DAY, 10).await?, 0);
    // A stretch of one millisecond says nothing of what came later.
    done(db, "b", IntentOutcome::Previewed, NOW).await?;
    done(db, "b", IntentOutcome::Noop, NOW).await?;
    assert_eq!(pass(db, NOW + DAY, 1).await?, 0);

    done(db, "c", IntentOutcome::Previewed, NOW).await?;
    done(db, "c", IntentOutcome::Noop, NOW + 1).await?;
    let (_, gone) = chunk(db, NOW + DAY, Place::START, 10).await?;
    assert_eq!(gone, 1);
    assert!(left(db).await?.contains(&"c noop".to_owned()));
    assert_eq!(pass(db, NOW + DAY, 10).await?, 1, "the noop follows in the next pass");
    Ok(())
}

/// What the two questions that read old intents would ask for now: the change to `live`, and the resync of what failed.
async fn asked_for_again(db: &TestDb) -> Result<(Vec<String>, Vec<String>), StoreError> {
    let mut tx = db.write().await?;
    outbox::requeue_previewed(&mut tx, NOW).await?;
    tx.commit().await?;
    let previews = take_back(db).await?;
    db.run("UPDATE meta_outbox SET outcome = 'previewed' WHERE outcome = 'requeued'").await?;
    let mut tx = db.write().await?;
    bulk::requeue_failed(&mut tx, NOW).await?;
    tx.commit().await?;
    Ok((previews, take_back(db).await?))
}

/// Removes the intents behind the fence; answers what they asked for.
async fn take_back(db: &TestDb) -> Result<Vec<String>, StoreError> {
    db.run(
        "UPDATE meta_outbox SET class = 'asked' WHERE seq > (SELECT MIN(seq) FROM meta_outbox WHERE class = 'fence')",
    )
    .await?;
    let asked =
        db.texts("SELECT variant_id || ' ' || intent FROM meta_outbox WHERE class = 'asked' ORDER BY 1").await?;
    db.run("DELETE FROM meta_outbox WHERE class = 'asked'").await?;
    Ok(asked)
}

/// An intent of a history, and after how many days it was processed, if it was.
type Step = (Intent, Origin, Option<(IntentOutcome, i64)>);

const STEPS: [Step; 7] = [
    (Intent::Upsert, Origin::Event, Some((IntentOutcome::Previewed, 0))),
    (Intent::Delete, Origin::Operator, Some((IntentOutcome::Previewed, 0))),
    (Intent::Delete, Origin::Operator, Some((IntentOutcome::Submitted, 0))),
    (Intent::Upsert, Origin::Event, Some((IntentOutcome::Submitted, 0))),
    (Intent::Upsert, Origin::Window, Some((IntentOutcome::Noop, 1))),
    (Intent::Delete, Origin::Event, Some((IntentOutcome::Submitted, 40))),
    (Intent::Upsert, Origin::Operator, None),
];

/// Every history of three intents, except that a newer intent which is processed takes the open ones before it along.
fn histories() -> Vec<(String, [Step; 3])> {
    let mut all = Vec::new();
    for (a, first) in STEPS.into_iter().enumerate() {
        for (b, second) in STEPS.into_iter().enumerate() {
            for (c, third) in STEPS.into_iter().enumerate() {
                let history = [first, second, third];
                if history.is_sorted_by_key(|step| step.2.is_none()) {
                    all.push((format!("{a}{b}{c}"), history));
                }
            }
        }
    }
    all
}

/// Writes the histories, each for a variant in each state.
async fn write_histories(db: &TestDb) -> Done {
    let histories = histories();
    for round in 0..3 {
        for step in STEPS {
            let taken = histories.iter().filter(|(_, history)| history[round] == step);
            let variants: Vec<String> = taken
                .flat_map(|(id, _)| ["failed", "submitted", "synced"].map(|status| format!("{status}-{id}")))
                .collect();
            let mut tx = db.write().await?;
            outbox::append(&mut tx, &variants, step.0, step.1, NOW).await?;
            tx.commit().await?;
        }
        let rows =
            db.texts("SELECT variant_id || ' ' || CAST(seq AS TEXT) FROM meta_outbox WHERE processed_at IS NULL");
        let mut marks: BTreeMap<i64, Vec<(i64, IntentOutcome)>> = BTreeMap::new();
        for row in rows.await? {
            let (variant, seq) = row.split_once(' ').expect("two parts");
            let (_, history) = histories.iter().find(|(id, _)| variant.ends_with(id)).expect("a history");
            if let Some((outcome, _)) = history[round].2 {
                let days: i64 = history[..=round].iter().filter_map(|step| step.2).map(|(_, days)| days).sum();
                marks.entry(NOW + days * DAY).or_default().push((seq.parse().expect("a number"), outcome));
            }
        }
        for (at, rows) in marks {
            let mut tx = db.write().await?;
            assert_eq!(outbox::mark(&mut tx, &rows, at).await?, rows.len() as u64);
            tx.commit().await?;
        }
    }
    db.run(
        "INSERT INTO meta_sync_state (variant_id, status, created_at, updated_at)
         SELECT DISTINCT variant_id, 'pending', 0, 0 FROM meta_outbox WHERE true ON CONFLICT DO NOTHING;
         UPDATE meta_sync_state SET status = CASE WHEN variant_id LIKE 'failed%' THEN 'failed'
             WHEN variant_id LIKE 'submitted%' THEN 'submitted' ELSE 'synced' END",
    )
    .await
}

async fn no_pass_changes_what_would_be_asked_for_again(db: &TestDb) -> Done {
    preview_mode(db).await?;
    write_histories(db).await?;
    // Whatever comes behind it was asked for by the test.
    append(db, &["fence"], Intent::Delete, Origin::Event).await?;
    db.run("UPDATE meta_outbox SET class = 'fence' WHERE variant_id = 'fence'").await?;

    let expected = asked_for_again(db).await?;
    for asked in [&expected.0, &expected.1] {
        assert!(["delete", "upsert"].iter().all(|kind| asked.iter().any(|row| row.ends_with(kind))), "{asked:?}");
    }
    let mut forgotten = 0;
    // Passes of which each sees a little more, in chunks that part variants anywhere.
    for days in [0, 1, 2, 3, 41, 42, 90, 200, 200, 200] {
        let mut place = Some(Place::START);
        while let Some(from) = place {
            let (next, gone) = chunk(db, NOW + days * DAY, from, 23).await?;
            (place, forgotten) = (next, forgotten + gone);
            if gone > 0 {
                assert_eq!(asked_for_again(db).await?, expected, "after {forgotten}");
            }
        }
    }
    // Of a variant that waits for a verdict, a refusal may make a failed one.
    db.run("UPDATE meta_sync_state SET status = 'failed' WHERE status = 'submitted'").await?;
    let (_, failed) = asked_for_again(db).await?;
    let of = |status| -> Vec<&str> { failed.iter().filter_map(|row| row.strip_prefix(status)).collect() };
    assert_eq!(of("submitted"), of("failed"));
    let rest = "SELECT COUNT(*) FROM meta_outbox o WHERE processed_at IS NOT NULL AND EXISTS (
                    SELECT 1 FROM meta_outbox n WHERE n.variant_id = o.variant_id AND n.seq > o.seq
                    AND n.processed_at > o.processed_at)";
    assert_eq!(db.number(rest).await?, 0, "nothing but last words is left");
    assert!(forgotten > 300, "{forgotten}");
    Ok(())
}

async fn submit(db: &TestDb, id: &str, closed: Option<(Option<&str>, i64)>) -> Done {
    let mut tx = db.write().await?;
    let rows = [Row("v".into(), Op::Upsert, Some("hash".into()), Some(1))];
    let new =
        NewSubmission { id, catalog_id: "cat", epoch: 1, rows: &rows, mapper_digest: "digest", implicit_deletes: 0 };
    submission::begin(&mut tx, &new, NOW).await?;
    if id != "sending" {
        submission::accepted(&mut tx, id, &format!("handle-{id}"), NOW).await?;
    }
    if let Some((failed, at)) = closed {
        submission::close(&mut tx, id, failed, None, at).await?;
    }
    tx.commit().await
}

async fn closed_submissions_go_the_oldest_first(db: &TestDb) -> Done {
    submit(db, "sending", None).await?;
    submit(db, "pending", None).await?;
    submit(db, "late", Some((Some("outcome unknown"), NOW))).await?;
    submit(db, "named", Some((None, NOW))).await?;
    submit(db, "third", Some((None, NOW + 3))).await?;
    submit(db, "first", Some((Some("canceled"), NOW + 1))).await?;
    submit(db, "second", Some((None, NOW + 2))).await?;
    db.run(
        "INSERT INTO meta_sync_state (variant_id, status, last_handle, last_pushed_at, created_at, updated_at)
         SELECT CASE id WHEN 'named' THEN 'v' ELSE 'w' END, CASE id WHEN 'named' THEN 'submitted' ELSE 'synced' END, handle,
             submitted_at, 0, 0 FROM meta_batch_handles WHERE id IN ('named', 'second')",
    )
    .await?;
    let mut tx = db.write().await?;
    assert!(submission::note_late(&mut tx, "late").await?);
    assert_eq!(submission::forget(&mut tx, NOW + 3, 1).await?, 1);
    tx.commit().await?;
    let left = || db.texts("SELECT id FROM meta_batch_handles ORDER BY completed_at NULLS FIRST, id");
    assert_eq!(left().await?, ["pending", "sending", "late", "named", "second", "third"]);
    let mut tx = db.write().await?;
    assert_eq!(submission::forget(&mut tx, NOW + 3, 9).await?, 1);
    assert_eq!(submission::forget(&mut tx, NOW + 3, 9).await?, 0);
    tx.commit().await?;
    assert_eq!(left().await?, ["pending", "sending", "late", "named", "third"]);

    // As the resolution of the late call and the verdict leave them.
    db.run("UPDATE meta_sync_state SET status = 'failed' WHERE variant_id = 'v'").await?;
    let mut tx = db.write().await?;
    submission::close(&mut tx, "late", Some("outcome unknown"), None, NOW + DAY).await?;
    assert_eq!(submission::forget(&mut tx, NOW + DAY, 9).await?, 2);
    assert_eq!(submission::forget(&mut tx, NOW + DAY + 1, 9).await?, 1);
    tx.commit().await?;
    assert_eq!(left().await?, ["pending", "sending"]);
    Ok(())
}
