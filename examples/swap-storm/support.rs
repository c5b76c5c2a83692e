//! What the integration tests stand on, and this too.

#[path = "../../tests/integration/support/modules.rs"]
pub(crate) mod modules;
#[path = "../../tests/integration/support/postgres.rs"]
pub(crate) mod postgres;
#[path = "../../tests/integration/support/process.rs"]
pub(crate) mod process;
#[path = "../../tests/integration/support/shop.rs"]
pub(crate) mod shop;
#[path = "../../tests/integration/support/swaps.rs"]
pub(crate) mod swaps;
