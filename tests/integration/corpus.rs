//! The sample corpus through every shipped module: one reviewed snapshot a sample and module.
//!
//! The built-in mapper's own snapshots lie beside them, made natively by `mapper-core`'s tests. Here its code runs as a
//! component, and has to agree byte for byte, warnings and re-evaluation included.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mapper_core::word::Word;
use meta_catalog::mapping::LoadedMapper;
use meta_catalog::mapping::corpus::samples;
use serde_json::{Value, json};
use wasm_host::{Host, Limits};

/// The shipped modules, but the built-in mapper's.
const MODULES: &[&str] = &["google-category", "margin-label", "price-rounding", "seasonal-label", "title-template"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
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

#[test]
fn every_module_answers_every_sample_as_reviewed() {
    let host = Host::new(Limits::default()).expect("a host");
    for name in MODULES {
        let module = load(&host, name);
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(root().join("snapshots/mapper").join(name));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let _bound = settings.bind_to_scope();
        for sample in samples() {
            let answer = match sample.ask(&module) {
                Ok(Word::Mapped(payload)) => json!({
                    "purpose": sample.purpose,
                    "data": serde_json::from_str::<Value>(&payload.data).expect("JSON"),
                    "warnings": payload.warnings,
                    "hash": mapper_core::sha256_hex(&payload.data),
                    "reevaluate_at": payload.reevaluate_at,
                }),
                Ok(Word::Rejected(why)) => json!({ "purpose": sample.purpose, "rejected": why.text() }),
                Err(fault) => panic!("{name} fails on {}: {fault}", sample.name),
            };
            insta::assert_json_snapshot!(sample.name.as_str(), answer);
        }
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
    let known: BTreeSet<String> = samples().iter().map(|sample| sample.name.clone()).collect();
    for module in MODULES {
        assert_eq!(names(&format!("snapshots/mapper/{module}"), "snap"), known, "{module}");
    }
}
