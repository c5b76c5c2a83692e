//! The tests of the HTTP API, of the operator's page, and of the sources as a whole. One binary: it links once, and the tests share one PostgreSQL
//! server. What needs a process of its own is in `tests/processes`, what needs neither in `crates/sync/tests/sync`.

mod code;
mod http;
mod log;
mod page;
mod rooms;
