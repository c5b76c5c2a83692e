//! The end of a process that was asked to stop, whatever its threads do.
//!
//! Promises: the first signal (SIGTERM, SIGINT) asks for an orderly stop; the second one, or the end of the time for a
//! stop, ends the process at once. A thread and a runtime of its own see to that, so it also holds while every thread
//! of the service is blocked.

use std::io;
use std::sync::mpsc as blocking;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::warn;

/// The exit code when a stop took too long.
const TOO_LATE: i32 = 1;
/// A last message may wait for a log that nobody reads, but not longer.
const LAST_MESSAGE: Duration = Duration::from_millis(200);

/// Waits for signals until the process ends.
pub(super) struct Ending {
    asked: oneshot::Receiver<()>,
    begin: mpsc::Sender<()>,
}

impl Ending {
    /// Begins to wait for signals. `within` is the time from the first one to the end of the process.
    ///
    /// # Errors
    /// When the system refuses a signal handler or a thread.
    pub(super) fn watch(within: Duration) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // From here on a signal is noted, also before the thread runs.
        let mut signals = {
            let _inside = runtime.enter();
            Signals::new()?
        };
        let (ask, asked) = oneshot::channel();
        let (begin, mut begun) = mpsc::channel(1);
        let watch = async move {
            tokio::select! {
                _ = signals.next() => {}
                // The process goes on without the handle: a signal still ends it.
                Some(()) = begun.recv() => {}
            }
            let _ = ask.send(());
            tokio::select! {
                code = signals.next() => end("asked a second time to stop; ending at once", code),
                () = tokio::time::sleep(within) => end("the stop took too long; ending at once", TOO_LATE),
            }
        };
        thread::Builder::new().name("ending".into()).spawn(move || runtime.block_on(watch))?;
        Ok(Self { asked, begin })
    }

    /// Resolves when a signal asks for a stop.
    pub(super) async fn asked(&mut self) {
        if (&mut self.asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Begins the time for a stop without a signal.
    pub(super) fn begin(&self) {
        // It is full or closed when that time has begun already.
        let _ = self.begin.try_send(());
    }
}

/// Ends the process with a message, if the log takes one.
fn end(message: &'static str, code: i32) -> ! {
    let (done, said) = blocking::channel();
    let say = move || {
        warn!("{message}; the next start resolves the rest");
        let _ = done.send(());
    };
    if thread::Builder::new().spawn(say).is_ok() {
        let _ = said.recv_timeout(LAST_MESSAGE);
    }
    std::process::exit(code)
}

/// The signals that ask for a stop.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(not(unix))]
    interrupt: tokio::signal::windows::CtrlC,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    #[cfg(not(unix))]
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: tokio::signal::windows::ctrl_c()? })
    }

    /// Waits for the next one. Returns the exit code of a process that it ends.
    async fn next(&mut self) -> i32 {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => 143,
            _ = self.interrupt.recv() => 130,
        }
        #[cfg(not(unix))]
        {
            self.interrupt.recv().await;
            130
        }
    }
}
