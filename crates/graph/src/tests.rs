//! The client against a local server: the bytes on the wire, the result of every kind of answer, and the log.

mod answers;
mod secrets;
mod support;
mod wire;
