//! The demonstration: a whole working installation against the local Meta.

pub mod sample;
