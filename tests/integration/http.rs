//! The HTTP API, against the real service and the local Meta.

mod better_auth;
mod connect;
mod envelope;
mod flow;
mod intake;
mod items;
mod permissions;
mod secrets;
mod select;
mod sessions;
mod settings;
