//! What the integration tests stand on, and this too.

#[path = "../../tests/integration/support/postgres.rs"]
pub(crate) mod postgres;
#[path = "../../tests/integration/support/process.rs"]
pub(crate) mod process;
#[path = "../../tests/integration/support/shop.rs"]
pub(crate) mod shop;
