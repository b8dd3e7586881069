//! A rate limit for log lines.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lets one log line through per period, and counts the others.
///
/// ```
/// use std::time::Duration;
/// use tracker_host::LogThrottle;
///
/// static REFUSALS: LogThrottle = LogThrottle::new(Duration::from_secs(3600));
/// assert_eq!(REFUSALS.allows(), Some(0));
/// assert_eq!(REFUSALS.allows(), None);
/// ```
#[derive(Debug)]
pub struct LogThrottle {
    period: Duration,
    last: Mutex<Option<Line>>,
}

/// The last line that was let through.
#[derive(Debug)]
struct Line {
    at: Instant,
    /// Lines held back since.
    suppressed: u64,
}

impl LogThrottle {
    /// One line per `period`; the first passes at once.
    pub const fn new(period: Duration) -> Self {
        Self { period, last: Mutex::new(None) }
    }

    /// Returns the number of lines that were suppressed since the last one if a line may be logged now. Otherwise counts the
    /// line as suppressed and returns `None`.
    pub fn allows(&self) -> Option<u64> {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *last {
            Some(line) if now < line.at + self.period => {
                line.suppressed += 1;
                None
            }
            _ => Some(last.replace(Line { at: now, suppressed: 0 }).map_or(0, |line| line.suppressed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_passes_per_period_and_says_how_many_were_suppressed() {
        let throttle = LogThrottle::new(Duration::from_secs(60));
        assert_eq!(throttle.allows(), Some(0));
        for _ in 0..5 {
            advance(Duration::from_secs(11)).await;
            assert_eq!(throttle.allows(), None);
        }
        advance(Duration::from_secs(5)).await;
        assert_eq!(throttle.allows(), Some(5));
        assert_eq!(throttle.allows(), None);
        advance(Duration::from_secs(3600)).await;
        assert_eq!(throttle.allows(), Some(1));
    }
}
