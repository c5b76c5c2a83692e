//! What became of one variant, and what was sent last.

use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::domain::state::{Op, SyncStatus};
use catalog_sync::store::outbox::{self, IntentOutcome};
use catalog_sync::store::sent_body::{self, Packed, Record, Room};
use catalog_sync::store::submission::{self, NewSubmission, Row};
use catalog_sync::store::timeline;
use serde_json::{Value, json};

use super::sync_state::{pushed, record};
use super::{Done, NOW, TestDb, conformance, ids};

conformance![
    the_latest_intents_of_a_variant_are_listed,
    an_intent_leads_to_the_call_that_it_was_sent_with,
    the_last_body_of_a_variant_is_found,
    bodies_without_room_or_submission_go,
];

async fn append(db: &TestDb, variant: &str, intent: Intent) -> Result<i64, catalog_sync::store::StoreError> {
    let mut tx = db.write().await?;
    outbox::append(&mut tx, &ids(&[variant]), intent, Origin::Event, NOW).await?;
    tx.commit().await?;
    db.number("SELECT MAX(seq) FROM meta_outbox").await
}

async fn mark(db: &TestDb, seq: i64, outcome: IntentOutcome, at: i64) -> Done {
    let mut tx = db.write().await?;
    outbox::mark(&mut tx, &[(seq, outcome)], at).await?;
    tx.commit().await
}

/// A call with one variant that Meta took at that time, with its body.
async fn call(db: &TestDb, id: &str, variant: &str, at: i64) -> Done {
    let mut tx = db.write().await?;
    let rows = [Row(variant.into(), Op::Upsert, None, None)];
    let new =
        NewSubmission { id, catalog_id: "cat", epoch: 1, rows: &rows, mapper_digest: "digest", implicit_deletes: 0 };
    submission::begin(&mut tx, &new, at - 10).await?;
    let body = json!({"method": "UPDATE", "data": {"id": variant, "title": id}}).to_string();
    sent_body::keep(&mut tx, id, &Packed::of(body.as_bytes()), at - 10).await?;
    submission::accepted(&mut tx, id, &format!("handle-{id}"), at).await?;
    tx.commit().await
}

async fn the_latest_intents_of_a_variant_are_listed(db: &TestDb) -> Done {
    let mut seqs = Vec::new();
    for at in 0..4 {
        let seq = append(db, "a", if at == 3 { Intent::Delete } else { Intent::Upsert }).await?;
        append(db, "b", Intent::Upsert).await?;
        seqs.push(seq);
    }
    mark(db, seqs[0], IntentOutcome::Noop, NOW + 1).await?;
    mark(db, seqs[1], IntentOutcome::Submitted, NOW + 2).await?;
    let mut tx = db.read().await?;
    let known = timeline::intents(&mut tx, "a", 3).await?;
    let told: Vec<_> = known.iter().map(|intent| (intent.seq, &*intent.intent, intent.outcome.as_deref())).collect();
    assert_eq!(
        told,
        [(seqs[3], "delete", None), (seqs[2], "upsert", None), (seqs[1], "upsert", Some("submitted"))],
        "open and processed ones together, the latest first"
    );
    assert_eq!(known[2].processed_at, Some(NOW + 2));
    assert!(timeline::intents(&mut tx, "c", 3).await?.is_empty());
    Ok(())
}

