//! The tests of the program as a process: commands, kills, replicas, logs, files. One binary: it links once, and the tests
//! share one PostgreSQL server.

mod cli;
mod crash;
mod drift;
mod failover;
mod keys;
mod log;
mod mapper;
mod page;
mod private;
mod reask;
mod torture;
