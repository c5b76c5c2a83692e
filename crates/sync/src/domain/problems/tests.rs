//! Each problem by the facts that make it, and their order.

use super::*;

const NOW: Millis = 1_795_000_000_000; // 2026-11-18
const DAY: Millis = DAY_MS;

fn settings(values: &[(&str, serde_json::Value)]) -> Settings {
    Settings::new(1, true, values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())))
}

fn ready() -> Settings {
    settings(&[
        ("sync_enabled", true.into()),
        ("catalog_id", "1".into()),
        ("storefront_base_url", "https://shop.example".into()),
    ])
}

fn connection() -> Connection {
    Connection {
        version: 3,
        token_kind: TokenKind::SystemUser,
        ends_at: None,
        scope: Some("business_management,catalog_management".into()),
    }
}

fn codes(
    settings: &Settings,
    connection: Option<&Connection>,
    channel: &Channel,
    change: impl FnOnce(&mut Facts<'_>),
) -> Vec<String> {
    let mut facts = Facts {
        settings,
        connection,
        channel,
        mapper: None,
        work: Work::default(),
        graph_version: "v26.0",
        now: NOW,
        shown: |at| at.to_string(),
    };
    change(&mut facts);
    let problems = problems(facts);
    assert!(problems.is_sorted_by_key(|(severity, _)| *severity));
    assert!(problems.iter().all(|(_, problem)| problem.message.len() > 40), "{problems:?}");
    assert!(problems.iter().all(|(_, problem)| Problem::CODES.contains(&&*problem.code)), "{problems:?}");
    problems.into_iter().map(|(severity, problem)| format!("{} {}", severity.as_str(), problem.code)).collect()
}

#[test]
fn a_sound_installation_has_none() {
    assert!(codes(&ready(), Some(&connection()), &Channel::default(), |_| ()).is_empty());
    assert!(codes(&Settings::default(), None, &Channel::default(), |_| ()).is_empty(), "fresh");
}

#[test]
fn each_fact_makes_its_problem() {
    let (ready, none, sound) = (ready(), Channel::default(), connection());
    assert_eq!(codes(&ready, None, &none, |_| ()), ["stops meta_not_connected"]);
    assert_eq!(
        codes(&ready, Some(&sound), &none, |facts| facts.mapper = Some("the module is damaged; replace it, or reset")),
        ["stops mapper_unusable"]
    );

    let with = |change: &dyn Fn(&mut Connection)| {
        let mut connection = connection();
        change(&mut connection);
        codes(&ready, Some(&connection), &none, |_| ())
    };
    assert_eq!(with(&|c| c.token_kind = TokenKind::User), ["warns meta_personal_token"]);
    assert_eq!(with(&|c| c.scope = Some("catalog_management".into())), ["warns meta_scope_missing"]);
    assert_eq!(with(&|c| c.scope = Some("business_management".into())), ["stops meta_scope_missing"]);
    assert_eq!(with(&|c| c.scope = Some(String::new())), ["stops meta_scope_missing", "warns meta_scope_missing"]);
    assert!(with(&|c| c.scope = None).is_empty(), "unknown is not missing");
    assert_eq!(with(&|c| c.ends_at = Some(NOW)), ["stops meta_token_expired"]);
    assert_eq!(with(&|c| c.ends_at = Some(NOW + 4 * DAY)), ["warns meta_token_ends"]);
    assert!(with(&|c| c.ends_at = Some(NOW + 5 * DAY)).is_empty());

    let held = |facts: &mut Facts<'_>| facts.work.held = 3;
    assert_eq!(codes(&ready, Some(&sound), &none, held), ["stops mass_delete_held"]);
    let pending = |facts: &mut Facts<'_>| facts.work.pending = 3;
    assert_eq!(codes(&ready, Some(&sound), &none, pending), ["warns nothing_queued"]);
    for work in [
        Work { pending: 3, live: 1, ..Work::default() },
        Work { pending: 3, submissions: 1, ..Work::default() },
        Work { pending: 3, asks_again: true, ..Work::default() },
    ] {
        assert!(codes(&ready, Some(&sound), &none, |facts| facts.work = work).is_empty(), "{work:?}");
    }

    let mut cut = Channel::default();
    cut.shape.row_cap = Some(1);
    assert_eq!(codes(&ready, Some(&sound), &cut, |_| ()), ["warns meta_calls_cut"]);
    cut.problem = Some(Problem {
        code: "meta_refused".into(),
        message: "Meta refuses every call; read the message and correct it.".into(),
    });
    assert_eq!(codes(&ready, Some(&sound), &cut, |_| ()), ["stops meta_refused"]);
    cut.problem_credential = Some(2);
    assert!(codes(&ready, Some(&sound), &cut, |_| ()).is_empty(), "of another credential");
}

#[test]
fn a_version_is_a_problem_ninety_days_before_its_end() {
    let (ready, none, sound) = (ready(), Channel::default(), connection());
    let at = |version: &'static str, now| {
        codes(&ready, Some(&sound), &none, |facts| (facts.graph_version, facts.now) = (version, now))
    };
    let end = version_end("v25.0").expect("known");
    assert_eq!(end, 1_803_340_800_000, "2027-02-23");
    assert!(at("v25.0", end - 90 * DAY - 1).is_empty());
    assert_eq!(at("v25.0", end - 90 * DAY), ["warns graph_version_ends"]);
    assert_eq!(at("v24.0", NOW), ["warns graph_version_ends"], "it has ended");
    assert!(at("v27.0", end + 900 * DAY).is_empty(), "its end is not known yet");
}

#[test]
fn a_version_has_an_age() {
    let ends = version_end("v25.0").expect("a known end");
    let table = [
        ("v99.0", ends, VersionAge::NoEnd),
        ("v25.0", ends - VERSION_NOTICE_MS - 1, VersionAge::Current),
        ("v25.0", ends - VERSION_NOTICE_MS, VersionAge::EndsSoon),
        ("v25.0", ends - 1, VersionAge::EndsSoon),
        ("v25.0", ends, VersionAge::Ended),
    ];
    for (version, now, age) in table {
        assert_eq!(version_age(version, now), age, "{version} {now}");
    }
}
