//! The client against a local server: what goes over the wire, what comes of every kind of answer, what is logged.

mod answers;
mod secrets;
mod support;
mod wire;
