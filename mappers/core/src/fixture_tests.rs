//! The fixtures in `fixtures/`: one input object each, with the branches of the mapper it is about.
//!
//! Proves that the marked branches (`trace.rs`), the table below and the fixtures agree: a branch without
//! a fixture, a fixture that does not reach what it names, and a name that nobody knows all fail. What the
//! mapper answers is pinned by one reviewed snapshot a fixture.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::trace::recorder;
use crate::{EligibilityReason, FIELDS, Outcome, WarningCode, input, sha256_hex};

mod branches;
use branches::BRANCHES;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    purpose: String,
    branches: BTreeSet<String>,
    /// The input object, or a text: then the line itself.
    input: Value,
}

impl Fixture {
    fn line(&self) -> String {
        self.input.as_str().map_or_else(|| self.input.to_string(), str::to_owned)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn file_stem(path: &Path) -> String {
    path.file_stem().expect("a file has a name").to_string_lossy().into_owned()
}

/// The files of a folder with one extension, sorted.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

fn fixtures() -> Vec<(String, Fixture)> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a readable fixture");
        let fixture = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (file_stem(&path), fixture)
    };
    files(&root().join("fixtures"), "json").into_iter().map(read).collect()
}

fn table() -> BTreeSet<String> {
    BRANCHES.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_branch_has_a_fixture_and_every_fixture_names_only_known_branches() {
    let mut named = BTreeSet::new();
    for (name, fixture) in fixtures() {
        let unknown: Vec<_> = fixture.branches.difference(&table()).cloned().collect();
        assert!(unknown.is_empty(), "{name} names unknown branches {unknown:?}");
        assert!(!fixture.branches.is_empty(), "{name} is about no branch");
        named.extend(fixture.branches);
    }
    let without: Vec<_> = table().difference(&named).cloned().collect();
    assert!(without.is_empty(), "no fixture is about {without:?}");
}

#[test]
fn every_fixture_reaches_the_branches_it_names() {
    for (name, fixture) in fixtures() {
        recorder::take();
        let _ = input::map_line(&fixture.line());
        let reached = recorder::take();
        let missed: Vec<_> = fixture.branches.difference(&reached).collect();
        assert!(missed.is_empty(), "{name} does not reach {missed:?}; it reaches {reached:?}");
        let unlisted: Vec<_> = reached.difference(&table()).cloned().collect();
        assert!(unlisted.is_empty(), "{name} reaches branches that the table lacks: {unlisted:?}");
    }
}

#[test]
fn the_table_holds_every_branch_that_the_source_marks() {
    let mut marked = BTreeSet::new();
    marked.extend(WarningCode::ALL.iter().map(|code| format!("warning.{code}")));
    marked.extend(FIELDS.iter().filter(|spec| spec.limit.is_some()).map(|spec| format!("limit.{}", spec.name)));
    // Ten images and fourteen digits stay below Meta's limits.
    marked.remove("limit.additional_image_link");
    marked.remove("limit.gtin");
    marked.extend(EligibilityReason::ALL.map(|reason| format!("eligibility.{}", reason.as_str())));
    let names = ["color", "colour", "size", "material", "fabric", "pattern", "print"];
    marked.extend(names.map(|name| format!("option.{name}")));

    let subjects: BTreeSet<_> = BRANCHES.iter().filter_map(|name| Some(name.split_once('.')?.0)).collect();
    let src = root().join("src");
    let sources = files(&src, "rs").into_iter().chain(files(&src.join("input"), "rs"));
    for path in sources.filter(|path| !file_stem(path).ends_with("_tests")) {
        let source = fs::read_to_string(&path).expect("a readable source file");
        let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let is_branch = |literal: &&str| {
            literal.split_once('.').is_some_and(|(subject, rest)| {
                subjects.contains(subject)
                    && !rest.is_empty()
                    && rest.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())
            })
        };
        // Every second piece between quotation marks is inside a literal, so looking at all is enough.
        marked.extend(code.split('"').filter(is_branch).map(str::to_owned));
    }
    assert_eq!(marked, table());
}

#[test]
fn every_fixture_answers_as_reviewed() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../snapshots/mapper");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _bound = settings.bind_to_scope();

    for (name, fixture) in fixtures() {
        let line = fixture.line();
        let answer = match input::read(&line).and_then(|item| item.map()) {
            Ok(Outcome::Mapped(mapped)) => {
                let data: Value = serde_json::from_str(&mapped.data).expect("data is JSON");
                let names: Vec<_> = data.as_object().expect("data is an object").keys().cloned().collect();
                let fields: Vec<_> =
                    mapped.fields.iter().map(|field| field.trim_end_matches(['[', ']', '{', '}'])).collect();
                assert_eq!(names, fields, "{name}: the names are those of the data");
                let line = format!(r#"{{"data":{},"warnings":{}}}"#, mapped.data, json!(mapped.warnings));
                let printed: Value = serde_json::from_str(&line).expect("the parts make an object");
                assert_eq!(read_back(&fixture), printed, "{name}: the command prints the same");
                json!({
                    "purpose": fixture.purpose,
                    "data": data,
                    "warnings": mapped.warnings,
                    "hash": sha256_hex(&mapped.data),
                    "reevaluate_at": mapped.reevaluate_at,
                })
            }
            Ok(Outcome::Rejected(reason)) => {
                assert_eq!(read_back(&fixture), json!({"rejected": reason.as_str()}), "{name}");
                json!({"purpose": fixture.purpose, "rejected": reason.as_str()})
            }
            Err(error) => {
                assert_eq!(read_back(&fixture), json!({"error": error.to_string()}), "{name}");
                json!({"purpose": fixture.purpose, "error": error.to_string()})
            }
        };
        insta::assert_json_snapshot!(name, answer);
    }
}

#[test]
fn a_warning_that_a_setting_helps_against_names_it() {
    for (name, fixture) in fixtures() {
        let Ok(Ok(Outcome::Mapped(mapped))) = input::read(&fixture.line()).map(|item| item.map()) else { continue };
        for warning in mapped.warnings {
            let code = WarningCode::ALL.iter().find(|code| code.as_str() == warning.code).expect("a known code");
            if let Some(setting) = code.setting() {
                assert!(warning.message.contains(&format!("`{setting}`")), "{name}: {}", warning.message);
            }
        }
    }
}

#[test]
fn every_snapshot_has_its_fixture() {
    let known: BTreeSet<_> = fixtures().into_iter().map(|(name, _)| name).collect();
    let snapshots = files(&root().join("../../snapshots/mapper"), "snap");
    let orphans: Vec<_> = snapshots.iter().map(|path| file_stem(path)).filter(|name| !known.contains(name)).collect();
    assert!(orphans.is_empty(), "snapshots without a fixture: {orphans:?}");
}

fn read_back(fixture: &Fixture) -> Value {
    serde_json::from_str(&input::map_line(&fixture.line())).expect("a line of JSON")
}
