//! The time of day at the tracker's moments.

use std::time::{Duration, SystemTime};

use tracker_core::Instant;

/// The smallest drift between the clocks that is corrected. The tracker's clock has a resolution of one second.
const SLACK: Duration = Duration::from_secs(2);

/// Converts the tracker's time to wall-clock time.
///
/// The tracker's clock stands still while the machine sleeps, and the wall clock may be set: the two are compared at each call.
/// An event of a minute ago is shown as a minute ago, whatever the wall clock showed then.
#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    zero: SystemTime,
}

impl WallClock {
    /// Creates a conversion from the current readings of both clocks.
    pub fn new(now: Instant, wall: SystemTime) -> Self {
        Self { zero: zero(now, wall) }
    }

    /// The time of day at [`Instant::ZERO`], by the current readings of both clocks. It changes only when they have drifted by
    /// two seconds or more, so that displayed times do not jitter.
    pub fn zero(&mut self, now: Instant, wall: SystemTime) -> SystemTime {
        let zero = zero(now, wall);
        let apart = zero.duration_since(self.zero).unwrap_or_else(|error| error.duration());
        if apart >= SLACK {
            self.zero = zero;
        }
        self.zero
    }
}

/// Seconds since 1970, 0 for times before.
pub fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn zero(now: Instant, wall: SystemTime) -> SystemTime {
    wall.checked_sub(now.since(Instant::ZERO)).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_go_together_or_are_compared_anew() {
        let wall = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let mut tie = WallClock::new(Instant::from_secs(10), wall(1_000_900));
        for (now, millis, zero) in [
            (10, 1_000_999, 990_900),
            // Another part of a second.
            (11, 1_001_000, 990_900),
            (3610, 4_600_500, 990_900),
            // An hour of sleep.
            (3611, 8_201_500, 4_590_500),
            (3612, 8_202_400, 4_590_500),
            // Somebody has set the clock back.
            (3613, 3_700_000, 87_000),
        ] {
            assert_eq!(tie.zero(Instant::from_secs(now), wall(millis)), wall(zero), "{now}");
        }
    }
}
