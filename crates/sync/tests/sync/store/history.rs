//! What happened in each minute, counted from submissions.

use catalog_sync::domain::history::MINUTE_MS;
use catalog_sync::domain::intent::{Intent, Lane, Origin};
use catalog_sync::domain::state::Op;
use catalog_sync::store::history::{self, Latency, Minute, Waiting};
use catalog_sync::store::submission::{self, NewSubmission, Row, Tally};
use catalog_sync::store::{StoreError, database, lease, outbox};

use super::{Done, NOW, TestDb, conformance, ids};

conformance![
    a_minute_counts_its_calls_and_verdicts,
    a_minute_is_counted_again_and_keeps_what_was_seen,
    old_minutes_go,
    the_oldest_of_every_lane_counts,
    the_lease_tells_its_holder,
    the_database_tells_what_it_is,
];

const FIRST: i64 = 30_000_000;
const START: i64 = FIRST * MINUTE_MS;
const NOTHING: Waiting = Waiting { backlog: 0, oldest_age: None };

/// Sends `rows` rows at an instant; Meta takes the call.
async fn send(db: &TestDb, id: &str, rows: usize, at: i64) -> Done {
    let rows: Vec<Row> = (0..rows).map(|row| Row(format!("{id}-{row}"), Op::Delete, None, None)).collect();
    let new = NewSubmission { id, catalog_id: "c", epoch: 1, rows: &rows, mapper_digest: "d", implicit_deletes: 0 };
    let mut tx = db.write().await?;
    submission::begin(&mut tx, &new, at).await?;
    submission::accepted(&mut tx, id, &format!("handle of {id}"), at).await?;
    tx.commit().await
}

async fn told(db: &TestDb, id: &str, tally: Option<Tally>, at: i64) -> Done {
    let mut tx = db.write().await?;
    submission::close_with(&mut tx, id, None, None, tally, at).await?;
    tx.commit().await
}

async fn write(db: &TestDb, from: i64, to: i64, waiting: Waiting) -> Done {
    let mut tx = db.write().await?;
    history::write(&mut tx, &(FIRST + from..=FIRST + to), waiting).await?;
    tx.commit().await
}

async fn minutes(db: &TestDb) -> Result<Vec<Minute>, StoreError> {
    history::since(&mut db.read().await?, FIRST).await
}

async fn a_minute_counts_its_calls_and_verdicts(db: &TestDb) -> Done {
    // Twenty verdicts within a minute, after 1 to 20 seconds, the last of them at its very end.
    for call in 0..20 {
        let id = format!("call-{call:02}");
        send(db, &id, 3, START + call).await?;
        let at = if call == 19 { START + 2 * MINUTE_MS - 1 } else { START + MINUTE_MS + call };
        let tally = Tally { confirmed: 2, refused: 1 };
        told(db, &id, Some(tally), at).await?;
    }
    // Refused by the answer to the call, and given up without a verdict.
    send(db, "refused", 5, START + 1).await?;
    let mut tx = db.write().await?;
    submission::note_refused(&mut tx, "refused", 2).await?;
    tx.commit().await?;
    told(db, "refused", Some(Tally { confirmed: 3, refused: 0 }), START + 2 * MINUTE_MS).await?;
    send(db, "lost", 7, START + MINUTE_MS).await?;
    told(db, "lost", None, START + MINUTE_MS + 5).await?;
    write(db, 0, 3, Waiting { backlog: 4, oldest_age: Some(9) }).await?;

    let empty = |at: i64| Minute { minute: FIRST + at, ..Minute::default() };
    let expected = [
        Minute { sent: 65, ..empty(0) },
        Minute {
            sent: 7,
            confirmed: 40,
            refused: 20,
            latency_p50: Some(MINUTE_MS),
            latency_p95: Some(MINUTE_MS),
            ..empty(1)
        },
        Minute {
            confirmed: 3,
            refused: 2,
            latency_p50: Some(2 * MINUTE_MS - 1),
            latency_p95: Some(2 * MINUTE_MS - 1),
            ..empty(2)
        },
        Minute { backlog: Some(4), oldest_age: Some(9), ..empty(3) },
    ];
    assert_eq!(minutes(db).await?, expected);
    // What is counted without being written says the same.
    let counted = history::count(&mut db.read().await?, &(FIRST + 1..=FIRST + 3)).await?;
    assert_eq!(counted, [expected[1], expected[2], empty(3)]);

    let mut tx = db.read().await?;
    let latency = history::latency(&mut tx, START + MINUTE_MS + 19).await?;
    assert_eq!(latency, Latency { verdicts: 2, p50: Some(2 * MINUTE_MS - 20), p95: Some(2 * MINUTE_MS - 1) });
    assert_eq!(history::latency(&mut tx, START + 3 * MINUTE_MS).await?, Latency::default());
    Ok(())
}

