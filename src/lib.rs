//! Keeps a Meta Commerce Catalog equal to a shop's own catalog.

pub mod actors;
pub mod admin;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod domain;
pub mod failpoints;
pub mod graph;
pub mod http;
pub mod ids;
pub mod import;
pub mod mapping;
pub mod pipeline;
pub mod report;
pub mod service;
pub mod store;
pub mod strict;
pub mod token_source;
pub mod turn;
pub mod wasm;
