//! Refused requests: how many, and what the log says of them.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::LogThrottle;

/// Counts the requests that an adapter could not read or refused, and logs why: users who cannot use the tracker ask its
/// operator.
///
/// One refusal in ten seconds is logged at level info, and every one at level debug.
#[derive(Debug)]
pub struct Refusals {
    protocol: &'static str,
    count: AtomicU64,
    throttle: LogThrottle,
}

impl Refusals {
    /// The refusals of an adapter, none so far. `protocol` is its name in the log.
    pub const fn new(protocol: &'static str) -> Self {
        Self { protocol, count: AtomicU64::new(0), throttle: LogThrottle::new(Duration::from_secs(10)) }
    }

    /// Counts a request.
    pub fn increment(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of requests counted so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Logs that a request of this kind (`announce`, `scrape`) from `remote` was refused.
    pub fn log(&self, request: &str, remote: IpAddr, reason: &str) {
        let protocol = self.protocol;
        match self.throttle.allows() {
            Some(suppressed) => tracing::info!(%remote, reason, protocol, suppressed, "{request} refused"),
            None => tracing::debug!(%remote, reason, protocol, "{request} refused"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_apart_from_what_is_logged() {
        let refusals = Refusals::new("HTTP");
        refusals.log("announce", [10, 0, 0, 9].into(), "the tracker is full");
        assert_eq!(refusals.count(), 0);
        refusals.increment();
        refusals.increment();
        assert_eq!(refusals.count(), 2);
    }
}
