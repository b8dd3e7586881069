//! Complaints that must not fill the log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lets one complaint through per period, and counts the others.
///
/// ```
/// use std::time::Duration;
/// use tracker_host::Seldom;
///
/// static REFUSALS: Seldom = Seldom::new(Duration::from_secs(3600));
/// assert_eq!(REFUSALS.pass(), Some(0));
/// assert_eq!(REFUSALS.pass(), None);
/// ```
#[derive(Debug)]
pub struct Seldom {
    period: Duration,
    last: Mutex<Option<Complaint>>,
}

#[derive(Debug)]
struct Complaint {
    at: Instant,
    /// How many were held back since.
    unsaid: u64,
}

impl Seldom {
    /// One per `period`; the first passes at once.
    pub const fn new(period: Duration) -> Self {
        Self { period, last: Mutex::new(None) }
    }

    /// How many were held back since the last one that came through, if this one may.
    pub fn pass(&self) -> Option<u64> {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *last {
            Some(complaint) if now < complaint.at + self.period => {
                complaint.unsaid += 1;
                None
            }
            _ => Some(last.replace(Complaint { at: now, unsaid: 0 }).map_or(0, |complaint| complaint.unsaid)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_passes_per_period_and_tells_of_the_others() {
        let seldom = Seldom::new(Duration::from_secs(60));
        assert_eq!(seldom.pass(), Some(0));
        for _ in 0..5 {
            advance(Duration::from_secs(11)).await;
            assert_eq!(seldom.pass(), None);
        }
        advance(Duration::from_secs(5)).await;
        assert_eq!(seldom.pass(), Some(5));
        assert_eq!(seldom.pass(), None);
        advance(Duration::from_secs(3600)).await;
        assert_eq!(seldom.pass(), Some(1));
    }
}
