//! The list of variants page by page: in one order, whatever selects.

use catalog_sync::domain::state::SyncStatus;
use catalog_sync::store::items::{self, Filter, Stretch};
use catalog_sync::store::sync_state::Pushed;

use super::catalog::{product, save};
use super::sync_state::{pushed, record};
use super::{Done, TestDb, conformance};

conformance![
    pages_follow_each_other,
    a_large_state_is_read_in_the_same_order,
    a_deep_page_of_the_eligible_is_read_in_the_same_order,
];

async fn ids(
    db: &TestDb,
    status: Option<&'static str>,
    offset: i64,
    limit: i64,
) -> Result<Vec<String>, super::StoreError> {
    let mut tx = db.read().await?;
    let totals = items::totals(&mut tx).await?;
    let filter = Filter { status, ..Filter::default() };
    let (rows, _) = items::page(&mut tx, &filter, Stretch { offset, limit }, &totals).await?;
    Ok(rows.into_iter().map(|row| row.variant_id).collect())
}

async fn pages_follow_each_other(db: &TestDb) -> Done {
    save(db, &[product("p", &["a-never", "never-1", "never-2", "sent-1", "sent-2", "failed"])]).await?;
    db.run("DELETE FROM meta_sync_state").await?;
    record(db, &[pushed("sent-2", SyncStatus::Synced), pushed("sent-1", SyncStatus::Synced)]).await?;
    record(db, &[Pushed { pushed: false, ..pushed("failed", SyncStatus::Failed) }]).await?;
    // The shop no longer has it.
    record(db, &[pushed("gone", SyncStatus::Synced)]).await?;
    db.run("UPDATE meta_sync_state SET last_pushed_at = 5 WHERE variant_id = 'sent-1'").await?;
    db.run("UPDATE meta_sync_state SET last_pushed_at = 7 WHERE variant_id IN ('gone', 'sent-2')").await?;
    let all = ["gone", "sent-2", "sent-1", "a-never", "failed", "never-1", "never-2"];
    for limit in 1..=8 {
        let mut listed = Vec::new();
        for page in 0..8 {
            listed.extend(ids(db, None, page * limit, limit).await?);
        }
        assert_eq!(listed, all, "pages of {limit}");
    }
    assert_eq!(ids(db, Some("synced"), 1, 5).await?, ["sent-2", "sent-1"]);
    assert_eq!(ids(db, Some("failed"), 0, 5).await?, ["failed"]);
    assert_eq!(ids(db, Some("skipped"), 0, 5).await?, [""; 0]);
    assert_eq!(ids(db, Some("never_synced"), 1, 5).await?, ["never-1", "never-2"]);
    let mut tx = db.read().await?;
    let totals = items::totals(&mut tx).await?;
    let (rows, _) = items::page(&mut tx, &Filter::default(), Stretch { offset: 0, limit: 1 }, &totals).await?;
    let gone = &rows[0];
    assert!(gone.deleted && gone.title.is_none(), "{gone:?}");
    Ok(())
}

async fn a_large_state_is_read_in_the_same_order(db: &TestDb) -> Done {
    db.run(
        "INSERT INTO meta_sync_state (variant_id, status, last_pushed_at, created_at, updated_at)
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20001)
         SELECT 'v' || n, CASE WHEN n % 3 = 0 THEN 'failed' ELSE 'synced' END, CASE WHEN n > 10 THEN n END, 0, n FROM n
         UNION ALL SELECT 'w' || n, 'synced', -n, 0, n FROM n",
    )
    .await?;
    assert_eq!(ids(db, Some("synced"), 0, 3).await?, ["v20000", "v19999", "v19997"], "more than is sorted at once");
    assert_eq!(ids(db, Some("failed"), 0, 2).await?, ["v20001", "v19998"]);
    assert_eq!(ids(db, Some("failed"), 6_664, 9).await?, ["v3", "v6", "v9"], "those that were never sent come last");
    Ok(())
}

async fn a_deep_page_of_the_eligible_is_read_in_the_same_order(db: &TestDb) -> Done {
    db.run(
        "INSERT INTO product (id, status, visibility, deleted_at)
         VALUES ('p', 'active', 'public', NULL), ('draft', 'draft', 'public', NULL), ('gone', 'active', 'public', 1);
         INSERT INTO product_variant (id, product_id)
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100020)
         SELECT 'v' || (200000 + n), 'p' FROM n UNION ALL SELECT 'd' || n, CASE n % 2 WHEN 0 THEN 'draft' ELSE 'gone' END
         FROM n WHERE n < 10;
         INSERT INTO meta_sync_state (variant_id, status, last_pushed_at, created_at, updated_at)
         SELECT id, 'synced', CASE WHEN id < 'v300015' THEN 5 END, 0, 0 FROM product_variant WHERE id <> 'v300019'",
    )
    .await?;
    let mut tx = db.read().await?;
    let totals = items::eligible_totals(&mut tx).await?;
    assert_eq!(totals.of(None), 100_020);
    let filter = Filter { eligible_only: true, ..Filter::default() };
    for offset in [99_998, 100_004, 100_011, 100_014, 100_017, 100_020] {
        let (rows, _) = items::page(&mut tx, &filter, Stretch { offset, limit: 5 }, &totals).await?;
        let listed: Vec<String> = rows.into_iter().map(|row| row.variant_id).collect();
        let expected: Vec<String> = (offset..100_020).take(5).map(|before| format!("v{}", 200_001 + before)).collect();
        assert_eq!(listed, expected, "from {offset}");
    }
    Ok(())
}
