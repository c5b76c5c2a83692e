//! The sample corpus through every shipped module: one reviewed snapshot a module, of what it says differently from the
//! built-in mapper.
//!
//! The built-in mapper's own snapshots lie beside them, made natively by `mapper-core`'s tests. Here its code runs as a
//! component, and has to agree byte for byte, warnings and re-evaluation included.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use catalog_sync::mapping::LoadedMapper;
use catalog_sync::mapping::changes::{Change, changes};
use catalog_sync::mapping::corpus::samples;
use mapper_core::word::Word;
use serde_json::{Map, Value, json};
use wasm_host::{Host, Limits};

/// The shipped modules, but the built-in mapper's.
const MODULES: &[&str] = &["google-category", "margin-label", "price-rounding", "seasonal-label", "title-template"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").to_owned()
}

/// The modules as checked in; with `MAPPER_MODULES`, those of another folder that were built anew, where it has them.
fn load(host: &Host, module: &str) -> LoadedMapper {
    let file = format!("{module}.wasm");
    let rebuilt = std::env::var_os("MAPPER_MODULES").map(|folder| root().join(folder).join(&file));
    let path = rebuilt.filter(|path| path.exists()).unwrap_or_else(|| root().join("mappers/modules").join(&file));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    LoadedMapper::load(host, &bytes).unwrap_or_else(|error| panic!("{module}: {error}"))
}

#[test]
fn the_builtin_as_a_component_agrees_with_the_native_one() {
    let host = Host::new(Limits::default()).expect("a host");
    let (component, native) = (load(&host, "builtin"), LoadedMapper::builtin());
    for sample in samples() {
        // Not shown whole: some samples are long.
        assert!(sample.ask(&component) == sample.ask(&native), "they differ on {}", sample.name);
    }
}

/// How a module's word differs from the built-in mapper's: fields with both values, and what else is not the same.
/// Empty where the two agree.
fn difference(builtin: &Word, word: &Word) -> Map<String, Value> {
    let mut told = Map::new();
    let mut tell = |what: &str, before: Value, after: Value| {
        if before != after {
            told.insert(what.to_owned(), json!({"builtin": before, "module": after}));
        }
    };
    match (builtin, word) {
        (Word::Mapped(before), Word::Mapped(after)) => {
            tell("warnings", json!(before.warnings), json!(after.warnings));
            tell("reevaluate_at", json!(before.reevaluate_at), json!(after.reevaluate_at));
            for Change { field, before, after } in changes(&before.data, &after.data) {
                let value = |text: Option<&str>| text.map(|text| serde_json::from_str::<Value>(text).expect("JSON"));
                tell(&format!("data.{field}"), json!(value(before)), json!(value(after)));
            }
        }
        (before, after) => tell("word", plain(before), plain(after)),
    }
    told
}

/// A whole word, where only one of two is a payload.
fn plain(word: &Word) -> Value {
    match word {
        Word::Mapped(payload) => json!({
            "data": serde_json::from_str::<Value>(&payload.data).expect("JSON"),
            "warnings": payload.warnings,
            "reevaluate_at": payload.reevaluate_at,
        }),
        Word::Rejected(why) => json!({ "rejected": why.text() }),
    }
}

#[test]
fn every_module_answers_every_sample_as_reviewed() {
    let host = Host::new(Limits::default()).expect("a host");
    let builtin = LoadedMapper::builtin();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("snapshots/mapper/modules"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _bound = settings.bind_to_scope();
    for name in MODULES {
        let module = load(&host, name);
        let mut told = Map::new();
        for sample in samples() {
            let before = sample.ask(&builtin).unwrap_or_else(|fault| panic!("{}: {fault}", sample.name));
            let after = sample.ask(&module).unwrap_or_else(|fault| panic!("{name} on {}: {fault}", sample.name));
            let difference = difference(&before, &after);
            if !difference.is_empty() {
                told.insert(sample.name.clone(), difference.into());
            }
        }
        insta::assert_json_snapshot!(*name, told);
    }
}

#[test]
fn every_module_and_every_snapshot_has_its_place() {
    let names = |folder: &str, extension: &str| -> BTreeSet<String> {
        std::fs::read_dir(root().join(folder))
            .expect("a folder")
            .map(|entry| entry.expect("a readable folder").path())
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .collect()
    };
    let mut shipped = names("mappers/modules", "wasm");
    assert!(shipped.remove("builtin"));
    assert_eq!(shipped.into_iter().collect::<Vec<_>>(), MODULES, "a module without snapshots");
    let reviewed = names("snapshots/mapper/modules", "snap");
    assert_eq!(reviewed.into_iter().collect::<Vec<_>>(), MODULES, "snapshots without a module");
}
