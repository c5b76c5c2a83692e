//! Intents: appended once, read in order of arrival, marked by exact id.

use catalog_sync::domain::intent::{Intent, Lane, Origin};
use catalog_sync::domain::reask::Reason;
use catalog_sync::domain::record::ProductRecord;
use catalog_sync::domain::state::SyncStatus;
use catalog_sync::store::outbox::{self, Backlog, ChannelFault, Cursor, IntentOutcome, Window};
use catalog_sync::store::reask;
use catalog_sync::store::{StoreError, bulk, sync_state};

use super::catalog::{product, save};
use super::sync_state::{pushed, record};
use super::{Done, NOW, TestDb, conformance, ids};

conformance![
    an_upsert_of_an_unknown_variant_makes_it_pending_once,
    a_delete_makes_no_state,
    what_is_asked_twice_is_queued_once_but_not_behind_others,
    windows_follow_in_order_of_arrival,
    a_window_holds_every_open_row_of_its_variants,
    every_lane_has_its_share_of_a_window,
    windows_take_each_intent_once,
    a_window_holds_the_states_of_its_moment,
    an_intent_appended_after_the_read_survives,
    a_row_is_marked_once,
    faults_of_rows_park_and_faults_of_the_channel_do_not,
    faults_of_variants_count_on_all_their_open_rows,
    a_mark_ends_parking,
    what_was_released_meanwhile_is_not_held,
    what_failed_is_asked_for_again_as_it_was_folded,
    bootstrap_skips_what_is_not_on_sale,
    bootstrap_walks_ids_bytewise,
];

async fn what_is_asked_twice_is_queued_once_but_not_behind_others(db: &TestDb) -> Done {
    // The same again, the same of a few variants among many, and the other way round.
    let table = [(Lane::Bulk, 1), (Lane::Bulk, 0), (Lane::Prompt, 1), (Lane::Bulk, 0), (Lane::Prompt, 0)];
    for (at, (lane, queued)) in table.into_iter().enumerate() {
        let mut tx = db.write().await?;
        let count = outbox::append_once(&mut tx, lane, &ids(&["a"]), Intent::Upsert, NOW).await?;
        tx.commit().await?;
        assert_eq!(count, queued, "{at}");
    }
    Ok(())
}

pub(super) async fn append(db: &TestDb, list: &[&str], intent: Intent, origin: Origin) -> Result<u64, StoreError> {
    let mut tx = db.write().await?;
    let count = outbox::append(&mut tx, &ids(list), intent, origin, NOW).await?;
    tx.commit().await?;
    Ok(count)
}

pub(super) async fn upsert(db: &TestDb, list: &[&str]) -> Result<u64, StoreError> {
    append(db, list, Intent::Upsert, Origin::Event).await
}

pub(super) async fn window(db: &TestDb, cursor: Cursor, limit: i64) -> Result<Option<Window>, StoreError> {
    let mut tx = db.read().await?;
    outbox::read_window(&mut tx, cursor, limit).await
}

/// Every open row; there must be some.
pub(super) async fn open_rows(db: &TestDb) -> Result<Window, StoreError> {
    Ok(window(db, Cursor::default(), 1000).await?.expect("open rows"))
}

pub(super) async fn mark(db: &TestDb, rows: &[(i64, IntentOutcome)]) -> Result<u64, StoreError> {
    mark_at(db, rows, NOW + 1).await
}

pub(super) async fn mark_at(db: &TestDb, rows: &[(i64, IntentOutcome)], now: i64) -> Result<u64, StoreError> {
    let mut tx = db.write().await?;
    let count = outbox::mark(&mut tx, rows, now).await?;
    tx.commit().await?;
    Ok(count)
}

pub(super) async fn backlog(db: &TestDb) -> Result<(i64, i64), StoreError> {
    let mut tx = db.read().await?;
    let Backlog { live, parked, .. } = outbox::backlog(&mut tx).await?;
    Ok((live, parked))
}

