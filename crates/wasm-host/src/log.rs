//! Writes a module's log lines to the service's log, limited in length and number.

use std::sync::Arc;

use tracing::info;

/// The most lines of one run that are written to the log.
const MOST_LINES: usize = 20;

/// The log of one run.
#[derive(Debug)]
pub(super) struct ModuleLog {
    /// Name and digest, as faults show them.
    module: Arc<str>,
    /// Runs that search for a guilty row repeat lines that were logged already.
    quiet: bool,
    lines: usize,
    last: Option<String>,
}

impl ModuleLog {
    pub(super) fn new(module: Arc<str>, quiet: bool) -> Self {
        Self { module, quiet, lines: 0, last: None }
    }

    /// Logs a line, already shortened.
    pub(super) fn write(&mut self, line: String) {
        self.lines = self.lines.saturating_add(1);
        if !self.quiet {
            match self.lines {
                ..=MOST_LINES => info!(target: "meta_catalog::mapper_module", module = &*self.module, "{line}"),
                lines if lines == MOST_LINES + 1 => {
                    info!(target: "meta_catalog::mapper_module", module = &*self.module, "further lines of this run are cut");
                }
                _ => {}
            }
        }
        self.last = Some(line);
    }

    /// The last line, such as the text of a panic.
    pub(super) fn last_words(&self) -> Option<&str> {
        self.last.as_deref()
    }
}
