//! Modules that misbehave: each costs its own rows, with a clear reason, and nothing else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mapper_core::word::Word;
use mapper_core::word::{FaultKind, MapperFault};
use wasm_host::{Batch, Host, Limits, Module};

use super::{HOST, batch, bytes, labelled, load, payload};

/// Rows of a batch, and the two among them that misbehave.
const ROWS: usize = 60;
const GUILTY: [usize; 2] = [17, 42];

/// An engine in which a spinning row costs little.
fn hasty() -> Host {
    let call = Duration::from_millis(300);
    Host::new(Limits { call, patience: Duration::from_secs(60), ..Limits::default() }).expect("an engine")
}

fn with_evil(kind: &str) -> Arc<Batch> {
    batch(ROWS, |n| GUILTY.contains(&n).then(|| format!(r#"{{"evil":"{kind}"}}"#)))
}

/// Whether each row but the guilty ones has what the module says of it.
#[track_caller]
fn assert_neighbours(batch: &Batch, words: &[Result<Word, MapperFault>], guilty: &[usize]) {
    assert_eq!(words.len(), batch.items.len());
    for n in (0..words.len()).filter(|n| !guilty.contains(n)) {
        assert_eq!(payload(&words[n]).data, labelled(batch, n, "custom_label_3", "fixture"), "row {n}");
    }
}

/// Runs one kind of evil in two rows of a batch, then a good batch, then the same rows through the well-behaved twin.
#[track_caller]
fn costs_its_rows(module: &Module, twin: &Module, kind: &str, expected: FaultKind, saying: &str) {
    let batch = with_evil(kind);
    let words = module.map(&batch);
    assert_neighbours(&batch, &words, &GUILTY);
    for n in GUILTY {
        let fault = words[n].as_ref().expect_err("a fault");
        assert_eq!(fault.kind, expected, "{kind}: {fault}");
        assert!(fault.message.contains(saying), "{kind}: {fault}");
        let name = format!("the mapper module {} ({}) ", module.name(), &module.digest()[..12]);
        assert!(fault.message.starts_with(&name), "{fault}");
        assert!(!fault.message.contains('\n') && fault.message.len() < 600, "{fault}");
    }
    let good = super::batch(ROWS, |_| None);
    assert_neighbours(&good, &module.map(&good), &[]);
    assert_neighbours(&batch, &twin.map(&batch), &[]);
}

#[test]
fn each_kind_of_evil_costs_its_rows_and_nothing_else() {
    use FaultKind::{Answer, Memory, Output, Stack, Trap};
    // Time enough for each to come to its end, however busy the machine.
    let (call, patience) = (Duration::from_secs(60), Duration::from_secs(600));
    let patient = Host::new(Limits { call, patience, per_item: Duration::from_secs(1), ..Limits::default() });
    let patient = patient.expect("an engine");
    let (evil, twin) = (patient.load(&bytes("fixtures/evil")).expect("loads"), load("fixtures/twin"));
    let cases = [
        ("allocate", Memory, "asked for too much memory; 67108864 bytes are allowed"),
        ("trap", Trap, "this module traps on purpose, at item var_000"),
        ("overflow", Stack, "ran out of stack"),
        ("overflow_large", Trap, "accessed memory out of bounds"),
        ("wild_read", Trap, "accessed memory out of bounds"),
        ("past_the_end", Trap, "called `builtin(4294967295)`, but the call has 1 items"),
        ("short", Answer, "returned 0 outcomes for 1 items"),
        ("long", Answer, "returned 2 outcomes for 1 items"),
        ("foreign_id", Output, "with an outcome for `somebody-else`"),
        ("mixed_id", Output, "whose `id` is \"somebody-else\""),
        ("missing_id", Output, "without an `id`"),
        ("patched_id", Output, "patch of `id`"),
        ("twice", Output, "twice"),
        ("wrong_type", Output, "`title` to the value 5; it takes a text"),
        ("wrong_type_mapped", Output, "`title` to the value 5; it takes a text"),
        ("bad_json", Output, "not JSON"),
        ("bad_json_mapped", Output, "not one JSON object"),
        ("no_object", Output, "not one JSON object"),
        ("huge", Output, "`description` to 10000002 bytes, 262144 are allowed"),
        ("huge_code", Output, "a code is snake_case and at most 64 characters"),
        ("bad_utf8", Answer, "not UTF-8"),
    ];
    for (kind, expected, saying) in cases {
        costs_its_rows(&evil, &twin, kind, expected, saying);
    }
}

#[test]
fn what_never_ends_is_stopped() {
    let host = hasty();
    let (evil, twin) = (host.load(&bytes("fixtures/evil")).expect("loads"), load("fixtures/twin"));
    for kind in ["spin", "log_flood"] {
        costs_its_rows(&evil, &twin, kind, FaultKind::Time, "did not answer in time");
    }
}

#[test]
fn what_hands_over_too_much_at_once_is_stopped() {
    let host = Host::new(Limits { least_output: 4 << 20, ..Limits::default() }).expect("an engine");
    let (evil, twin) = (host.load(&bytes("fixtures/evil")).expect("loads"), load("fixtures/twin"));
    for kind in ["huge", "huge_code", "log_huge"] {
        costs_its_rows(&evil, &twin, kind, FaultKind::TooMuchOutput, "too much data at once");
    }
}

#[test]
fn what_is_only_odd_is_taken() {
    let evil = load("fixtures/evil");
    for (kind, code) in [
        ("log_huge", None),
        ("unknown_field", Some("unexpected_kind")),
        ("warnings", Some("warning_0")),
        ("past_reevaluation", Some("reevaluate_in_the_past")),
    ] {
        let words = evil.map(&with_evil(kind));
        for n in GUILTY {
            let payload = payload(&words[n]);
            assert!(payload.warnings.len() < 30, "{kind}");
            let has = |code: &str| payload.warnings.iter().any(|warning| warning.code == code);
            assert!(code.is_none_or(has), "{kind}: {:?}", payload.warnings);
        }
    }
}

#[test]
fn a_module_that_is_evil_throughout_faults_every_row() {
    use FaultKind::{Answer, Memory, Output, Stack, Trap};
    let batch = batch(6, |_| None);
    for (name, expected) in [
        ("always-allocate", Memory),
        ("always-trap", Trap),
        ("always-overflow", Stack),
        ("always-short", Answer),
        ("always-long", Answer),
        ("always-foreign-id", Output),
        ("always-wrong-type", Output),
        ("always-bad-json", Output),
        ("always-huge", Output),
    ] {
        let words = load(&format!("fixtures/{name}")).map(&batch);
        for word in words {
            assert_eq!(word.expect_err("a fault").kind, expected, "{name}");
        }
    }
}

/// How many rows have a fault of their own, and how many were not tried.
fn found_and_rest(words: &[Result<Word, MapperFault>]) -> (usize, usize) {
    let faults = || words.iter().filter_map(|word| word.as_ref().err());
    let found = faults().filter(|fault| fault.kind.blames_the_row());
    (found.count(), faults().filter(|fault| fault.kind == FaultKind::NotTried).count())
}

#[test]
fn a_thousand_spinning_rows_do_not_take_an_hour() {
    let limits =
        Limits { call: Duration::from_millis(400), patience: Duration::from_millis(1_500), ..Limits::default() };
    // The first run, patience, and what is left of one way down to a row: ten halvings.
    let bound = limits.call + limits.per_item * 2_000 + limits.patience + Duration::from_millis(2_500);
    let host = Host::new(limits).expect("an engine");
    let module = host.load(&bytes("fixtures/always-spin")).expect("loads");
    let begun = Instant::now();
    let words = module.map(&batch(1_000, |_| None));
    let took = begun.elapsed();
    assert!(took < bound + Duration::from_secs(5), "{took:?}");
    let (found, rest) = found_and_rest(&words);
    assert!(found >= 1, "a request that gives up has found somebody");
    assert_eq!(found + rest, 1_000);
    for fault in words.iter().filter_map(|word| word.as_ref().err()) {
        match fault.kind {
            FaultKind::Time => assert!(fault.message.contains("did not answer in time"), "{fault}"),
            _ => assert!(fault.message.contains("was not run on this item") && fault.message.contains("in time")),
        }
    }
}

#[test]
fn batch_after_batch_gets_rid_of_many_spinning_rows() {
    let limits = Limits { call: Duration::from_millis(300), patience: Duration::from_secs(2), ..Limits::default() };
    let host = Host::new(limits).expect("an engine");
    let module = host.load(&bytes("fixtures/evil")).expect("loads");
    let is_guilty = |n: usize| n % 20 == 7;
    let whole = batch(200, |n| is_guilty(n).then(|| r#"{"evil":"spin"}"#.into()));
    let mut left: Vec<usize> = (0..200).collect();
    let mut found = Vec::new();
    for _ in 0..10 {
        let items = left.iter().map(|n| whole.items[*n].clone()).collect();
        let words = module.map(&Arc::new(Batch { items, ..(*whole).clone() }));
        let (new, rest) = found_and_rest(&words);
        if rest == 0 && new == 0 {
            break;
        }
        assert!(new > 0, "no progress after {found:?}");
        let mut answers = words.iter();
        left.retain(|n| match answers.next() {
            Some(Err(fault)) if fault.kind.blames_the_row() => {
                assert_eq!(fault.kind, FaultKind::Time);
                found.push(*n);
                false
            }
            _ => true,
        });
    }
    found.sort_unstable();
    assert_eq!(found, (0..200).filter(|n| is_guilty(*n)).collect::<Vec<_>>(), "the guilty, and nobody else");
}

#[test]
fn patience_is_for_the_guilty_not_for_what_answers() {
    let host = Host::new(Limits { patience: Duration::ZERO, ..Limits::default() }).expect("an engine");
    let module = host.load(&bytes("fixtures/evil")).expect("loads");
    let good = batch(2_500, |_| None);
    assert_neighbours(&good, &module.map(&good), &[]);
    let words = module.map(&with_evil("trap"));
    assert_eq!(words[GUILTY[0]].as_ref().expect_err("a fault").kind, FaultKind::Trap);
    let (found, rest) = found_and_rest(&words);
    assert!(found == 1 && rest > 0, "{found} found, {rest} left");
}

#[test]
fn many_threads_share_the_places() {
    let host = Host::new(Limits { concurrency: 1, ..Limits::default() }).expect("an engine");
    let module = host.load(&bytes("fixtures/evil")).expect("loads");
    let batch = with_evil("trap");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_neighbours(&batch, &module.map(&batch), &GUILTY));
        }
    });
}

#[test]
fn an_item_without_its_product_costs_itself() {
    let mut broken = (*batch(10, |_| None)).clone();
    broken.items[3].product_index = 99;
    let broken = Arc::new(broken);
    let words = load("fixtures/twin").map(&broken);
    assert_eq!(words[3].as_ref().expect_err("a fault").kind, FaultKind::Host);
    assert_neighbours(&broken, &words, &[3]);
}

#[test]
#[cfg(target_os = "linux")]
fn memory_returns_after_a_bomb() {
    // In a process of its own: what other tests take and give back would be counted as well.
    const ALONE: &str = "META_CATALOG_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let this = ["--exact", "wasm::evil::memory_returns_after_a_bomb"];
        let binary = std::env::current_exe().expect("a binary");
        let child = std::process::Command::new(binary).args(this).env(ALONE, "1").output().expect("a child");
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        return;
    }
    let (evil, twin) = (load("fixtures/evil"), load("fixtures/twin"));
    let bomb = with_evil("allocate");
    let _ = twin.map(&bomb);
    let before = resident_bytes();
    for _ in 0..5 {
        assert_neighbours(&bomb, &evil.map(&bomb), &GUILTY);
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes more than before, after bombs of {}", HOST.limits().memory_bytes);
}

#[cfg(target_os = "linux")]
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    let kilobytes: u64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    kilobytes * 1024
}