async fn fault(db: &TestDb, seqs: &[i64], park_at: Option<i64>) -> Result<u64, StoreError> {
    let mut tx = db.write().await?;
    let count = match park_at {
        None => outbox::note_fault(&mut tx, seqs, ChannelFault { class: "unknown", error: "no answer" }).await?,
        Some(park_at) => {
            let faults: Vec<(i64, &str)> = seqs.iter().map(|seq| (*seq, "it panicked")).collect();
            outbox::note_faults(&mut tx, &faults, "mapper", park_at, NOW).await?
        }
    };
    tx.commit().await?;
    Ok(count)
}

fn names(window: &Window) -> Vec<&str> {
    window.rows.iter().map(|row| row.variant_id.as_str()).collect()
}

async fn an_upsert_of_an_unknown_variant_makes_it_pending_once(db: &TestDb) -> Done {
    save(db, &[product("p", &["known"])]).await?;
    db.run("DELETE FROM meta_sync_state; DELETE FROM meta_outbox").await?;
    assert_eq!(upsert(db, &["known", "ünknown", "known"]).await?, 3);
    assert_eq!(upsert(db, &["ünknown"]).await?, 1);
    let states = "SELECT variant_id || ' ' || status || ' ' || COALESCE(product_id, '-') FROM meta_sync_state
                  ORDER BY variant_id";
    assert_eq!(db.texts(states).await?, ["known pending p", "ünknown pending -"]);

    // What is known already keeps its state.
    db.run("UPDATE meta_sync_state SET status = 'synced'").await?;
    upsert(db, &["known"]).await?;
    assert_eq!(db.texts(states).await?, ["known synced p", "ünknown synced -"]);
    Ok(())
}

async fn a_delete_makes_no_state(db: &TestDb) -> Done {
    append(db, &["a"], Intent::Delete, Origin::Operator).await?;
    assert_eq!(db.number("SELECT COUNT(*) FROM meta_sync_state").await?, 0);
    let row = &open_rows(db).await?.rows[0];
    assert_eq!((row.intent, row.origin, row.attempts), (Intent::Delete, Origin::Operator, 0));
    Ok(())
}

async fn windows_follow_in_order_of_arrival(db: &TestDb) -> Done {
    assert!(window(db, Cursor::default(), 10).await?.is_none());
    upsert(db, &["z", "a", "m"]).await?;
    upsert(db, &["b"]).await?;
    let first = window(db, Cursor::default(), 2).await?.expect("a window");
    assert_eq!((names(&first), first.live), (vec!["z", "a"], 2));
    let second = window(db, first.cursor, 2).await?.expect("a window");
    assert_eq!((names(&second), second.live), (vec!["m", "b"], 2));
    assert!(window(db, second.cursor, 2).await?.is_none());
    Ok(())
}

async fn a_window_holds_every_open_row_of_its_variants(db: &TestDb) -> Done {
    upsert(db, &["a"]).await?; // will be parked
    upsert(db, &["a", "b", "c"]).await?;
    append(db, &["a"], Intent::Upsert, Origin::Event).await?; // beyond the window's rows
    let parked = open_rows(db).await?.rows[0].seq;
    assert_eq!(fault(db, &[parked], Some(1)).await?, 1);

    let window = window(db, Cursor::default(), 2).await?.expect("a window");
    assert_eq!((names(&window), window.live), (vec!["a", "a", "a", "b"], 2));
    assert_eq!(window.rows[0].attempts, 1);
    // The cursor stands behind the live rows, not behind what belongs to them.
    assert_eq!(names(&super::outbox::window(db, window.cursor, 2).await?.expect("c is left")), ["c", "a", "a", "a"]);
    Ok(())
}

/// Reads to the end in windows of `limit`; returns the variants of each.
async fn windows(db: &TestDb, limit: i64) -> Result<Vec<String>, StoreError> {
    let (mut cursor, mut all) = (Cursor::default(), Vec::new());
    while let Some(window) = window(db, cursor, limit).await? {
        cursor = window.cursor;
        all.push(names(&window).concat());
    }
    Ok(all)
}

