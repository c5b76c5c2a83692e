//! All integration tests in one binary: it links once, and the tests share one PostgreSQL server.

mod cli;
mod code;
mod corpus;
mod crash;
mod failover;
mod harness;
mod http;
mod mapper;
mod next;
mod outcomes;
mod pipeline;
mod reask;
mod retention;
mod rooms;
mod store;
mod swaps;
mod torture;
mod upgrade;
mod wasm;
