//! Sweeps, findings and repairs of drift.

use std::collections::BTreeMap;

use catalog_sync::domain::drift::{Candidate, Class, Difference, Findings};
use catalog_sync::domain::intent::{Intent, Origin};
use catalog_sync::store::drift::findings::{self, Chosen, Look, Seen};
use catalog_sync::store::drift::repairs::{self, ByItself};
use catalog_sync::store::drift::{self, Counted, Sweep};
use catalog_sync::store::outbox;

use super::{Done, NOW, TestDb, conformance, ids};

conformance![
    a_sweep_goes_on_from_its_cursor,
    another_catalog_ends_a_sweep_and_forgets,
    a_finding_takes_two_looks_at_one_state,
    a_look_that_sees_nothing_ends_a_finding,
    repairs_are_counted_and_stop,
    candidates_tell_what_moves,
];

const GRACE: i64 = 1_000;

async fn latest(db: &TestDb, catalog: &str) -> Result<Vec<Sweep>, catalog_sync::store::StoreError> {
    drift::latest(&mut db.read().await?, catalog, 10).await
}

async fn a_sweep_goes_on_from_its_cursor(db: &TestDb) -> Done {
    let mut tx = db.write().await?;
    assert!(drift::begin(&mut tx, "cat", NOW).await?);
    assert!(!drift::begin(&mut tx, "cat", NOW + 1).await?, "one at a time");
    tx.commit().await?;
    let first = latest(db, "cat").await?.remove(0);
    let counted = Counted { looked: 3, passed: 2, unknown: 1, calls: 1 };
    let mut tx = db.write().await?;
    assert!(drift::step(&mut tx, &first, "m", counted, false, NOW + 2).await?);
    assert!(!drift::step(&mut tx, &first, "m", counted, false, NOW + 2).await?, "a cursor that was moved");
    drift::count_calls(&mut tx, first.number, 4).await?;
    tx.commit().await?;
    let second = latest(db, "cat").await?.remove(0);
    assert_eq!((&*second.after_id, second.looked, second.calls, second.finished_at), ("m", 3, 5, None));
    let mut tx = db.write().await?;
    assert_eq!(drift::dry_run(&mut tx, "cat", 1).await?, None);
    assert!(drift::step(&mut tx, &second, "z", counted, true, NOW + 3).await?);
    assert_eq!(drift::dry_run(&mut tx, "cat", 1).await?, Some(first.number));
    assert!(drift::begin(&mut tx, "cat", NOW + 4).await?);
    tx.commit().await?;
    let all = latest(db, "cat").await?;
    assert_eq!((all[0].number, all[1].finished_at), (first.number + 1, Some(NOW + 3)));
    Ok(())
}

async fn another_catalog_ends_a_sweep_and_forgets(db: &TestDb) -> Done {
    let mut tx = db.write().await?;
    drift::begin(&mut tx, "old", NOW).await?;
    let look = Look { catalog: "old", sweep: 1, is_second: false, now: NOW, grace: GRACE };
    findings::record(&mut tx, look, &[seen("a", 1, &[Class::Price]), seen("b", 1, &[Class::Price])]).await?;
    assert!(!drift::has_others(&mut tx, "old").await?);
    assert!(drift::has_others(&mut tx, "new").await?);
    assert!(drift::leave_others(&mut tx, "new", 1, NOW + 1).await?, "one is left to forget");
    assert!(drift::leave_others(&mut tx, "new", 1, NOW + 1).await?);
    assert!(!drift::leave_others(&mut tx, "new", 1, NOW + 1).await?);
    assert!(!drift::has_others(&mut tx, "new").await?);
    assert_eq!(drift::latest(&mut tx, "old", 10).await?, []);
    tx.commit().await
}

fn seen(id: &str, version: i64, classes: &[Class]) -> Seen {
    let difference = || Difference { field: "price".into(), ours: Some("2".into()), meta: None };
    let findings: Findings = classes.iter().map(|class| (*class, vec![difference()])).collect();
    Seen { variant_id: id.to_owned(), version, findings }
}

