//! What the integration tests stand on.

pub(crate) mod better_auth;
pub(crate) mod code;
pub(crate) mod installation;
pub(crate) mod modules;
pub(crate) mod plant;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod shop;
pub(crate) mod swaps;
pub(crate) mod testbed;
pub(crate) mod torture;