async fn every_lane_has_its_share_of_a_window(db: &TestDb) -> Done {
    let many = |word: char| -> Vec<String> { (0..8).map(|n| format!("{word}{n} ")).collect() };
    for (word, intent, origin) in [
        ('b', Intent::Upsert, Origin::Import),
        ('c', Intent::Upsert, Origin::Event),
        ('p', Intent::Delete, Origin::Event),
    ] {
        let list = many(word);
        append(db, &list.iter().map(String::as_str).collect::<Vec<_>>(), intent, origin).await?;
    }
    assert_eq!(
        windows(db, 6).await?,
        [
            "p0 c0 p1 p2 c1 b0 ",
            // The cursor of a lane stands where its share ended.
            "p3 c2 p4 p5 c3 b1 ",
            "p6 c4 p7 c5 b2 c6 ",
            // The last lane takes what the others leave.
            "c7 b3 b4 b5 b6 b7 ",
        ]
    );

    // A variant has its turn with the first of its intents, whichever lane that is in.
    append(db, &["b7 "], Intent::Upsert, Origin::Operator).await?;
    assert_eq!(windows(db, 2).await?[0], "p0 c0 ");
    let first = window(db, Cursor::default(), 18).await?.expect("a window");
    let seqs = |variant: &str| first.rows.iter().filter(|row| row.variant_id == variant).count();
    assert_eq!((seqs("b7 "), first.live), (2, 18));
    Ok(())
}

/// Whatever the lanes, a window takes each open intent once, and its beginning is fair.
async fn windows_take_each_intent_once(db: &TestDb) -> Done {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20 {
        db.run("DELETE FROM meta_outbox").await?;
        let mut sent = Vec::new();
        for n in 0..random.usize(1..40) {
            let origin = [Origin::Operator, Origin::Event, Origin::Import][random.usize(..3)];
            let id = format!("v{} ", random.usize(..30));
            append(db, &[&id], Intent::Upsert, origin).await?;
            sent.push((id, n));
        }
        let limit = random.i64(1..12);
        let (mut cursor, mut live) = (Cursor::default(), 0);
        let mut seen = std::collections::BTreeSet::new();
        while let Some(window) = window(db, cursor, limit).await? {
            live += window.live;
            assert!(window.live <= usize::try_from(limit).expect("small"));
            seen.extend(window.rows.iter().map(|row| row.seq));
            cursor = window.cursor;
        }
        assert_eq!((live, seen.len()), (sent.len(), sent.len()));
    }
    Ok(())
}

/// Invariant 2.
async fn an_intent_appended_after_the_read_survives(db: &TestDb) -> Done {
    upsert(db, &["a", "b"]).await?;
    let read: Vec<_> = open_rows(db).await?.rows.iter().map(|row| (row.seq, IntentOutcome::Submitted)).collect();
    append(db, &["a"], Intent::Delete, Origin::Event).await?;
    assert_eq!(mark(db, &read).await?, 2);
    let left = open_rows(db).await?;
    assert_eq!((names(&left), left.rows[0].intent), (vec!["a"], Intent::Delete));
    Ok(())
}

async fn a_row_is_marked_once(db: &TestDb) -> Done {
    upsert(db, &["a"]).await?;
    let seq = open_rows(db).await?.rows[0].seq;
    assert_eq!(mark(db, &[]).await?, 0);
    assert_eq!(mark(db, &[(seq, IntentOutcome::Noop), (seq + 1000, IntentOutcome::Noop)]).await?, 1);
    assert_eq!(mark(db, &[(seq, IntentOutcome::Failed)]).await?, 0);
    assert_eq!(fault(db, &[seq], None).await?, 0);
    assert_eq!(db.texts("SELECT outcome FROM meta_outbox").await?, ["noop"]);
    assert_eq!(db.number("SELECT processed_at FROM meta_outbox").await?, NOW + 1);
    Ok(())
}

async fn faults_of_rows_park_and_faults_of_the_channel_do_not(db: &TestDb) -> Done {
    upsert(db, &["a", "b"]).await?;
    let seqs: Vec<i64> = open_rows(db).await?.rows.iter().map(|row| row.seq).collect();
    for _ in 0..7 {
        assert_eq!(fault(db, &seqs[..1], None).await?, 1);
    }
    assert_eq!(backlog(db).await?, (2, 0), "a fault of the channel never parks");
    for expected in [(2, 0), (1, 1)] {
        fault(db, &seqs[1..], Some(2)).await?;
        assert_eq!(backlog(db).await?, expected);
    }
    assert_eq!(fault(db, &[], Some(1)).await?, 0);
    let notes = db.texts("SELECT class || ' ' || last_error || ' ' || attempts FROM meta_outbox ORDER BY seq").await?;
    assert_eq!(notes, ["unknown no answer 7", "mapper it panicked 2"]);
    Ok(())
}

