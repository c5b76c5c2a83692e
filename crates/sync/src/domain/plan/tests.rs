//! Every row of the table in `docs/architecture.md`, and every state against every ask and answer.

use std::borrow::Cow;

use mapper_core::word::{FaultKind, Rejection};

use super::*;

const CATALOG: &str = "c1";
const DATA: &str = r#"{"id":"v"}"#;

fn state(status: SyncStatus, hash: Option<&str>, at_meta: bool) -> SyncState {
    SyncState {
        status,
        catalog_id: Some(CATALOG.into()),
        hash: hash.map(Into::into),
        at_meta,
        fields_at_meta: None,
        attempts: 0,
        excluded: false,
        version: 1,
    }
}

fn mapped(data: &str) -> Word {
    Word::Mapped(Payload { data: data.into(), fields: Vec::new(), warnings: Vec::new(), reevaluate_at: Some(7) })
}

fn rejected() -> Word {
    Word::Rejected(Rejection {
        code: Cow::Borrowed("product_not_active"),
        field: None,
        message: "it is a draft".into(),
    })
}

fn fault(kind: FaultKind) -> MapperFault {
    MapperFault { kind, message: "it stopped".into() }
}

fn ask(intent: Intent) -> Ask {
    Ask { intent, released: false }
}

fn states() -> Vec<Option<SyncState>> {
    use SyncStatus::{Deleted, Failed, Pending, Skipped, Submitted, Synced};
    let hash = sha256_hex(DATA);
    vec![
        None,
        Some(state(Pending, None, false)),
        Some(state(Synced, Some(&hash), true)),
        Some(state(Submitted, Some(&hash), true)),
        Some(state(Submitted, None, true)), // a delete under way
        Some(state(Failed, None, true)),
        Some(state(Failed, None, false)),
        Some(state(Failed, Some(&hash), true)), // a hash that should not be there does not matter
        Some(state(Skipped, None, false)),
        Some(state(Deleted, None, false)),
    ]
}

