//! Looks into a file before anything is made of it.

use wasmparser::{Parser, Payload, Validator};

use super::load::LoadError;
use super::wire;

/// What a file is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A core module that holds the world it was made for.
    Core,
    /// A component.
    Component,
}

/// Tells what a file is, and refuses what is no mapper at all. The file is valid WebAssembly afterwards.
pub(super) fn format(bytes: &[u8]) -> Result<Format, LoadError> {
    let format = if Parser::is_core_wasm(bytes) {
        Format::Core
    } else if Parser::is_component(bytes) {
        Format::Component
    } else {
        return Err(LoadError::NotWasm);
    };
    // Before wit-component sees it: that one panics on damaged files.
    Validator::new().validate_all(bytes).map_err(|error| LoadError::Damaged(error.to_string()))?;
    if format == Format::Core {
        core(bytes)?;
    }
    Ok(format)
}

/// A core module must carry its world and import nothing of WASI's.
fn core(bytes: &[u8]) -> Result<(), LoadError> {
    let mut has_world = false;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    refuse_wasi(import.map_err(damaged)?.module)?;
                }
            }
            Payload::CustomSection(section) => has_world |= section.name().starts_with("component-type"),
            _ => {}
        }
    }
    if has_world { Ok(()) } else { Err(LoadError::NotMadeWithSdk) }
}

/// A component must export the world that we serve, and import nothing of WASI's.
pub(super) fn component(bytes: &[u8]) -> Result<(), LoadError> {
    let mut exports = Vec::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    refuse_wasi(import.map_err(damaged)?.name.name)?;
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export.map_err(damaged)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    if exports.iter().any(|name| serves(name)) {
        return Ok(());
    }
    let interface = wire::MAPPING.split('@').next().unwrap_or(wire::MAPPING);
    Err(match exports.iter().find(|name| name.split('@').next() == Some(interface)) {
        Some(other) => LoadError::OtherWorld { found: other.clone(), ours: wire::MAPPING },
        None => LoadError::NotAMapper { exports: exports.join(", ") },
    })
}

/// Whether an export is ours. Versions of one major number find each other: wasmtime compares the types.
fn serves(export: &str) -> bool {
    let major = |name: &str| name.split_once('@').and_then(|(_, version)| version.split('.').next().map(str::to_owned));
    export.split('@').next() == wire::MAPPING.split('@').next() && major(export) == major(wire::MAPPING)
}

fn refuse_wasi(import: &str) -> Result<(), LoadError> {
    if import.starts_with("wasi") { Err(LoadError::Wasi { import: import.to_owned() }) } else { Ok(()) }
}

fn damaged(error: wasmparser::Error) -> LoadError {
    LoadError::Damaged(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_major_number_find_each_other() {
        assert!(serves("catalog:mapper/mapping@1.0.0"));
        assert!(serves("catalog:mapper/mapping@1.3.2"));
        for other in ["catalog:mapper/mapping@2.0.0", "catalog:mapper/mapping", "catalog:mapper/mapping2@1.0.0", ""] {
            assert!(!serves(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_webassembly_is_told_apart() {
        assert_eq!(format(b"#!/bin/sh\n"), Err(LoadError::NotWasm));
        assert_eq!(format(b"\0asm\x01\0\0\0"), Err(LoadError::NotMadeWithSdk), "an empty core module is valid");
        assert!(matches!(format(b"\0asm\x01\0\0\0\x01"), Err(LoadError::Damaged(_))));
        assert_eq!(format(b"\0asm\x0d\0\x01\0"), Ok(Format::Component));
        assert_eq!(component(b"\0asm\x0d\0\x01\0"), Err(LoadError::NotAMapper { exports: String::new() }));
    }
}