async fn an_intent_leads_to_the_call_that_it_was_sent_with(db: &TestDb) -> Done {
    call(db, "one", "ä \"1\"", NOW).await?;
    call(db, "two", "b", NOW + 5).await?;
    // The clock stood still between these: the records tell them apart.
    call(db, "three", "b", NOW + 9).await?;
    call(db, "four", "ä \"1\"", NOW + 9).await?;
    let mut tx = db.write().await?;
    let rows = [Row("c".into(), Op::Upsert, None, None)];
    let new = NewSubmission {
        id: "five",
        catalog_id: "cat",
        epoch: 1,
        rows: &rows,
        mapper_digest: "digest",
        implicit_deletes: 0,
    };
    submission::begin(&mut tx, &new, NOW).await?;
    submission::close(&mut tx, "five", Some("not taken"), None, NOW + 20).await?;
    tx.commit().await?;

    let mut tx = db.read().await?;
    let mut of = async |variant: &str, at: &[i64]| -> Result<Vec<String>, catalog_sync::store::StoreError> {
        let mut known: Vec<String> =
            timeline::calls(&mut tx, variant, at).await?.into_iter().map(|call| call.id).collect();
        known.sort();
        Ok(known)
    };
    assert_eq!(of("ä \"1\"", &[NOW, NOW + 9]).await?, ["four", "one"]);
    assert_eq!(of("b", &[NOW + 5, NOW + 9]).await?, ["three", "two"]);
    assert_eq!(of("c", &[NOW + 20]).await?, ["five"], "Meta took nothing of it");
    assert!(of("c", &[]).await?.is_empty());
    Ok(())
}

async fn the_last_body_of_a_variant_is_found(db: &TestDb) -> Done {
    call(db, "one", "a", NOW).await?;
    call(db, "two", "a", NOW + 5).await?;
    let mut row = pushed("a", SyncStatus::Submitted);
    row.handle = Some("handle-two");
    record(db, &[row]).await?;
    record(db, &[pushed("never", SyncStatus::Failed)]).await?;
    let mut tx = db.read().await?;
    let last = sent_body::last_call(&mut tx, "a").await?.expect("a call");
    assert_eq!((&*last.catalog_id, last.submitted_at), ("cat", NOW + 5));
    let body = sent_body::of(&mut tx, &last.id).await?.expect("kept");
    let Some(Record::Update(fields)) = body.record("a")? else { panic!("an update") };
    assert_eq!(Value::from(fields), json!({"id": "a", "title": "two"}));
    assert!(sent_body::last_call(&mut tx, "never").await?.is_none());
    assert!(sent_body::last_call(&mut tx, "unknown").await?.is_none());
    drop(tx);

    let mut tx = db.write().await?;
    assert_eq!(sent_body::forget(&mut tx, &ids(&["two", "unknown"])).await?, 1);
    tx.commit().await?;
    let mut tx = db.read().await?;
    assert_eq!(sent_body::last_call(&mut tx, "a").await?, Some(last), "the call is still known");
    assert!(sent_body::of(&mut tx, "two").await?.is_none());
    Ok(())
}

async fn bodies_without_room_or_submission_go(db: &TestDb) -> Done {
    for (at, id) in ["one", "two", "three", "four"].into_iter().enumerate() {
        call(db, id, "a", NOW + i64::try_from(at).expect("few")).await?;
    }
    let bytes = db
        .number("SELECT CAST(SUM(bytes) AS BIGINT) FROM meta_batch_bodies WHERE submission_id IN ('three', 'four')")
        .await?;
    let mut tx = db.read().await?;
    let mut surplus = async |bytes: i64, bodies: i64| -> Result<Vec<String>, catalog_sync::store::StoreError> {
        let mut gone = sent_body::surplus(&mut tx, Room { bytes, bodies }, 10).await?;
        gone.sort();
        Ok(gone)
    };
    assert!(surplus(i64::MAX, 4).await?.is_empty());
    assert_eq!(surplus(i64::MAX, 3).await?, ["one"], "the oldest goes");
    assert_eq!(surplus(bytes, 4).await?, ["one", "two"]);
    db.run("DELETE FROM meta_batch_handles WHERE id = 'four'").await?;
    assert_eq!(surplus(i64::MAX, 4).await?, ["four"]);
    assert_eq!(sent_body::surplus(&mut tx, Room { bytes: 0, bodies: 0 }, 3).await?.len(), 3, "chunk by chunk");
    Ok(())
}
