//! The tracker's time and the time of day.

use std::time::{Duration, SystemTime};

use tracker_core::Instant;
use tracker_host::unix_seconds;

use super::MAX_UNIX;

/// Converts times of this run of the program to Unix seconds and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// The tracker's zero in Unix seconds.
    zero: i64,
    now: Instant,
}

impl Times {
    /// The time of day now, and the exact time since the tracker's zero: with whole seconds, times would move on by up to a second
    /// at each restart.
    pub(crate) fn new(wall: SystemTime, exact: Duration) -> Self {
        let nanos = |time: Duration| i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
        let wall = nanos(wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        let zero = wall.saturating_sub(nanos(exact)).div_euclid(1_000_000_000);
        let now = Instant::from_secs(u32::try_from(exact.as_secs()).unwrap_or(u32::MAX));
        Self { zero: i64::try_from(zero).unwrap_or(0), now }
    }

    /// Converts times of what was saved at this time, in Unix seconds. If the clock shows an earlier time, it was set back, or does not go
    /// while the machine is off: what is saved is as old as if no time had passed since.
    pub(crate) fn of_saved(self, saved: u64) -> Self {
        let saved = i64::try_from(saved.min(MAX_UNIX)).unwrap_or(i64::MAX);
        let zero = saved.saturating_sub(i64::from(self.now.as_secs()));
        Self { zero: self.zero.max(zero), ..self }
    }

    /// Those of a lesson that has ended, whose dates do not change with the clock any more.
    pub(crate) fn with_zero(self, zero: SystemTime) -> Self {
        Self { zero: i64::try_from(unix_seconds(zero)).unwrap_or(0), ..self }
    }

    /// The time of day at the tracker's zero, in whole seconds.
    pub(crate) fn zero(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(self.zero).unwrap_or(0))
    }

    /// In Unix seconds.
    pub(crate) fn unix(self, at: Instant) -> u64 {
        u64::try_from(self.zero.saturating_add(i64::from(at.as_secs()))).unwrap_or(0)
    }

    /// A time in Unix seconds. One that is not past is now, and one before the tracker's zero is that.
    pub(crate) fn instant(self, unix: u64) -> Instant {
        let secs = i64::try_from(unix).unwrap_or(i64::MAX).saturating_sub(self.zero);
        Instant::from_secs(u32::try_from(secs.max(0)).unwrap_or(u32::MAX)).min(self.now)
    }

    /// The current time.
    pub(crate) fn now(self) -> Instant {
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn times_are_the_same_after_any_number_of_restarts() {
        let mut unix = 1_000_000;
        for restart in 0..100 {
            let millis = 1_000_000_000 + 977 * restart;
            let start = Times::new(wall(millis), Duration::from_secs(5_000_000));
            let at = start.instant(unix);
            let end = Times::new(wall(millis + 12_345), Duration::from_millis(5_000_012_345));
            unix = end.unix(at);
        }
        assert_eq!(unix, 1_000_000);
    }

    #[test]
    fn times_that_cannot_be_are_near_ones() {
        let times = Times::new(wall(2_000_000_500), Duration::from_millis(1_000_500));
        assert_eq!(times.instant(1_999_000), Instant::ZERO);
        assert_eq!(times.instant(1_999_001), Instant::from_secs(1));
        assert_eq!((times.instant(0), times.instant(u64::MAX)), (Instant::ZERO, Instant::from_secs(1000)));
        let early = Times::new(SystemTime::UNIX_EPOCH, Duration::from_secs(1000));
        assert_eq!((early.unix(Instant::ZERO), early.unix(Instant::from_secs(1000))), (0, 0));
        let extreme = Times::new(SystemTime::UNIX_EPOCH, Duration::MAX).of_saved(u64::MAX);
        assert_eq!(extreme.instant(u64::MAX).as_secs(), u32::MAX);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_younger() {
        let times = Times::new(wall(2_000_000_000), Duration::from_secs(1000));
        let hour_later = times.of_saved(2_003_600);
        assert_eq!(hour_later.instant(2_003_500), Instant::from_secs(900));
        assert_eq!(times.of_saved(1_990_000).instant(1_999_900), Instant::from_secs(900));
    }
}