async fn a_minute_is_counted_again_and_keeps_what_was_seen(db: &TestDb) -> Done {
    let mut tx = db.read().await?;
    assert_eq!(history::last(&mut tx).await?, None);
    drop(tx);
    write(db, 0, 0, Waiting { backlog: 4, oldest_age: Some(9) }).await?;
    send(db, "late", 3, START + MINUTE_MS - 1).await?;
    write(db, 0, 1, NOTHING).await?;
    let first = Minute { minute: FIRST, sent: 3, backlog: Some(4), oldest_age: Some(9), ..Minute::default() };
    let second = Minute { minute: FIRST + 1, backlog: Some(0), ..Minute::default() };
    assert_eq!(minutes(db).await?, [first, second]);
    assert_eq!(history::last(&mut db.read().await?).await?, Some(FIRST + 1));
    Ok(())
}

async fn old_minutes_go(db: &TestDb) -> Done {
    write(db, 0, 9, NOTHING).await?;
    let mut tx = db.write().await?;
    assert_eq!(history::forget(&mut tx, FIRST + 7).await?, 7);
    tx.commit().await?;
    let left: Vec<i64> = minutes(db).await?.into_iter().map(|minute| minute.minute - FIRST).collect();
    assert_eq!(left, [7, 8, 9]);
    Ok(())
}

async fn the_oldest_of_every_lane_counts(db: &TestDb) -> Done {
    assert_eq!(outbox::oldest_live(&mut db.read().await?).await?, None);
    let mut tx = db.write().await?;
    for (lane, id, at) in
        [(Lane::Change, "a", 50), (Lane::Bulk, "b", 30), (Lane::Bulk, "c", 70), (Lane::Prompt, "d", 60)]
    {
        outbox::append_to(&mut tx, lane, &ids(&[id]), Intent::Upsert, Origin::Event, START + at).await?;
    }
    tx.commit().await?;
    assert_eq!(outbox::oldest_live(&mut db.read().await?).await?, Some(START + 30));
    db.run("UPDATE meta_outbox SET processed_at = 1 WHERE variant_id = 'b'").await?;
    assert_eq!(outbox::oldest_live(&mut db.read().await?).await?, Some(START + 50));
    db.run("UPDATE meta_outbox SET held_at = 1 WHERE variant_id = 'a'").await?;
    assert_eq!(outbox::oldest_live(&mut db.read().await?).await?, Some(START + 60));
    Ok(())
}

async fn the_lease_tells_its_holder(db: &TestDb) -> Done {
    let held = lease::held(&mut db.read().await?).await?;
    assert_eq!((&*held.holder, held.taken_at), ("", None));
    let fence = lease::take(db, "one", MINUTE_MS).await?.expect("the lease is free");
    let held = lease::held(&mut db.read().await?).await?;
    assert_eq!((&*held.holder, held.epoch, held.has_ended), ("one", fence.epoch, false));
    assert!(held.taken_at.is_some_and(|at| at > NOW), "by the clock of the database: {held:?}");
    lease::release(db, &fence).await?;
    assert_eq!(lease::held(&mut db.read().await?).await?.holder, "");
    Ok(())
}

async fn the_database_tells_what_it_is(db: &TestDb) -> Done {
    let told = database::describe(db).await?;
    assert_eq!(told.engine, if db.is_postgres() { "postgres" } else { "sqlite" });
    assert!(told.version.starts_with(|first: char| first.is_ascii_digit()), "{told:?}");
    assert!(told.bytes > 10_000 && told.migration >= 20, "{told:?}");
    Ok(())
}
