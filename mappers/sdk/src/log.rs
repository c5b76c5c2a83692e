//! The line to the service's log.

/// Writes a line to the service's log, for debugging; outside WebAssembly to standard error. The service cuts long and
/// many lines. What an operator should know about an item belongs into a warning instead.
pub fn log(message: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::catalog::mapper::host::log(message);
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{message}");
}
