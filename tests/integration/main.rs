//! The integration tests of the process: its HTTP API, its commands, kills and replicas. One binary: it links once, and
//! the tests share one PostgreSQL server. What needs no process and no API is in `crates/sync/tests/sync`.

mod cli;
mod code;
mod crash;
mod failover;
mod http;
mod keys;
mod log;
mod mapper;
mod private;
mod reask;
mod rooms;
mod torture;
