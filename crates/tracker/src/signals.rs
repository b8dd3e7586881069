//! The signals that the program handles.

use std::io;
#[cfg(unix)]
use std::io::{IsTerminal, stderr};
#[cfg(unix)]
use std::mem;

use tokio::signal;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// The end of the program.
    Stop,
    /// Reading the settings again.
    #[cfg(unix)]
    Reload,
}

/// Ctrl-C on every system, and SIGTERM on Unix, stop the program. From [`new`](Self::new) on they no longer end it by themselves.
///
/// SIGHUP stops the program, too, if the log goes to a terminal: it means that the terminal was closed. Otherwise it is the
/// usual request to read the settings again.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: signal::unix::Signal,
    #[cfg(unix)]
    terminate: signal::unix::Signal,
    #[cfg(unix)]
    hang_up: signal::unix::Signal,
    #[cfg(unix)]
    hang_up_stops: bool,
    #[cfg(windows)]
    ctrl_c: signal::windows::CtrlC,
}

#[cfg(unix)]
impl Signals {
    /// Must be called within a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        use signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            hang_up_stops: stderr().is_terminal(),
        })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.interrupt.recv() => return Request::Stop,
            _ = self.terminate.recv() => return Request::Stop,
            _ = self.hang_up.recv() => {}
        }
        // Once: the system and the shell both send it when a terminal is closed.
        if mem::take(&mut self.hang_up_stops) { Request::Stop } else { Request::Reload }
    }
}

#[cfg(windows)]
impl Signals {
    /// Must be called within a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { ctrl_c: signal::windows::ctrl_c()? })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> Request {
        self.ctrl_c.recv().await;
        Request::Stop
    }
}
