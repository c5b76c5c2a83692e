use std::borrow::Cow;

use mapper_core::Warning;

use super::*;
use crate::domain::state::SyncStatus;
use crate::domain::word::Rejection;
use crate::wasm::FaultKind;

const CATALOG: &str = "c1";

fn mapped(data: &str) -> Result<Word, Fault> {
    warned(data, &[])
}

fn warned(data: &str, codes: &[&str]) -> Result<Word, Fault> {
    let warning = |code: &&str| Warning { code: (*code).into(), field: None, message: "m".into() };
    let warnings = codes.iter().map(warning).collect();
    Ok(Word::Mapped(Payload { data: data.into(), fields: Vec::new(), warnings, reevaluate_at: None }))
}

fn rejected(code: &'static str) -> Result<Word, Fault> {
    Ok(Word::Rejected(Rejection { code: Cow::Borrowed(code), field: None, message: String::new() }))
}

fn fails(message: &str) -> Result<Word, Fault> {
    Err(Fault { kind: FaultKind::Trap, message: message.into() })
}

fn held(status: SyncStatus, data: Option<&str>, at_meta: bool) -> Held {
    Held {
        status,
        catalog_id: Some(CATALOG.into()),
        hash: data.map(sha256_hex),
        at_meta,
        fields_at_meta: None,
        attempts: 0,
        version: 1,
    }
}

type Case = (&'static str, Result<Word, Fault>, Result<Word, Fault>, Option<Held>);

fn report(cases: &[Case]) -> PreviewReport {
    let mut tally = Tally::default();
    for (variant_id, before, after, held) in cases {
        tally.add(&Pair { variant_id, before, after, held: held.as_ref() }, CATALOG);
    }
    tally.into_report(Compared::of(&Running::builtin()))
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
        ("mended", fails("panicked"), mapped(a), None),
        ("fails both", fails("panicked"), fails("trapped"), None),
        ("waits", mapped(a), mapped(b), Some(held(SyncStatus::Submitted, Some(a), true))),
    ]);
    report.active = Compared::default();
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/mapping"),
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
        tally.add(&Pair { variant_id: "v", before: &before, after: &after, held: None }, CATALOG);
        tally.add(&Pair { variant_id: "v", before: &before, after: &failing, held: None }, CATALOG);
    }
    let report = tally.into_report(Compared::default());
    assert_eq!((report.variants, report.changed, report.newly_failing.count), (4_000, 2_000, 2_000));
    assert_eq!((report.fields.len(), report.fields_left_out), (MOST_NAMES, 1_800));
    assert_eq!(report.newly_failing.samples.len(), SAMPLES);
    assert!(serde_json::to_string(&report).expect("JSON").len() < 400_000);
}

#[test]
fn changes_are_by_name() {
    let of = |before, after| -> Vec<(String, Option<&str>, Option<&str>)> {
        changes(before, after).into_iter().map(|Change { field, before, after }| (field, before, after)).collect()
    };
    assert_eq!(
        of(r#"{"a":1,"b":"x","c":null}"#, r#"{"b":"y","c":null,"d":[]}"#),
        [("a".into(), Some("1"), None), ("b".into(), Some(r#""x""#), Some(r#""y""#)), ("d".into(), None, Some("[]"))]
    );
    assert_eq!(of("{}", "{}"), []);
}
