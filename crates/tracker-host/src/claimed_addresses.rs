//! Log lines about clients that announce another address than their own.

use std::time::Duration;

use tracker_core::{AnnounceRequest, Config};

use crate::LogThrottle;

/// Logs who announces another address than the one that the announce came from (`ip=`), whether that counts or not.
///
/// One line in ten seconds tells of an address that others will connect to, and one in an hour of an address that was
/// ignored; at level debug there is a line for each.
#[derive(Debug)]
pub struct ClaimedAddresses {
    trusted: LogThrottle,
    ignored: LogThrottle,
}

impl ClaimedAddresses {
    /// Nothing was logged yet.
    pub const fn new() -> Self {
        Self {
            trusted: LogThrottle::new(Duration::from_secs(10)),
            ignored: LogThrottle::new(Duration::from_secs(3600)),
        }
    }

    /// Logs what an announce claims, if it claims anything.
    pub fn log(&self, request: &AnnounceRequest, config: &Config) {
        let remote = request.remote();
        let Some(claimed) = request.claimed_ip().filter(|&ip| ip != remote) else { return };
        let (is_trusted, message) = if config.trusts(remote) {
            (true, "a client in a trusted network announced another address than its own")
        } else {
            (
                false,
                "an announced address was ignored: only clients in a trusted network may announce another than their own",
            )
        };
        let throttle = if is_trusted { &self.trusted } else { &self.ignored };
        match throttle.allows() {
            Some(suppressed) => tracing::info!(%remote, %claimed, suppressed, "{message}"),
            None => tracing::debug!(%remote, %claimed, "{message}"),
        }
    }
}

impl Default for ClaimedAddresses {
    fn default() -> Self {
        Self::new()
    }
}