async fn faults_of_variants_count_on_all_their_open_rows(db: &TestDb) -> Done {
    upsert(db, &["a", "b"]).await?;
    upsert(db, &["a"]).await?;
    let first = open_rows(db).await?.rows[0].seq;
    mark(db, &[(first, IntentOutcome::Noop)]).await?;
    upsert(db, &["a"]).await?;
    let mut tx = db.write().await?;
    let fault = ChannelFault { class: "unknown", error: "timeout" };
    assert_eq!(outbox::note_fault_of_variants(&mut tx, &["a"], fault).await?, 2);
    tx.commit().await?;
    let attempts: Vec<_> = open_rows(db).await?.rows.into_iter().map(|row| (row.variant_id, row.attempts)).collect();
    assert_eq!(attempts, [("b".into(), 0), ("a".into(), 1), ("a".into(), 1)]);
    Ok(())
}

async fn a_mark_ends_parking(db: &TestDb) -> Done {
    upsert(db, &["a"]).await?;
    let seq = open_rows(db).await?.rows[0].seq;
    fault(db, &[seq], Some(1)).await?;
    assert_eq!(backlog(db).await?, (0, 1));
    mark(db, &[(seq, IntentOutcome::Submitted)]).await?;
    assert_eq!(backlog(db).await?, (0, 0));
    assert_eq!(db.number("SELECT COUNT(parked_at) FROM meta_outbox").await?, 0);
    Ok(())
}

/// One step of a bootstrap; its cursor and whether there is more.
async fn bootstrap(db: &TestDb, limit: i64) -> Result<(String, bool), StoreError> {
    let mut tx = db.write().await?;
    let begun = reask::find(&mut tx, Reason::Bootstrap).await?.expect("a bootstrap");
    let more = reask::step(&mut tx, &begun, None, limit, NOW).await? == reask::Step::More;
    let after = reask::find(&mut tx, Reason::Bootstrap).await?.expect("a bootstrap").after_id;
    tx.commit().await?;
    Ok((after, more))
}

async fn bootstrap_skips_what_is_not_on_sale(db: &TestDb) -> Done {
    let mut some = product("p", &["a", "b", "c", "d"]);
    some.variants[1].deleted_at = Some(NOW);
    let hidden = [
        ProductRecord { status: "draft".into(), ..product("draft", &["a1"]) },
        ProductRecord { visibility: "private".into(), ..product("private", &["a2"]) },
        ProductRecord { deleted_at: Some(NOW), ..product("deleted", &["a3"]) },
    ];
    save(db, &[some]).await?;
    save(db, &hidden).await?;
    db.run("DELETE FROM meta_outbox; DELETE FROM meta_sync_state").await?;

    let mut tx = db.write().await?;
    let total = reask::count(&mut tx, Reason::Bootstrap).await?;
    reask::begin(&mut tx, Reason::Bootstrap, Some(total), NOW).await?;
    tx.commit().await?;
    assert_eq!(total, 3);
    assert_eq!(bootstrap(db, 2).await?, ("c".into(), true));
    assert_eq!(bootstrap(db, 2).await?, ("d".into(), false));
    let rows = open_rows(db).await?;
    assert_eq!(names(&rows), ["a", "c", "d"]);
    assert!(rows.rows.iter().all(|row| (row.intent, row.origin) == (Intent::Upsert, Origin::Operator)));
    assert_eq!(db.number("SELECT COUNT(*) FROM meta_sync_state WHERE status = 'pending'").await?, 3);
    Ok(())
}

/// A linguistic order would put `a` before `B`, and a cursor of one database would skip rows of the other.
async fn bootstrap_walks_ids_bytewise(db: &TestDb) -> Done {
    let mut sorted =
        vec!["10", "9", "A-1", "A1", "B", "Z", "_", "a", "a b", "aB", "ab", "z", "Ä", "ä", "é", "日本", "🟥"];
    let mut shuffled = sorted.clone();
    shuffled.reverse();
    save(db, &[product("p", &shuffled)]).await?;
    sorted.sort_unstable();
    let mut tx = db.write().await?;
    reask::begin(&mut tx, Reason::Bootstrap, None, NOW).await?;
    tx.commit().await?;
    let mut walked: Vec<String> = Vec::new();
    while let (last, true) = bootstrap(db, 1).await? {
        walked.push(last);
    }
    assert_eq!(walked, sorted);
    Ok(())
}

