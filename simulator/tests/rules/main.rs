//! The simulator's rules, one test each, over real HTTP. The clock is frozen; tests move it.

mod access;
mod batches;
mod business;
mod control;
mod encoding;
mod faults;
mod oauth;
mod paging;
mod poll;
mod products;
mod quota;
mod support;
