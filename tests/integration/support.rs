//! What the integration tests stand on.

pub(crate) mod installation;
pub(crate) mod postgres;
pub(crate) mod shop;
