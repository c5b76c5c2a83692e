//! A full batch: 5,000 rows in a single statement each.

use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::domain::lint::Noted;
use catalog_sync::domain::state::Op;
use catalog_sync::domain::state::SyncStatus;
use catalog_sync::store::outbox::{self, ChannelFault, Cursor, IntentOutcome};
use catalog_sync::store::submission::{self, NewSubmission, Row, RowVerdict};
use catalog_sync::store::sync_state::{self, Settled};
use catalog_sync::store::{catalog, source};

use super::catalog::{product, trail};
use super::sync_state::pushed;
use super::{Done, NOW, TestDb, conformance};

conformance![a_full_batch_goes_through_every_step];

const ROWS: usize = 5000;

async fn a_full_batch_goes_through_every_step(db: &TestDb) -> Done {
    let ids: Vec<String> = (0..ROWS).map(|id| format!("variant-{id:05}")).collect();
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let records: Vec<_> = names
        .chunks(4)
        .enumerate()
        .map(|(index, variants)| {
            let mut record = product(&format!("product-{index:04}"), variants);
            record.categories = trail(&[("a", "A"), ("b", "B"), ("c", "C")]);
            for variant in &mut record.variants {
                variant.options = vec![mapper_core::OptionValue { name: "Size".into(), value: variant.id.clone() }];
            }
            record
        })
        .collect();
    let mut tx = db.write().await?;
    assert_eq!(catalog::write(&mut tx, &records, NOW).await?.intents, ROWS as u64);
    tx.commit().await?;

    let mut tx = db.read().await?;
    let window = outbox::read_window(&mut tx, Cursor::default(), 5000).await?.expect("a window");
    assert_eq!((window.live, window.rows.len()), (ROWS, ROWS));
    assert_eq!(sync_state::load(&mut tx, &names).await?.len(), ROWS);
    let batch = source::load(&mut tx, &names).await?;
    assert_eq!((batch.items.len(), batch.products.len(), batch.unreadable.len()), (ROWS, ROWS / 4, 0));
    drop(tx);

    let mut tx = db.write().await?;
    let rows: Vec<Row> = ids.iter().map(|id| Row(id.clone(), Op::Upsert, Some("hash".into()), Some(1))).collect();
    let new = NewSubmission {
        id: "s",
        catalog_id: "cat",
        epoch: 1,
        rows: &rows,
        mapper_digest: "digest",
        implicit_deletes: 0,
    };
    submission::begin(&mut tx, &new, NOW).await?;
    let seqs: Vec<i64> = window.rows.iter().map(|row| row.seq).collect();
    let fault = ChannelFault { class: "throttled", error: "later" };
    assert_eq!(outbox::note_fault(&mut tx, &seqs, fault).await?, ROWS as u64);
    let pushes: Vec<_> = names.iter().map(|id| pushed(id, SyncStatus::Submitted)).collect();
    assert_eq!(sync_state::record_pushed(&mut tx, "cat", &pushes, NOW).await?, ROWS as u64);
    submission::accepted(&mut tx, "s", "h1", NOW).await?;
    let marks: Vec<_> = seqs.iter().map(|seq| (*seq, IntentOutcome::Submitted)).collect();
    assert_eq!(outbox::mark(&mut tx, &marks, NOW).await?, ROWS as u64);
    let verdicts: Vec<_> = names
        .iter()
        .map(|variant_id| RowVerdict {
            variant_id,
            status: SyncStatus::Synced,
            error: None,
            fields: Some(1),
            cause: None,
        })
        .collect();
    assert_eq!(submission::apply_verdict(&mut tx, "h1", &verdicts, NOW).await?.len(), ROWS);
    let settled: Vec<_> = names
        .iter()
        .map(|variant_id| Settled {
            variant_id,
            product_id: None,
            version: 3,
            skipped: Some("why"),
            reeval_at: None,
            noted: &Noted::NOTHING,
        })
        .collect();
    let settled: Vec<_> = settled.iter().collect();
    assert_eq!(sync_state::confirm_noops(&mut tx, &settled, NOW).await?.len(), ROWS);
    assert_eq!(sync_state::record_skips(&mut tx, &settled, NOW).await?.len(), ROWS);
    assert_eq!(outbox::append(&mut tx, &ids, Intent::Delete, Origin::Operator, NOW).await?, ROWS as u64);
    tx.commit().await?;
    assert_eq!(db.number("SELECT COUNT(*) FROM meta_sync_state WHERE status = 'skipped'").await?, ROWS as i64);
    Ok(())
}
