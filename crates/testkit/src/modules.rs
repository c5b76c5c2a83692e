//! The mapper modules in the repository.

/// Returns the bytes of a module of `mappers/modules`, such as `margin-label` or `fixtures/twin`.
pub fn module(name: &str) -> Vec<u8> {
    let path = crate::root().join("mappers/modules").join(name).with_extension("wasm");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the digest of a module's bytes.
pub fn digest(bytes: &[u8]) -> String {
    catalog_sync::mapping::digest(bytes)
}
