//! The HTTP API, against the real service and the local Meta.

mod connect;
