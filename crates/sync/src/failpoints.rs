//! Named places between two effects, where a test makes the process die, an actor panic, or a task wait.
//!
//! They exist in debug builds (so every test has them without a second build) and with the feature `failpoints`. In any
//! other build [`at`] is an empty function, and the binary contains nothing else of this module.
//!
//! The environment arms them: `FAILPOINTS="drain.answered=kill,poll.recording=panic@2"`. `kill` ends the process
//! without unwinding, flushing or closing. `panic` panics. `pause:MS` makes the task wait, with everything it holds.
//! `wait:FILE` makes it wait until that file exists, so that on a machine of any speed the test has done its part
//! before the task continues. `@N` triggers at the Nth passage instead of the first. Each entry triggers once and
//! reports its action on stderr.
//!
//! Left out on purpose: faults of Meta (the simulator has those) and of the database (`pg_terminate_backend` is real).

/// A place and its name in the environment.
macro_rules! points {
    ($($(#[$doc:meta])* $point:ident = $name:literal,)+) => {
        /// A place where an action can be triggered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Point {
            $($(#[$doc])* $point,)+
        }

        impl Point {
            /// Every place.
            pub const ALL: &[Self] = &[$(Self::$point),+];

            /// Returns its name in the environment.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }
        }
    };
}

points! {
    /// Drain: a window of the outbox and the states are read.
    DrainRead = "drain.read",
    /// Drain: a chunk is mapped, nothing is decided.
    DrainMapped = "drain.mapped",
    /// Drain: noops, skips and drops are written, not committed.
    DrainSettling = "drain.settling",
    /// Drain: noops, skips and drops are committed; the call of this tick is not made yet.
    DrainSettled = "drain.settled",
    /// Drain: the `sending` row is written, not committed.
    DrainBeginning = "drain.beginning",
    /// Drain: the `sending` row is committed; the remaining time of the lease is checked next.
    DrainBegun = "drain.begun",
    /// Drain: the lease lasts long enough; the call comes next.
    DrainCalling = "drain.calling",
    /// Drain: Meta has answered, nothing is written.
    DrainAnswered = "drain.answered",
    /// Drain: the outcome is written, not committed.
    DrainRecording = "drain.recording",
    /// Drain: the outcome is committed.
    DrainRecorded = "drain.recorded",
    /// Drain: a call of unknown outcome is resolved, not committed.
    DrainResolving = "drain.resolving",
    /// Drain: the resolution is committed.
    DrainResolved = "drain.resolved",
    /// Poll: before Meta is asked for a handle.
    PollAsking = "poll.asking",
    /// Poll: Meta has answered, nothing is written.
    PollAnswered = "poll.answered",
    /// Poll: the verdict is written, not committed.
    PollRecording = "poll.recording",
    /// Poll: the verdict is committed.
    PollRecorded = "poll.recorded",
    /// Token: Meta gave a new token, nothing is written.
    TokenExchanged = "token.exchanged",
    /// Token: the new token is committed, no request is answered yet.
    TokenWritten = "token.written",
    /// Sale windows: the intents are written, not committed.
    WindowOpening = "window.opening",
    /// Sale windows: the intents are committed.
    WindowOpened = "window.opened",
    /// Lease: taken in the store, not yet recorded in the process.
    LeaseTaken = "lease.taken",
    /// Lease: renewed in the store, not yet recorded in the process.
    LeaseRenewed = "lease.renewed",
    /// Coalescer: before it handles a request for a window.
    CoalescerAsked = "coalescer.asked",
    /// Mapper: before it handles a request.
    MapperAsked = "mapper.asked",
    /// Activation of a mapper: the module has answered every sample, nothing is written.
    MapperRehearsed = "mapper.rehearsed",
    /// Activation of a mapper: everything is written, not committed.
    MapperActivating = "mapper.activating",
    /// Activation of a mapper: it is committed, the process still runs the old one.
    MapperActivated = "mapper.activated",
    /// Activation of a mapper: the store names this mapper, the process still runs the old one.
    MapperFollowing = "mapper.following",
    /// Activation of a mapper: the process runs the new one, no request is answered yet.
    MapperSwapped = "mapper.swapped",
    /// Re-ask: a chunk is written, not committed.
    ReaskWriting = "reask.writing",
    /// Re-ask: a chunk is committed.
    ReaskWritten = "reask.written",
    /// Drift: before Meta is asked for items.
    DriftAsking = "drift.asking",
    /// Drift: Meta has answered, nothing is written.
    DriftAnswered = "drift.answered",
    /// Drift: what was seen and the cursor are written, not committed.
    DriftRecording = "drift.recording",
    /// Drift: what was seen is committed.
    DriftRecorded = "drift.recorded",
    /// Drift: a repair is written, not committed.
    DriftRepairing = "drift.repairing",
    /// Drift: a repair is committed.
    DriftRepaired = "drift.repaired",
    /// Limiter: before it handles a request.
    LimiterAsked = "limiter.asked",
    /// Import: a chunk is written, not committed.
    ImportWriting = "import.writing",
    /// Import: a chunk is committed, or is part of the one transaction of a strict import; another one follows.
    ImportChunk = "import.chunk",
    /// Import: everything is written; with `--strict`, nothing is committed.
    ImportEnding = "import.ending",
    /// Import: the variants that the file does not name are deleted, not committed.
    ImportDeleting = "import.deleting",
    /// Selection of a catalog: Meta created the system user, or it existed.
    SelectionUserMade = "selection.user-made",
    /// Selection: the catalog is assigned to the system user.
    SelectionAssigned = "selection.assigned",
    /// Selection: Meta issued the system user's token, nothing is written.
    SelectionMinted = "selection.minted",
    /// Selection: credential, settings and dropped claims are written, not committed.
    SelectionCommitting = "selection.committing",
    /// Selection: credential, settings and dropped claims are committed.
    SelectionCommitted = "selection.committed",
    /// Rotation of keys: all sealed values are read, nothing is written.
    KeysRead = "keys.read",
    /// Rotation of keys: a value is sealed again, not committed.
    KeysSealing = "keys.sealing",
    /// Rotation of keys: a value is sealed again and committed.
    KeysSealed = "keys.sealed",
    /// Rotation of keys: the check values of the other keys are removed, not committed.
    KeysRetiring = "keys.retiring",
    /// Rotation of keys: everything is committed.
    KeysRetired = "keys.retired",
}

#[cfg(not(any(debug_assertions, feature = "failpoints")))]
mod armed {
    use super::Point;
    /// Does nothing in this build.
    #[inline(always)]
    pub async fn at(_: Point) {}

    /// Does nothing in this build.
    ///
    /// # Errors
    /// Never.
    #[inline(always)]
    pub fn check() -> Result<(), String> {
        Ok(())
    }
}

#[cfg(any(debug_assertions, feature = "failpoints"))]
mod armed {
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::Point;

    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) enum Action {
        Kill,
        Panic,
        Pause(Duration),
        Wait(PathBuf),
    }

    #[derive(Debug)]
    pub(super) struct Armed {
        pub(super) point: Point,
        pub(super) action: Action,
        pub(super) nth: u32,
        passed: AtomicU32,
    }

    pub(super) fn parse(text: &str) -> Result<Vec<Armed>, String> {
        text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(parse_entry).collect()
    }

    fn parse_entry(entry: &str) -> Result<Armed, String> {
        let wrong =
            |what: &str| format!("FAILPOINTS: {entry:?}: {what}; an entry is NAME=kill|panic|pause:MS|wait:FILE[@N]");
        let (name, rest) = entry.split_once('=').ok_or_else(|| wrong("no `=`"))?;
        let point = Point::ALL.iter().find(|point| point.name() == name).ok_or_else(|| wrong("unknown failpoint"))?;
        let (action, nth) = rest.rsplit_once('@').unwrap_or((rest, "1"));
        let nth = nth.parse().ok().filter(|nth| *nth > 0).ok_or_else(|| wrong("N must be a number above zero"))?;
        let action = match action.split_once(':') {
            None if action == "kill" => Action::Kill,
            None if action == "panic" => Action::Panic,
            Some(("pause", ms)) => {
                Action::Pause(Duration::from_millis(ms.parse().map_err(|_| wrong("MS must be a number"))?))
            }
            Some(("wait", file)) if !file.is_empty() => Action::Wait(file.into()),
            _ => return Err(wrong("unknown action")),
        };
        Ok(Armed { point: *point, action, nth, passed: AtomicU32::new(0) })
    }

    fn armed() -> &'static Result<Vec<Armed>, String> {
        static ARMED: OnceLock<Result<Vec<Armed>, String>> = OnceLock::new();
        ARMED.get_or_init(|| parse(&std::env::var("FAILPOINTS").unwrap_or_default()))
    }

    /// Checks that the environment is valid. It is called once at start, so that a typo does not silently disable a
    /// test.
    ///
    /// # Errors
    /// When an entry is invalid. The error names the entry and the valid form.
    pub fn check() -> Result<(), String> {
        armed().as_ref().map(|_| ()).map_err(Clone::clone)
    }

    fn strikes(point: Point) -> Option<Action> {
        let armed = armed().as_ref().ok()?;
        let entry = armed.iter().find(|entry| entry.point == point)?;
        let passed = entry.passed.fetch_add(1, Ordering::SeqCst) + 1;
        (passed == entry.nth).then(|| entry.action.clone())
    }

    /// Triggers the action of a place, if one is armed.
    pub async fn at(point: Point) {
        match strike(point) {
            Some(Action::Pause(span)) => tokio::time::sleep(span).await,
            Some(Action::Wait(file)) => {
                while !file.exists() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            Some(Action::Kill | Action::Panic) | None => {}
        }
    }

    /// Executes kills and panics. Returns the waits, which the caller executes.
    fn strike(point: Point) -> Option<Action> {
        let action = strikes(point)?;
        eprintln!("failpoint {}: {action:?}", point.name());
        match action {
            // No unwinding, no destructors, no flushing: for the store this equals a kill -9.
            Action::Kill => std::process::abort(),
            Action::Panic => panic!("failpoint {}", point.name()),
            Action::Pause(_) | Action::Wait(_) => Some(action),
        }
    }
}

pub use armed::{at, check};

#[cfg(all(test, any(debug_assertions, feature = "failpoints")))]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::Point;
    use super::armed::{Action, parse};

    #[test]
    fn names_are_unique() {
        let names: HashSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
    }

    #[test]
    fn the_environment_is_read() {
        let text = "drain.answered=kill, poll.recording=panic@2,lease.taken=pause:30,drain.begun=wait:/a/b@3";
        let armed = parse(text).expect("well formed");
        let read: Vec<_> = armed.into_iter().map(|entry| (entry.point, entry.action, entry.nth)).collect();
        let pause = Action::Pause(Duration::from_millis(30));
        assert_eq!(
            read,
            [
                (Point::DrainAnswered, Action::Kill, 1),
                (Point::PollRecording, Action::Panic, 2),
                (Point::LeaseTaken, pause, 1),
                (Point::DrainBegun, Action::Wait("/a/b".into()), 3)
            ]
        );
    }

    #[test]
    fn a_typo_is_refused() {
        for text in ["drain.answerd=kill", "drain.answered", "drain.answered=die", "drain.answered=kill@0"] {
            assert!(parse(text).expect_err(text).contains(text), "{text}");
        }
    }
}
