//! The HTTP API, against the real service and the local Meta.

mod connect;
mod envelope;
mod intake;
mod items;
mod permissions;
mod select;
mod settings;
