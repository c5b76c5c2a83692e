use std::borrow::Cow;

use mapper_core::Warning;

use mapper_core::sha256_hex;
use mapper_core::word::FaultKind;

use super::*;
use crate::domain::state::SyncStatus;
use crate::mapping::LoadedMapper;
use mapper_core::word::Rejection;

const CATALOG: &str = "c1";

fn mapped(data: &str) -> Result<Word, MapperFault> {
    warned(data, &[])
}

fn warned(data: &str, codes: &[&str]) -> Result<Word, MapperFault> {
    let warning = |code: &&str| Warning { code: (*code).into(), field: None, message: "m".into() };
    let warnings = codes.iter().map(warning).collect();
    Ok(Word::Mapped(Payload { data: data.into(), fields: Vec::new(), warnings, reevaluate_at: None }))
}

fn rejected(code: &'static str) -> Result<Word, MapperFault> {
    Ok(Word::Rejected(Rejection { code: Cow::Borrowed(code), field: None, message: String::new() }))
}

fn fails(message: &str) -> Result<Word, MapperFault> {
    Err(MapperFault { kind: FaultKind::Trap, message: message.into() })
}

fn held(status: SyncStatus, data: Option<&str>, at_meta: bool) -> SyncState {
    SyncState {
        status,
        catalog_id: Some(CATALOG.into()),
        hash: data.map(sha256_hex),
        at_meta,
        fields_at_meta: None,
        attempts: 0,
        excluded: false,
        version: 1,
    }
}

type Case = (&'static str, Result<Word, MapperFault>, Result<Word, MapperFault>, Option<SyncState>);

fn report(cases: &[Case]) -> PreviewReport {
    let mut tally = Tally::default();
    for (variant_id, before, after, held) in cases {
        tally.add(&Pair { variant_id, before, after, state: held.as_ref() }, CATALOG);
    }
    tally.into_report(Compared::of(&LoadedMapper::builtin()))
}

#[test]
fn every_kind_of_difference_is_told() {
    let (a, b) = (r#"{"brand":"Acme","id":"v","title":"A"}"#, r#"{"id":"v","label":["x"],"title":"B"}"#);
    let synced = |data| Some(held(SyncStatus::Synced, Some(data), true));
    let mut report = report(&[
        ("same", mapped(a), mapped(a), synced(a)),
        ("same, never sent", mapped(a), mapped(a), None),
        ("other", warned(a, &["w", "gone"]), warned(b, &["w", "new", "new"]), synced(a)),
        ("other, to be sent anyway", mapped(a), mapped(b), None),
        ("rejected now", mapped(a), rejected("too_cheap"), synced(a)),
        ("rejected now, never sent", mapped(a), rejected("too_cheap"), None),
        ("eligible now", rejected("missing_price"), mapped(b), None),
        ("eligible now, held anyway", rejected("missing_price"), mapped(b), synced(b)),
        ("rejected both", rejected("missing_price"), rejected("missing_price"), synced(a)),
        ("rejected otherwise", rejected("missing_price"), rejected("too_cheap"), None),
        ("fails now", mapped(a), fails("trapped"), synced(a)),
        ("repaired", fails("panicked"), mapped(a), None),
        ("fails both", fails("panicked"), fails("trapped"), None),
        ("waits", mapped(a), mapped(b), Some(held(SyncStatus::Submitted, Some(a), true))),
    ]);
    report.active = Compared::default();
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/../../snapshots/mapping"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_json_snapshot!("preview", report);
    });
}

#[test]
fn memory_is_bounded_whatever_a_module_says() {
    let long = "x".repeat(10_000);
    let mut tally = Tally::default();
    for n in 0..2_000 {
        let before = mapped(r#"{"id":"v"}"#);
        let after = warned(&format!(r#"{{"f{n}":"{long}","id":"v"}}"#), &[&format!("w{n}{long}")]);
        let failing = fails(&long);
        tally.add(&Pair { variant_id: "v", before: &before, after: &after, state: None }, CATALOG);
        tally.add(&Pair { variant_id: "v", before: &before, after: &failing, state: None }, CATALOG);
    }
    let report = tally.into_report(Compared::default());
    assert_eq!((report.variants, report.changed, report.newly_failing.count), (4_000, 2_000, 2_000));
    assert_eq!((report.fields.len(), report.fields_left_out), (MOST_NAMES, 1_800));
    assert_eq!(report.newly_failing.samples.len(), SAMPLES);
    assert!(serde_json::to_string(&report).expect("JSON").len() < 400_000);
}

/// Variants left open by a busy machine, or because other variants used up the time, say nothing about the module.
#[test]
fn what_was_not_tried_counts_apart() {
    let untried = |kind| Err(MapperFault { kind, message: "m".into() });
    let a = || mapped(r#"{"id":"v"}"#);
    let report = report(&[
        ("other rows took the time", a(), untried(FaultKind::NotTried), None),
        ("busy", rejected("missing_price"), untried(FaultKind::Busy), None),
        ("the host failed", fails("trapped"), untried(FaultKind::Host), None),
        ("the active one was not tried", untried(FaultKind::NotTried), a(), None),
        ("neither", untried(FaultKind::Busy), untried(FaultKind::NotTried), None),
        ("too slow", a(), untried(FaultKind::Time), None),
    ]);
    assert_eq!((report.variants, report.not_tried), (6, 5));
    let effect = Effect { undecided: 6, ..Effect::default() };
    assert_eq!(report.effect, effect, "what the active mapper would have sent is not the module's doing");
    let counts = [report.newly_failing, report.no_longer_failing, report.failing_anyway].map(|group| group.count);
    assert_eq!((counts, report.unchanged), ([1, 0, 0], 0));
}
