//! The signals that stop the program.

use std::io;
#[cfg(unix)]
use std::io::{IsTerminal, stderr};
#[cfg(unix)]
use std::mem;

use tokio::signal;

/// Ctrl-C on every system, and SIGTERM on Unix. From [`new`](Self::new) on they no longer end the program by themselves.
///
/// SIGHUP stops the program, too, if the log goes to a terminal: it means that the terminal was closed. Otherwise it is the
/// usual request to read the configuration again.
#[derive(Debug)]
pub(crate) struct StopSignals {
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
impl StopSignals {
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

    /// Waits for the next signal that stops the program.
    pub(crate) async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hang_up.recv() => {}
            }
            // Once: the system and the shell both send it when a terminal is closed.
            if mem::take(&mut self.hang_up_stops) {
                return;
            }
            tracing::info!(
                "SIGHUP: lists of torrents are re-read on change anyway; restart the tracker to change other settings"
            );
        }
    }
}

#[cfg(windows)]
impl StopSignals {
    /// Must be called within a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { ctrl_c: signal::windows::ctrl_c()? })
    }

    /// Waits for the next signal that stops the program.
    pub(crate) async fn next(&mut self) {
        self.ctrl_c.recv().await;
    }
}
