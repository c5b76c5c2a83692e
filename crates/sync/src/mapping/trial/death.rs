//! How a child ended that gave no report.

use std::process::ExitStatus;

use super::{LOAD_COMPUTING, LOAD_WITHIN, MEMORY, WITHIN};
use crate::report::clip;

/// Longest text of the child in a message, in characters.
const LONGEST: usize = 300;
/// The exit code of a child that could not limit itself or read its request.
pub(super) const UNFIT: u8 = 71;

/// How the child died. Each text states the problem and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Death {
    /// It needed too much memory.
    #[error(
        "the module needs more than {} MiB of memory to be loaded and to map the samples; build it optimised for size, and keep large tables as data",
        MEMORY >> 20
    )]
    Memory,
    /// It computed for too long.
    #[error(
        "compiling the module takes more than {LOAD_COMPUTING} s of computing time; build it optimised for size, and split generated code into functions"
    )]
    Computing,
    /// The load did not end in time, possibly because the machine is busy.
    #[error(
        "the module was not loaded within {} s; simplify its code, or try again if this machine was busy",
        LOAD_WITHIN.as_secs()
    )]
    LoadTime,
    /// The trial did not end in time, possibly because the machine is busy.
    #[error(
        "the module was not loaded and rehearsed within {} s; make it faster, or try again if this machine was busy",
        WITHIN.as_secs()
    )]
    Time,
    /// Its stack overflowed.
    #[error("the file nests so deeply that reading it overflows the stack; it is damaged or hostile, build it again")]
    Stack,
    /// A signal or a defect ended it.
    #[error("the process that tried the module crashed ({0}); if the file is not damaged, please report it")]
    Crash(String),
    /// It said what it must not say.
    #[error("the process that tried the module gave an answer that makes no sense ({0}); please report it")]
    Garbage(String),
    /// It did not run, or something outside killed it.
    #[error("the process that tries modules did not run: {0}")]
    NotRun(String),
}

impl Death {
    /// Returns how a child died, by its exit status and its stderr.
    pub(super) fn of(status: ExitStatus, complaint: &str) -> Self {
        let said = clip(complaint.trim(), LONGEST).escape_debug().to_string();
        if complaint.contains("memory allocation of") {
            return Self::Memory;
        }
        if complaint.contains("has overflowed its stack") {
            return Self::Stack;
        }
        match signal(status) {
            Some(KILL) => Self::NotRun("it was killed; check that this machine has enough memory".into()),
            Some(HANGUP | INTERRUPT | QUIT | TERMINATE) => {
                Self::NotRun("it was stopped, as when the service is".into())
            }
            Some(COMPUTING) => Self::Computing,
            Some(number) => Self::Crash(format!("signal {number}: {said}")),
            None if status.code() == Some(i32::from(UNFIT)) => Self::NotRun(said),
            None => Self::Crash(format!("{status}: {said}")),
        }
    }

    /// Returns the death of a child that had not begun with the file: it says nothing about the file.
    pub(super) fn before_the_file(self) -> Self {
        if self.is_the_machines() { self } else { Self::NotRun(self.to_string()) }
    }

    /// Returns whether the same file may be accepted at another time.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::LoadTime | Self::Time) || self.is_the_machines()
    }

    /// Returns whether the death says nothing about the file.
    pub(crate) fn is_the_machines(&self) -> bool {
        matches!(self, Self::NotRun(_))
    }
}

// The numbers are the same on every system that has these signals. Nothing in the child sends them.
const HANGUP: i32 = 1;
const INTERRUPT: i32 = 2;
const QUIT: i32 = 3;
const KILL: i32 = 9;
const TERMINATE: i32 = 15;
/// `SIGXCPU`, on every system that has it.
const COMPUTING: i32 = 24;

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_reason() {
        let by = |raw: i32, said: &str| Death::of(std::os::unix::process::ExitStatusExt::from_raw(raw), said);
        assert_eq!(by(6, "memory allocation of 123 bytes failed"), Death::Memory);
        assert_eq!(by(6, "thread 'mapper-load' (1) has overflowed its stack"), Death::Stack);
        assert_eq!(by(COMPUTING, ""), Death::Computing);
        assert!([KILL, TERMINATE, INTERRUPT].into_iter().all(|signal| by(signal, "").is_the_machines()));
        assert!(matches!(by(11, "\u{1b}[31m"), Death::Crash(text) if text == "signal 11: \\u{1b}[31m"));
        let unfit = by(i32::from(UNFIT) << 8, "no such limit");
        assert_eq!(unfit, Death::NotRun("no such limit".into()));
        assert!(matches!(by(1 << 8, "odd"), Death::Crash(_)));
        let lasting = [Death::Memory, Death::Computing, Death::Stack, by(11, ""), Death::Garbage("x".into())];
        assert!(!lasting.iter().any(Death::may_pass));
        assert!([Death::LoadTime, Death::Time, unfit].iter().all(Death::may_pass));
    }
}
