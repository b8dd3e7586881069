//! Connections that could not be accepted, or kept.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tracker_host::LogThrottle;

use crate::connection_limit::ConnectionLimitError;

/// The pause in accepting after the system had no descriptor or memory for a connection.
const PAUSE: Duration = Duration::from_millis(50);

/// The period in which a failure to accept is logged once. It can go on for hours, on every listener of every thread.
const LOG_PERIOD: Duration = Duration::from_secs(60);

/// Decides what to do when a connection cannot be accepted, and logs it. It also logs that too many are open.
#[derive(Debug)]
pub struct AcceptErrors {
    server: &'static str,
    throttle: LogThrottle,
    too_many: LogThrottle,
}

impl AcceptErrors {
    /// `server` is the name of the server in the log.
    pub const fn new(server: &'static str) -> Self {
        Self { server, throttle: LogThrottle::new(LOG_PERIOD), too_many: LogThrottle::new(LOG_PERIOD) }
    }

    /// The pause before the next attempt; `None` if the error concerned a single connection, whose client was gone
    /// before it was accepted.
    pub fn pause(&self, error: &io::Error) -> Option<Duration> {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, NotConnected};

        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | NotConnected)
        {
            return None;
        }
        if let Some(suppressed) = self.throttle.allows() {
            tracing::warn!(%error, server = self.server, suppressed, "cannot accept connections");
        }
        Some(PAUSE)
    }

    /// Logs that a connection from `remote` was closed, since too many are open.
    pub fn log_refused(&self, remote: IpAddr, error: ConnectionLimitError) {
        match self.too_many.allows() {
            Some(suppressed) => {
                tracing::warn!(%remote, %error, server = self.server, suppressed, "a connection was refused: too many are open");
            }
            None => {
                tracing::debug!(%remote, %error, server = self.server, "a connection was refused: too many are open")
            }
        }
    }

    /// Logs that a connection was closed for a new one from `remote`, since too many are open.
    pub(crate) fn log_evicted(&self, remote: IpAddr, error: ConnectionLimitError) {
        if let Some(suppressed) = self.too_many.allows() {
            tracing::warn!(
                %remote,
                %error,
                server = self.server,
                suppressed,
                "too many connections are open: the one that waited longest for its request was closed for a new one"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use io::ErrorKind;

    use super::*;

    #[test]
    fn a_client_that_is_gone_is_no_reason_to_pause() {
        let errors = AcceptErrors::new("test");
        for (kind, pause) in [
            (ErrorKind::ConnectionAborted, None),
            (ErrorKind::ConnectionReset, None),
            (ErrorKind::Interrupted, None),
            (ErrorKind::OutOfMemory, Some(PAUSE)),
            (ErrorKind::QuotaExceeded, Some(PAUSE)),
        ] {
            assert_eq!(errors.pause(&kind.into()), pause, "{kind}");
        }
    }
}