#[test]
fn the_table() {
    let (same, other, rejected) = (mapped(DATA), mapped("{}"), rejected());
    let (blamed, not_blamed) = (fault(FaultKind::Trap), fault(FaultKind::Busy));
    let upsert = Intent::Upsert;
    #[rustfmt::skip]
    let table: [(Intent, Answer<'_>, [&str; 10]); 10] = [
        (upsert, Answer::Word(&same), ["upsert", "upsert", "noop", "noop", "wait", "upsert", "upsert", "upsert", "upsert", "upsert"]),
        (upsert, Answer::Word(&other), ["upsert", "upsert", "upsert", "wait", "wait", "upsert", "upsert", "upsert", "upsert", "upsert"]),
        (upsert, Answer::Word(&rejected), ["skip", "skip", "delete", "wait", "wait", "delete", "skip", "delete", "skip", "skip"]),
        (upsert, Answer::Gone, ["drop", "drop", "delete", "wait", "wait", "delete", "drop", "delete", "drop", "drop"]),
        (upsert, Answer::Missing, ["wait"; 10]),
        (upsert, Answer::Fault(&not_blamed), ["wait"; 10]),
        (upsert, Answer::Fault(&blamed), ["fault", "fault", "fault", "wait", "wait", "fault", "fault", "fault", "fault", "fault"]),
        (upsert, Answer::Unreadable("no"), ["fault", "fault", "fault", "wait", "wait", "fault", "fault", "fault", "fault", "fault"]),
        (Intent::Delete, Answer::Word(&same), ["drop", "drop", "delete", "wait", "wait", "delete", "drop", "delete", "drop", "drop"]),
        (Intent::Delete, Answer::Missing, ["drop", "drop", "delete", "wait", "wait", "delete", "drop", "delete", "drop", "drop"]),
    ];
    for (intent, answer, expected) in table {
        for (state, expected) in states().iter().zip(expected) {
            let plan = plan(ask(intent), answer, state.as_ref(), Guard::Open, CATALOG);
            assert_eq!(plan.action.as_str(), expected, "{intent:?} {answer:?} {state:?}");
        }
    }
}

#[test]
fn the_guard_holds_back_implicit_deletes_alone() {
    let rejected = rejected();
    for state in states() {
        for answer in [Answer::Word(&rejected), Answer::Gone] {
            let open = plan(ask(Intent::Upsert), answer, state.as_ref(), Guard::Open, CATALOG);
            let closed = plan(ask(Intent::Upsert), answer, state.as_ref(), Guard::Closed, CATALOG);
            if open.asks_the_guard(ask(Intent::Upsert)) {
                assert_eq!((closed.action, &*closed.reason), (Action::Hold, "mass_delete_guard"), "{state:?}");
            } else {
                assert_eq!(closed, open, "{state:?}");
            }
            let released = Ask { intent: Intent::Upsert, released: true };
            assert_eq!(plan(released, answer, state.as_ref(), Guard::Closed, CATALOG), open, "{state:?}");
        }
        // A delete that an event, an import or an operator requested is exempt.
        let asked = |guard| plan(ask(Intent::Delete), Answer::Gone, state.as_ref(), guard, CATALOG);
        assert_eq!(asked(Guard::Closed), asked(Guard::Open), "{state:?}");
    }
}

#[test]
fn claims_of_another_catalog_do_not_count() {
    let word = mapped(DATA);
    for status in SyncStatus::ALL {
        let mut other = state(status, Some(&sha256_hex(DATA)), true);
        other.catalog_id = Some("c2".into());
        let upsert = plan(ask(Intent::Upsert), Answer::Word(&word), Some(&other), Guard::Closed, CATALOG);
        assert_eq!((upsert.action.as_str(), &*upsert.reason == "unchanged"), ("upsert", false));
        let delete = plan(ask(Intent::Delete), Answer::Gone, Some(&other), Guard::Open, CATALOG);
        assert_eq!(delete.action, Action::Drop);
    }
}

#[test]
fn every_plan_says_why() {
    let (same, other, rejected, fault) = (mapped(DATA), mapped("{}"), rejected(), fault(FaultKind::Trap));
    let answers = [
        Answer::Word(&same),
        Answer::Word(&other),
        Answer::Word(&rejected),
        Answer::Fault(&fault),
        Answer::Unreadable("no"),
        Answer::Gone,
        Answer::Missing,
    ];
    let mut seen = std::collections::BTreeSet::new();
    for intent in [Intent::Upsert, Intent::Delete] {
        for state in states() {
            for guard in [Guard::Open, Guard::Closed] {
                for answer in answers {
                    let plan = plan(ask(intent), answer, state.as_ref(), guard, CATALOG);
                    seen.insert(format!("{} {}", plan.action.as_str(), plan.reason));
                }
            }
        }
    }
    let actions: std::collections::BTreeSet<&str> = seen.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(actions, Action::WORDS.into(), "the admin API describes every action");
    let seen: Vec<String> = seen.into_iter().collect();
    insta::assert_snapshot!(seen.join("\n"), @r"
    delete delete_asked
    delete gone
    delete product_not_active
    drop not_at_meta
    fault mapper_error
    hold mass_delete_guard
    noop being_judged
    noop unchanged
    skip product_not_active
    upsert changed
    upsert deleted_before
    upsert failed_before
    upsert not_at_meta
    wait mapper_not_ready
    wait submission_open
    ");
}

/// An exclusion beats every answer and every guard, and counts in every catalog.
#[test]
fn an_excluded_variant_is_removed_or_skipped() {
    let (eligible, rejection) = (mapped(DATA), rejected());
    let broken = fault(FaultKind::Trap);
    let answers =
        [Answer::Word(&eligible), Answer::Word(&rejection), Answer::Fault(&broken), Answer::Gone, Answer::Missing];
    for state in states().into_iter().flatten() {
        let state = SyncState { excluded: true, ..state };
        for answer in answers {
            for guard in [Guard::Open, Guard::Closed] {
                let plan = plan(ask(Intent::Upsert), answer, Some(&state), guard, CATALOG);
                let expected = match state.status {
                    SyncStatus::Submitted => ("wait", "submission_open"),
                    _ if state.at_meta => ("delete", EXCLUDED),
                    _ => ("skip", EXCLUDED),
                };
                assert_eq!((plan.action.as_str(), &*plan.reason), expected, "{state:?}");
                assert!(!plan.asks_the_guard(ask(Intent::Upsert)), "an operator asked for it");
            }
        }
        let elsewhere = plan(ask(Intent::Upsert), Answer::Word(&eligible), Some(&state), Guard::Open, "c2");
        assert_eq!((elsewhere.action.as_str(), &*elsewhere.reason), ("skip", EXCLUDED));
    }
}