async fn a_window_holds_the_states_of_its_moment(db: &TestDb) -> Done {
    append(db, &["unknown"], Intent::Delete, Origin::Event).await?;
    upsert(db, &["a", "a"]).await?;
    let window = open_rows(db).await?;
    let states: Vec<_> = window.states.iter().map(|(id, held)| (id.as_str(), held.status, held.at_meta)).collect();
    assert_eq!(states, [("a", SyncStatus::Pending, false)]);
    let mut tx = db.read().await?;
    assert_eq!(window.states, sync_state::load(&mut tx, &["a", "unknown"]).await?);
    Ok(())
}

async fn what_was_released_meanwhile_is_not_held(db: &TestDb) -> Done {
    upsert(db, &["a"]).await?;
    let first = open_rows(db).await?.rows[0].seq;
    hold(db, &[first]).await?;
    upsert(db, &["a"]).await?;
    // Decided on as not released, and recorded after the release.
    let seqs: Vec<i64> = open_rows(db).await?.rows.iter().map(|row| row.seq).collect();
    let mut tx = db.write().await?;
    assert_eq!(outbox::release_held(&mut tx, NOW).await?, 1);
    tx.commit().await?;
    assert_eq!(hold(db, &seqs).await?, 1);
    let rows = open_rows(db).await?.rows;
    assert_eq!(rows.iter().map(|row| row.released).collect::<Vec<_>>(), [true, false], "and is decided on as released");
    Ok(())
}

async fn hold(db: &TestDb, seqs: &[i64]) -> Result<u64, StoreError> {
    let mut tx = db.write().await?;
    let held = outbox::hold(&mut tx, seqs, NOW).await?;
    tx.commit().await?;
    Ok(held)
}

async fn what_failed_is_asked_for_again_as_it_was_folded(db: &TestDb) -> Done {
    use Intent::{Delete, Upsert};
    let histories = [
        ("a-gone", [(Delete, Origin::Event), (Delete, Origin::Recovery)]),
        ("b-removed", [(Delete, Origin::Operator), (Upsert, Origin::Event)]),
        ("c-restored", [(Upsert, Origin::Event), (Delete, Origin::Recovery)]),
        ("d-wanted", [(Delete, Origin::Operator), (Upsert, Origin::Operator)]),
    ];
    for (variant, asked) in histories {
        for (intent, origin) in asked {
            append(db, &[variant], intent, origin).await?;
        }
    }
    let settle = async |at| {
        let seqs: Vec<_> = open_rows(db).await?.rows.iter().map(|row| (row.seq, IntentOutcome::Submitted)).collect();
        mark_at(db, &seqs, at).await
    };
    settle(NOW + 1).await?;
    record(db, &histories.map(|(variant, _)| pushed(variant, SyncStatus::Failed))).await?;
    let again = async || {
        let rows = open_rows(db).await?.rows;
        Ok::<_, StoreError>(rows.into_iter().map(|row| (row.intent, row.origin)).collect::<Vec<_>>())
    };
    let mut tx = db.write().await?;
    for (limit, counted) in [(10, 4), (3, 3)] {
        assert_eq!(bulk::count_failed_under_another(&mut tx, "other", limit).await?, counted);
    }
    assert_eq!(bulk::requeue_failed_under_another(&mut tx, "other", NOW + 2).await?, 4);
    tx.commit().await?;
    let (event, operator) = (Origin::Recovery, Origin::Operator);
    assert_eq!(again().await?, [(Delete, event), (Delete, operator), (Upsert, event), (Upsert, event)]);
    settle(NOW + 2).await?;
    let mut tx = db.write().await?;
    assert_eq!(bulk::requeue_failed(&mut tx, NOW + 3).await?, 4);
    tx.commit().await?;
    assert_eq!(again().await?, [(Delete, operator), (Delete, operator), (Upsert, operator), (Upsert, operator)]);
    Ok(())
}
