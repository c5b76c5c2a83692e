//! The mapper modules that are checked in.

use std::path::Path;

/// The bytes of a module of `mappers/modules`, such as `margin-label` or `fixtures/twin`.
pub(crate) fn module(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappers/modules").join(name).with_extension("wasm");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The digest of a module's bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    meta_catalog::mapping::digest(bytes)
}
