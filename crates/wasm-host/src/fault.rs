//! The fault of a row in a module, in words for an operator.

use mapper_core::word::{FaultKind, MapperFault};
use thiserror::Error;

/// A fault without the module's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) kind: FaultKind,
    /// Continues "the mapper module X …".
    pub(super) what: String,
}

impl Cause {
    pub(super) fn new(kind: FaultKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }

    /// Adds the module's name.
    pub(super) fn of(&self, module: &str) -> MapperFault {
        MapperFault { kind: self.kind, message: format!("the mapper module {module} {}", self.what) }
    }
}

/// The module exceeded a limit.
#[derive(Clone, Copy, Debug, Error)]
#[error("asked for {what}; {limit} {unit} are allowed")]
pub(super) struct OverLimit {
    pub(super) what: &'static str,
    pub(super) limit: usize,
    pub(super) unit: &'static str,
}

/// The module asked for the built-in word on an item that is not in the call.
#[derive(Clone, Copy, Debug, Error)]
#[error("called `builtin({index})`, but the call has {items} items")]
pub(super) struct NoSuchItem {
    pub(super) index: u32,
    pub(super) items: usize,
}

/// The built-in mapper panicked on an item that a module wants to patch or to read.
#[derive(Clone, Copy, Debug, Error)]
#[error("the built-in mapper panicked on this item; please report it")]
pub(super) struct BuiltinFailed;

impl From<BuiltinFailed> for Cause {
    /// Blames the row: the built-in mapper is stateless, so it would panic on it again.
    fn from(failed: BuiltinFailed) -> Self {
        Self::new(FaultKind::Builtin, format!("could not continue: {failed}"))
    }
}

/// Describes why a run failed. `last_words` is the last line that the module logged in it.
pub(super) fn explain(error: &wasmtime::Error, last_words: Option<&str>) -> Cause {
    use FaultKind::{Answer, Memory, Stack, Time, TooMuchOutput, Trap};

    if let Some(over) = error.downcast_ref::<OverLimit>() {
        return Cause::new(Memory, over.to_string());
    }
    if let Some(no_such) = error.downcast_ref::<NoSuchItem>() {
        return Cause::new(Trap, no_such.to_string());
    }
    if let Some(panicked) = error.downcast_ref::<BuiltinFailed>() {
        return (*panicked).into();
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Cause::new(FaultKind::Busy, "found no free slot to run in");
    }
    let root = short(&error.root_cause().to_string());
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::Interrupt) => Cause::new(Time, "did not answer in time"),
        Some(wasmtime::Trap::StackOverflow) => Cause::new(Stack, "ran out of stack (endless or very deep recursion)"),
        Some(wasmtime::Trap::UnreachableCodeReached) => match last_words {
            Some(words) => Cause::new(Trap, format!("failed with: {words}")),
            None => Cause::new(Trap, "aborted (a panic or an exception; it logged no reason)"),
        },
        Some(wasmtime::Trap::MemoryOutOfBounds) => {
            Cause::new(Trap, "accessed memory out of bounds (a wild pointer, or recursion with large frames)")
        }
        Some(trap) => Cause::new(Trap, format!("was stopped: {}", trap.to_string().trim_start_matches("wasm trap: "))),
        // Wasmtime has no public type for the two below.
        None if root.contains("too much data is being copied") => {
            Cause::new(TooMuchOutput, "passed too much data at once")
        }
        None if root.contains("utf-8") => Cause::new(Answer, "returned text that is not UTF-8"),
        None => Cause::new(Answer, format!("broke the calling convention: {root}")),
    }
}

/// Returns a text as one line of at most 300 characters, without control characters.
pub(super) fn short(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut line: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_builtin_mapper_blames_the_row() {
        let run = explain(&BuiltinFailed.into(), Some("last words"));
        assert_eq!(run, BuiltinFailed.into(), "the same in a run and in a patch");
        assert!(run.kind.blames_the_row());
        assert!(run.what.contains("built-in mapper panicked on this item"), "{}", run.what);
    }

    #[test]
    fn a_text_to_be_shown_is_short_and_plain() {
        assert_eq!(short("a\0b\u{1b}[31m\nc\u{9b}"), "a b [31m c ");
        assert_eq!(short(&"é".repeat(301)), format!("{}…", "é".repeat(300)));
    }
}