/// How often each class is suspected and confirmed.
async fn counted(db: &TestDb) -> Result<BTreeMap<String, (i64, i64)>, catalog_sync::store::StoreError> {
    let counts = findings::counts(&mut db.read().await?, "cat").await?;
    Ok(counts.into_iter().map(|count| (count.class, (count.suspected, count.confirmed))).collect())
}

async fn looked(db: &TestDb, at: i64, seen: &[Seen]) -> Done {
    let mut tx = db.write().await?;
    let look = Look { catalog: "cat", sweep: 1, is_second: false, now: at, grace: GRACE };
    findings::record(&mut tx, look, seen).await?;
    tx.commit().await
}

async fn a_finding_takes_two_looks_at_one_state(db: &TestDb) -> Done {
    let price = "price".to_owned();
    looked(db, NOW, &[seen("a", 1, &[Class::Price])]).await?;
    assert_eq!(findings::due(&mut db.read().await?, "cat", NOW + GRACE - 1, 9).await?, [] as [&str; 0]);
    assert_eq!(findings::due(&mut db.read().await?, "cat", NOW + GRACE, 9).await?, ["a"]);
    looked(db, NOW + GRACE - 1, &[seen("a", 1, &[Class::Price])]).await?;
    assert_eq!(counted(db).await?[&price], (1, 0), "too early");
    looked(db, NOW + GRACE, &[seen("a", 2, &[Class::Price])]).await?;
    assert_eq!(counted(db).await?[&price], (1, 0), "something was sent in between");
    looked(db, NOW + 2 * GRACE, &[seen("a", 2, &[Class::Price])]).await?;
    assert_eq!(counted(db).await?[&price], (0, 1));
    assert_eq!(findings::due(&mut db.read().await?, "cat", NOW + 99 * GRACE, 9).await?, [] as [&str; 0]);
    let found = findings::of_class(&mut db.read().await?, "cat", Class::Price, "", 9).await?;
    assert_eq!((found[0].first_seen_at, found[0].confirmed_at), (NOW + GRACE, Some(NOW + 2 * GRACE)));
    assert_eq!(found[0].details[0].ours.as_deref(), Some("2"));
    assert_eq!(findings::of_class(&mut db.read().await?, "cat", Class::Price, "a", 9).await?, []);

    // What moves is looked at later.
    looked(db, NOW, &[seen("b", 1, &[Class::Text])]).await?;
    let mut tx = db.write().await?;
    let look = Look { catalog: "cat", sweep: 1, is_second: true, now: NOW + GRACE, grace: GRACE };
    findings::put_off(&mut tx, look, &["b"]).await?;
    tx.commit().await?;
    assert_eq!(findings::due(&mut db.read().await?, "cat", NOW + 2 * GRACE - 1, 9).await?, [] as [&str; 0]);
    assert_eq!(findings::due(&mut db.read().await?, "cat", NOW + 2 * GRACE, 9).await?, ["b"]);
    Ok(())
}

async fn a_look_that_sees_nothing_ends_a_finding(db: &TestDb) -> Done {
    looked(db, NOW, &[seen("a", 1, &[Class::Price, Class::Text]), seen("b", 1, &[Class::Price])]).await?;
    let mut tx = db.write().await?;
    let variants = ids(&["a"]);
    let all = Chosen { catalog: "cat", classes: &Class::ALL, variants: Some(&variants) };
    assert_eq!(findings::ignore(&mut tx, all, true, NOW).await?, 2);
    assert_eq!(findings::ignore(&mut tx, all, true, NOW).await?, 0);
    assert_eq!(findings::ignore(&mut tx, Chosen { classes: &[Class::Text], ..all }, false, NOW).await?, 1);
    tx.commit().await?;
    looked(db, NOW + 1, &[seen("a", 1, &[Class::Text]), seen("c", 1, &[])]).await?;
    assert_eq!(counted(db).await?, BTreeMap::from([("price".into(), (1, 0)), ("text".into(), (1, 0))]));
    looked(db, NOW + 2, &[seen("a", 1, &[]), seen("b", 1, &[])]).await?;
    assert_eq!(counted(db).await?, BTreeMap::new());
    // Of what we claim nothing, nothing is wrong.
    looked(db, NOW + 3, &[seen("gone", 1, &[Class::Missing])]).await?;
    let mut tx = db.write().await?;
    assert_eq!(findings::forget_unclaimed(&mut tx, "cat", 10).await?, 1);
    tx.commit().await
}

