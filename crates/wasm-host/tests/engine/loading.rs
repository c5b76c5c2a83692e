//! What a file must be to become a module, and what is said of one that is not.

use mapper_core::word::FaultKind;
use wasm_host::{Host, Limits, LoadError};

use super::{HOST, batch, bytes};

#[track_caller]
fn refused(bytes: &[u8]) -> LoadError {
    HOST.load(bytes).expect_err("refused")
}

#[test]
fn the_host_is_of_the_world_that_modules_are_made_for() {
    // Types are compared when a module is loaded: this fails when the structs and the WIT drift apart.
    let module = HOST.load(&bytes("fixtures/twin")).expect("loads");
    assert_eq!(module.digest().len(), 64);
    assert!(!module.version().is_empty());
    assert!(format!("{module:?}").contains(&**module.digest()));
}

#[test]
fn a_file_that_is_no_module_is_told_so() {
    assert_eq!(refused(b""), LoadError::Empty);
    assert_eq!(refused(b"<html>404</html>"), LoadError::NotWasm);
    assert_eq!(refused(b"\0asm\x01\0\0\0"), LoadError::NotMadeWithSdk);
    let truncated = refused(&bytes("fixtures/truncated"));
    assert!(matches!(truncated, LoadError::Damaged(_)), "{truncated}");

    let small = Host::new(Limits { file_bytes: 1_000, ..Limits::default() }).expect("an engine");
    let large = small.load(&bytes("fixtures/twin")).expect_err("too large");
    assert!(matches!(large, LoadError::TooLarge { limit: 1_000, .. }), "{large}");
}

#[test]
fn another_world_names_both_versions() {
    let error = refused(&bytes("fixtures/other-world"));
    let LoadError::OtherWorld { found, ours } = &error else { panic!("{error}") };
    assert!(found.starts_with("catalog:mapper/mapping@"), "{found}");
    let text = error.to_string();
    assert!(text.contains(found.as_str()) && text.contains(&**ours), "{text}");
}

#[test]
fn wasi_is_refused_with_a_hint() {
    let error = refused(&bytes("fixtures/imports-wasi"));
    assert!(matches!(&error, LoadError::Wasi { import } if import.starts_with("wasi")), "{error}");
    let text = error.to_string();
    assert!(text.contains("wasm32-unknown-unknown") && text.contains("--stub-wasi"), "{text}");
}

#[test]
fn a_module_must_say_who_it_is() {
    let nameless = refused(&bytes("fixtures/describe-nameless"));
    assert_eq!(nameless, LoadError::Info { what: "name".into(), problem: "is empty".into() });

    let call = std::time::Duration::from_millis(100);
    let hasty = Host::new(Limits { call, ..Limits::default() }).expect("an engine");
    let spinning = hasty.load(&bytes("fixtures/describe-spin")).expect_err("refused");
    assert!(matches!(&spinning, LoadError::Describe(fault) if fault.kind == FaultKind::Time), "{spinning}");
    assert!(hasty.load(&bytes("fixtures/twin")).is_ok(), "the next one loads");
}

#[test]
fn a_module_works_after_its_host_is_gone() {
    let module = {
        let host = Host::new(Limits::default()).expect("an engine");
        host.load(&bytes("fixtures/twin")).expect("loads")
    };
    assert!(module.map(&batch(3, |_| None)).iter().all(Result::is_ok));
}

#[test]
fn truncated_files_are_refused() {
    let whole = bytes("fixtures/twin");
    for length in (0..whole.len()).step_by(97) {
        let _ = refused(&whole[..length]);
    }
}

#[test]
fn damaged_files_never_panic() {
    // What still loads has been asked who it is, so its code has run under the limits.
    let call = std::time::Duration::from_millis(100);
    let host = Host::new(Limits { call, ..Limits::default() }).expect("an engine");
    let mut random = fastrand::Rng::with_seed(5);
    for name in ["fixtures/twin", "fixtures/other-world"] {
        let whole = bytes(name);
        for _ in 0..60 {
            let mut damaged = whole.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..damaged.len());
                damaged[at] = random.u8(..);
            }
            let answer = host.load(&damaged);
            assert!(!matches!(answer, Err(LoadError::Panicked(_))), "{answer:?}");
        }
        // The description of the world is what wit-component reads.
        let section = whole.windows(14).position(|window| window == b"component-type").expect("a world");
        for _ in 0..60 {
            let mut damaged = whole.clone();
            let at = section + random.usize(..(whole.len() - section).min(2_000));
            damaged[at] = random.u8(..);
            let answer = host.load(&damaged);
            assert!(!matches!(answer, Err(LoadError::Panicked(_))), "{answer:?}");
        }
    }
}
