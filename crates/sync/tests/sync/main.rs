//! The tests of the service without HTTP, on both databases. One binary: it links once, and the tests share one
//! PostgreSQL server.

mod complete;
mod corpus;
mod drift;
mod drift_random;
mod exclusion;
mod findings;
mod given;
mod harness;
mod lint;
mod mapper;
mod next;
mod next_random;
mod outcomes;
mod pipeline;
mod reask;
mod retention;
mod store;
mod swaps;
mod upgrade;
