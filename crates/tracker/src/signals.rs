//! Being told to stop.

use std::io;

use tokio::signal;

/// Ctrl-C on every system, and SIGTERM where there is such a thing. From [`new`](Self::new) on they do not end the program
/// by themselves.
#[derive(Debug)]
pub(crate) struct StopSignals {
    #[cfg(unix)]
    interrupt: signal::unix::Signal,
    #[cfg(unix)]
    terminate: signal::unix::Signal,
    #[cfg(windows)]
    ctrl_c: signal::windows::CtrlC,
}

#[cfg(unix)]
impl StopSignals {
    /// Must be called within a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        use signal::unix::{SignalKind, signal};

        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
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