async fn repairs_are_counted_and_stop(db: &TestDb) -> Done {
    looked(db, NOW, &[seen("a", 1, &[Class::Price, Class::Text]), seen("b", 1, &[Class::Hidden, Class::Missing])])
        .await?;
    looked(
        db,
        NOW + GRACE,
        &[seen("a", 1, &[Class::Price, Class::Text]), seen("b", 1, &[Class::Hidden, Class::Missing])],
    )
    .await?;
    let missing = ["missing".to_owned()];
    let by_itself = ByItself { classes: &missing, since: 1 };
    let nothing = ByItself { classes: &[], since: 1 };
    let mut tx = db.write().await?;
    let due = repairs::due(&mut tx, "cat", by_itself, 9).await?;
    assert_eq!(due.iter().map(|one| (&*one.variant_id, one.version, one.asked)).collect::<Vec<_>>(), [("b", 1, false)]);
    assert_eq!(repairs::due(&mut tx, "cat", ByItself { since: 2, ..by_itself }, 9).await?, []);
    assert_eq!(repairs::count_by_itself(&mut tx, "cat", by_itself, 9).await?, 1);
    let chosen = Chosen { catalog: "cat", classes: &[Class::Price, Class::Hidden], variants: None };
    assert_eq!(repairs::ask(&mut tx, chosen, NOW).await?, 2);
    let due = repairs::due(&mut tx, "cat", nothing, 9).await?;
    assert_eq!(due.iter().map(|one| (&*one.variant_id, one.asked)).collect::<Vec<_>>(), [("a", true)], "hidden is not");

    outbox::append(&mut tx, &ids(&["a"]), Intent::Upsert, Origin::Event, NOW).await?;
    repairs::repair(&mut tx, "cat", &ids(&["a"]), NOW + 5 * GRACE, NOW + GRACE).await?;
    assert_eq!(repairs::due(&mut tx, "cat", nothing, 9).await?, []);
    assert_eq!(repairs::count_since(&mut tx, NOW).await?, 1);
    for at in [2, 3] {
        assert_eq!(repairs::flapping(&mut tx, &["a", "b"], NOW + 9).await?, [] as [&str; 0]);
        repairs::repair(&mut tx, "cat", &ids(&["a"]), NOW + 5 * GRACE, NOW + at * GRACE).await?;
    }
    assert_eq!(repairs::flapping(&mut tx, &["a", "b"], NOW + 9).await?, ["a"]);
    assert_eq!(repairs::stop(&mut tx, "cat", &["b"], NOW).await?, 2);
    assert_eq!(repairs::due(&mut tx, "cat", by_itself, 9).await?, []);
    repairs::look_again(&mut tx, "cat", &["b"], NOW + GRACE).await?;
    assert_eq!(findings::due(&mut tx, "cat", NOW + GRACE, 9).await?, ["b"]);
    tx.commit().await?;
    let asked = db.texts("SELECT origin FROM meta_outbox WHERE variant_id = 'a' ORDER BY seq").await?;
    assert_eq!(asked, ["event", "drift", "drift", "drift"]);
    Ok(())
}

async fn candidates_tell_what_moves(db: &TestDb) -> Done {
    let mut tx = db.write().await?;
    outbox::append(&mut tx, &ids(&["a", "b", "c"]), Intent::Upsert, Origin::Event, NOW).await?;
    tx.commit().await?;
    db.run("UPDATE meta_outbox SET processed_at = 1 WHERE variant_id = 'b'").await?;
    let mut tx = db.read().await?;
    let told = |list: Vec<Candidate>| -> Vec<(String, bool)> {
        list.into_iter().map(|one| (one.variant_id, one.waits)).collect()
    };
    let waits = |id: &str, waits| (id.to_owned(), waits);
    assert_eq!(told(drift::candidates_after(&mut tx, "", 2).await?), [waits("a", true), waits("b", false)]);
    assert_eq!(told(drift::candidates_after(&mut tx, "b", 2).await?), [waits("c", true)]);
    assert_eq!(told(drift::candidates_of(&mut tx, &["b", "x"]).await?), [waits("b", false)]);
    Ok(())
}
