//! Modules that misbehave.
