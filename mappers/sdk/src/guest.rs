//! What `mapper!` expands to leans on this; no API of its own.

pub use crate::bindings::catalog::mapper::types::MapperInfo;
pub use crate::bindings::exports::catalog::mapper::mapping::Guest;

use crate::batch::BatchItem;
use crate::{Context, Outcome, Product};

/// A mapper of batches.
pub type MapBatch = fn(Context, Vec<Product>, Vec<BatchItem>) -> Vec<Outcome>;

/// What the module calls itself.
#[must_use]
pub fn describe(name: &str, version: &str) -> MapperInfo {
    report_panics();
    MapperInfo { name: name.into(), version: version.into() }
}

/// Maps a batch.
pub fn map_items(map: MapBatch, context: Context, products: Vec<Product>, items: Vec<BatchItem>) -> Vec<Outcome> {
    report_panics();
    map(context, products, items)
}

/// A panic ends the instance with a bare trap, so its text goes to the service's log first.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| crate::log(&panic.to_string())));
}
