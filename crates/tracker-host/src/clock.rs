//! The one place that reads the clock.

use std::time::{Duration, Instant as StdInstant};

use tracker_core::Instant;

/// Tells the time in the tracker's own [`Instant`]s.
///
/// Every adapter of one tracker must use copies of one clock. It starts at [`START`](Self::START) and not at zero, so that peers can
/// be [restored](tracker_core::Shards::restore) that a tracker before has known.
///
/// ```
/// use std::time::Duration;
/// use tracker_core::Instant;
/// use tracker_host::Clock;
///
/// let clock = Clock::fixed(Instant::from_secs(40));
/// assert_eq!(clock.now(), Instant::from_secs(40));
/// assert_eq!(clock.until(Instant::from_secs(60)), Duration::from_secs(20));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Clock(Source);

#[derive(Debug, Clone, Copy)]
enum Source {
    Running { start: StdInstant },
    Fixed { at: Instant },
}

impl Clock {
    /// The time of a clock at its start: 20 years, longer than any peer may be silent, and than a lesson is kept. It can go on for
    /// more than a century.
    pub const START: Instant = Instant::from_secs(20 * 365 * 24 * 60 * 60);

    /// A clock that starts now, at [`START`](Self::START), and never goes back.
    pub fn start() -> Self {
        Self(Source::Running { start: StdInstant::now() })
    }

    /// A clock that stands still, for tests.
    pub const fn fixed(at: Instant) -> Self {
        Self(Source::Fixed { at })
    }

    /// The time, in whole seconds.
    pub fn now(&self) -> Instant {
        match self.0 {
            Source::Running { start } => {
                // A second counts when it is over.
                Self::START + Duration::from_secs(start.elapsed().as_secs())
            }
            Source::Fixed { at } => at,
        }
    }

    /// The time left until `at`; zero when it has come.
    pub fn until(&self, at: Instant) -> Duration {
        match self.0 {
            Source::Running { start } => at.since(Self::START).saturating_sub(start.elapsed()),
            Source::Fixed { at: now } => at.since(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_clock_starts_late_and_counts_fractions() {
        let clock = Clock::start();
        assert!(clock.now() >= Clock::START && clock.now() < Clock::START + Duration::from_secs(60));
        let left = clock.until(Clock::START + Duration::from_secs(3600));
        assert!(left <= Duration::from_secs(3600) && left > Duration::from_secs(3500), "{left:?}");
        assert_eq!((clock.until(Clock::START), clock.until(Instant::ZERO)), (Duration::ZERO, Duration::ZERO));
    }
}
