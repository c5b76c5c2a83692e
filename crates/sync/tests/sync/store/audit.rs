//! The audit trail: a row before the action, its end after it, a bounded table.

use catalog_sync::domain::audit::{Action, Caller, CallerKind};
use catalog_sync::store::StoreError;
use catalog_sync::store::audit::{self, Begun, Entry, Wanted};

use super::{Done, NOW, TestDb, conformance};

conformance![
    a_row_is_open_until_its_action_ends,
    a_list_goes_on_after_a_row_and_is_filtered,
    old_rows_go_and_so_do_those_beyond_the_most,
];

fn caller(id: &str) -> Caller {
    Caller { kind: CallerKind::User, id: id.into(), name: None, impersonator: Some("boss".into()) }
}

async fn begin(db: &TestDb, who: &str, action: Action, at: i64) -> Result<i64, StoreError> {
    let mut tx = db.write().await?;
    let begun = Begun { action, subject: Some("v-1"), details: r#"{"force":true}"# };
    let id = audit::begin(&mut tx, &caller(who), begun, at).await?;
    tx.commit().await?;
    Ok(id)
}

async fn finish(db: &TestDb, id: i64, error: Option<&str>) -> Done {
    let mut tx = db.write().await?;
    audit::finish(&mut tx, id, "{}", error, NOW + 5).await?;
    tx.commit().await
}

async fn list(db: &TestDb, wanted: Wanted<'_>, limit: i64) -> Result<Vec<Entry>, StoreError> {
    audit::list(&mut db.read().await?, wanted, limit).await
}

async fn a_row_is_open_until_its_action_ends(db: &TestDb) -> Done {
    let id = begin(db, "ann", Action::Push, NOW).await?;
    let open = Entry {
        id,
        at: NOW,
        principal_kind: "user".into(),
        principal_id: "ann".into(),
        principal_name: None,
        impersonator: Some("boss".into()),
        action: "push".into(),
        subject: Some("v-1".into()),
        details: r#"{"force":true}"#.into(),
        outcome: "open".into(),
        error_code: None,
        finished_at: None,
    };
    assert_eq!(list(db, Wanted::default(), 9).await?, std::slice::from_ref(&open));
    finish(db, id, Some("NOT_FOUND")).await?;
    let ended = Entry {
        details: "{}".into(),
        outcome: "refused".into(),
        error_code: Some("NOT_FOUND".into()),
        finished_at: Some(NOW + 5),
        ..open
    };
    // An end is recorded once.
    finish(db, id, None).await?;
    assert_eq!(list(db, Wanted::default(), 9).await?, [ended]);
    Ok(())
}

async fn a_list_goes_on_after_a_row_and_is_filtered(db: &TestDb) -> Done {
    let mut ids = Vec::new();
    for (who, action) in [("ann", Action::Push), ("bob", Action::Push), ("ann", Action::Delete), ("ann", Action::Push)]
    {
        ids.push(begin(db, who, action, NOW).await?);
    }
    let listed = async |wanted, limit| -> Result<Vec<i64>, StoreError> {
        Ok(list(db, wanted, limit).await?.into_iter().map(|row| row.id).collect())
    };
    assert_eq!(listed(Wanted::default(), 3).await?, [ids[3], ids[2], ids[1]]);
    assert_eq!(listed(Wanted { before: Some(ids[1]), ..Wanted::default() }, 3).await?, [ids[0]]);
    let pushes = Wanted { action: Some(Action::Push), ..Wanted::default() };
    assert_eq!(listed(pushes, 9).await?, [ids[3], ids[1], ids[0]]);
    assert_eq!(listed(Wanted { principal: Some("ann"), ..pushes }, 9).await?, [ids[3], ids[0]]);
    Ok(())
}

async fn old_rows_go_and_so_do_those_beyond_the_most(db: &TestDb) -> Done {
    for at in [NOW, NOW + 1, NOW + 2, NOW + 3, NOW + 4] {
        begin(db, "ann", Action::Push, at).await?;
    }
    let forget = async |before, most, limit| -> Result<(u64, usize), StoreError> {
        let mut tx = db.write().await?;
        let gone = audit::forget(&mut tx, before, most, limit).await?;
        tx.commit().await?;
        Ok((gone, list(db, Wanted::default(), 9).await?.len()))
    };
    assert_eq!(forget(Some(NOW), 9, 9).await?, (0, 5));
    assert_eq!(forget(Some(NOW + 2), 9, 1).await?, (1, 4), "a chunk");
    assert_eq!(forget(Some(NOW + 2), 9, 9).await?, (1, 3));
    assert_eq!(forget(None, 2, 9).await?, (1, 2));
    assert_eq!(list(db, Wanted::default(), 9).await?.last().map(|row| row.at), Some(NOW + 3));
    Ok(())
}
