//! All integration tests in one binary: it links once, and the tests share one PostgreSQL server.

mod cli;
mod corpus;
mod crash;
mod failover;
mod harness;
mod http;
mod mapper;
mod outcomes;
mod pipeline;
mod retention;
mod store;
mod swaps;
mod torture;
mod wasm;
