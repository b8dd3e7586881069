//! Being told to stop.

use std::io;
#[cfg(unix)]
use std::io::{IsTerminal, stderr};
#[cfg(unix)]
use std::mem;

use tokio::signal;

/// Ctrl-C on every system, and SIGTERM where there is such a thing. From [`new`](Self::new) on they do not end the program
/// by themselves.
///
/// SIGHUP is one of them where the log goes to a terminal: its window was closed. Elsewhere whoever sends it wants files to
/// be read again.
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

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hang_up.recv() => {}
            }
            // Once: the system and the shell both send it when a window is closed.
            if mem::take(&mut self.hang_up_stops) {
                return;
            }
            tracing::info!(
                "SIGHUP: lists of torrents are read again by themselves when they change, other settings at the start"
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

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        self.ctrl_c.recv().await;
    }
}
