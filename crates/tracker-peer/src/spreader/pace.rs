//! A limit on the rate of what is given.

use std::num::NonZeroU64;
use std::time::Duration;

/// What may be given at once after a pause, as the time in which it would be given.
const BURST: Duration = Duration::from_millis(100);

/// A token bucket. It may be overdrawn by one block, so that the limit may be lower than a block a second.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes per second.
    limit: Option<NonZeroU64>,
    /// Bytes that may be given now, at the time `at`.
    tokens: f64,
    at: Duration,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self { limit: None, tokens: 0.0, at: Duration::ZERO }
    }

    pub(super) fn set_limit(&mut self, now: Duration, limit: Option<NonZeroU64>) {
        self.refill(now);
        self.limit = limit;
        self.tokens = self.tokens.min(0.0);
    }

    /// Takes so many bytes, if some may be given now.
    pub(super) fn take(&mut self, now: Duration, bytes: u32) -> bool {
        self.refill(now);
        if self.limit.is_some() {
            if self.tokens < 0.0 {
                return false;
            }
            self.tokens -= f64::from(bytes);
        }
        true
    }

    /// The time at which something may be given again.
    pub(super) fn ready_at(&self) -> Option<Duration> {
        let limit = self.limit?;
        let wait = (-self.tokens / limit.get() as f64).clamp(0.0, 1e9);
        Some(self.at + Duration::from_secs_f64(wait) + Duration::from_millis(1))
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at);
        self.at = self.at.max(now);
        if let Some(limit) = self.limit {
            let limit = limit.get() as f64;
            self.tokens = (self.tokens + passed.as_secs_f64() * limit).min(BURST.as_secs_f64() * limit);
        }
    }
}
