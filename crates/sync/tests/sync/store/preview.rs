//! From `preview` to `live`: what would have been sent is asked for again, once.

use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::store::StoreError;
use catalog_sync::store::outbox::IntentOutcome;
use catalog_sync::store::settings::{self, Changes};
use serde_json::json;

use super::catalog::new_intents;
use super::outbox::{append, backlog, mark, mark_at, open_rows, upsert};
use super::{Done, NOW, TestDb, conformance, keyring};

conformance![
    going_live_asks_again_once,
    only_the_change_from_preview_to_live_asks_again,
    the_latest_word_on_a_variant_counts,
    a_newer_open_intent_is_left_to_speak,
    a_preview_counts_only_while_the_mode_is_preview,
    going_live_is_part_of_the_settings_transaction,
];

async fn feed_mode(db: &TestDb, mode: Option<&str>) -> Done {
    let mut tx = db.write().await?;
    let changes =
        Changes { values: [("feed_mode".to_owned(), mode.map(|mode| json!(mode)))].into(), ..Changes::default() };
    settings::write(&mut tx, &keyring(), &changes, NOW + 5).await?;
    tx.commit().await
}

/// Marks every open row.
async fn mark_all(db: &TestDb, outcome: IntentOutcome) -> Result<u64, StoreError> {
    mark_all_at(db, outcome, NOW + 1).await
}

async fn mark_all_at(db: &TestDb, outcome: IntentOutcome, now: i64) -> Result<u64, StoreError> {
    let rows: Vec<_> = open_rows(db).await?.rows.iter().map(|row| (row.seq, outcome)).collect();
    mark_at(db, &rows, now).await
}

async fn going_live_asks_again_once(db: &TestDb) -> Done {
    feed_mode(db, Some("preview")).await?;
    upsert(db, &["b", "a"]).await?;
    append(db, &["gone"], Intent::Delete, Origin::Event).await?;
    upsert(db, &["a"]).await?;
    mark_all(db, IntentOutcome::Previewed).await?;

    // Null is the default, which is live.
    feed_mode(db, None).await?;
    let rows = open_rows(db).await?.rows;
    assert!(rows.iter().all(|row| row.origin == Origin::Recovery && row.attempts == 0));
    assert_eq!(new_intents(db).await?, ["upsert b", "delete gone", "upsert a"], "in the order they last asked");
    let outcomes =
        db.texts("SELECT variant_id || ' ' || outcome FROM meta_outbox WHERE outcome <> 'noop' ORDER BY seq");
    assert_eq!(outcomes.await?, ["b requeued", "a previewed", "gone requeued", "a requeued"]);

    feed_mode(db, Some("preview")).await?;
    feed_mode(db, Some("live")).await?;
    assert_eq!(new_intents(db).await?, Vec::<String>::new(), "once");
    Ok(())
}

async fn only_the_change_from_preview_to_live_asks_again(db: &TestDb) -> Done {
    feed_mode(db, Some("preview")).await?;
    upsert(db, &["a"]).await?;
    mark_all(db, IntentOutcome::Previewed).await?;
    feed_mode(db, Some("preview")).await?;
    assert_eq!(backlog(db).await?, (0, 0));
    // Another setting leaves the mode as it is.
    let mut tx = db.write().await?;
    let changes = Changes { values: [("batch_size".to_owned(), Some(json!(7)))].into(), ..Changes::default() };
    settings::write(&mut tx, &keyring(), &changes, NOW).await?;
    tx.commit().await?;
    assert_eq!(backlog(db).await?, (0, 0));

    feed_mode(db, Some("live")).await?;
    assert_eq!(backlog(db).await?, (1, 0));
    feed_mode(db, Some("live")).await?;
    assert_eq!(backlog(db).await?, (1, 0));
    Ok(())
}

async fn the_latest_word_on_a_variant_counts(db: &TestDb) -> Done {
    feed_mode(db, Some("preview")).await?;
    upsert(db, &["sent", "restored"]).await?;
    mark_all(db, IntentOutcome::Previewed).await?;
    upsert(db, &["sent"]).await?;
    mark_all(db, IntentOutcome::Submitted).await?;
    append(db, &["restored"], Intent::Delete, Origin::Event).await?;
    upsert(db, &["restored"]).await?;
    mark_all(db, IntentOutcome::Previewed).await?;
    // Previewed together, the operator's delete is what would have been sent.
    append(db, &["removed"], Intent::Delete, Origin::Operator).await?;
    upsert(db, &["removed"]).await?;
    mark_all_at(db, IntentOutcome::Previewed, NOW + 1).await?;
    // A recovery gives way to what came before it.
    upsert(db, &["kept"]).await?;
    append(db, &["kept"], Intent::Delete, Origin::Recovery).await?;
    mark_all_at(db, IntentOutcome::Previewed, NOW + 1).await?;
    // One after the other, the later one.
    append(db, &["wanted"], Intent::Delete, Origin::Operator).await?;
    mark_all_at(db, IntentOutcome::Previewed, NOW + 2).await?;
    upsert(db, &["wanted"]).await?;
    mark_all_at(db, IntentOutcome::Previewed, NOW + 3).await?;

    feed_mode(db, Some("live")).await?;
    assert_eq!(new_intents(db).await?, ["upsert restored", "delete removed", "upsert kept", "upsert wanted"]);
    Ok(())
}

/// Asked for again, the old delete would come after the upsert that restored the variant.
async fn a_newer_open_intent_is_left_to_speak(db: &TestDb) -> Done {
    feed_mode(db, Some("preview")).await?;
    append(db, &["a", "b"], Intent::Delete, Origin::Event).await?;
    mark_all(db, IntentOutcome::Previewed).await?;
    upsert(db, &["a"]).await?;
    feed_mode(db, Some("live")).await?;
    let outcomes =
        db.texts("SELECT variant_id || ' ' || outcome FROM meta_outbox WHERE outcome IS NOT NULL ORDER BY seq");
    assert_eq!(outcomes.await?, ["a previewed", "b requeued"]);
    assert_eq!(new_intents(db).await?, ["upsert a", "delete b"]);
    Ok(())
}

/// A tick that began under `preview` may end after the change to `live`: its rows stay open and are sent.
async fn a_preview_counts_only_while_the_mode_is_preview(db: &TestDb) -> Done {
    feed_mode(db, Some("preview")).await?;
    upsert(db, &["a", "b"]).await?;
    let rows = open_rows(db).await?.rows;
    feed_mode(db, Some("live")).await?;
    assert_eq!(mark(db, &[(rows[0].seq, IntentOutcome::Previewed), (rows[1].seq, IntentOutcome::Noop)]).await?, 1);
    assert_eq!(new_intents(db).await?, ["upsert a"]);
    Ok(())
}

async fn going_live_is_part_of_the_settings_transaction(db: &TestDb) -> Done {
    feed_mode(db, Some("preview")).await?;
    upsert(db, &["a"]).await?;
    mark_all(db, IntentOutcome::Previewed).await?;
    let mut tx = db.write().await?;
    let changes = Changes { values: [("feed_mode".to_owned(), None)].into(), ..Changes::default() };
    settings::write(&mut tx, &keyring(), &changes, NOW).await?;
    drop(tx);
    assert_eq!(backlog(db).await?, (0, 0));
    feed_mode(db, None).await?;
    assert_eq!(backlog(db).await?, (1, 0));
    Ok(())
}
