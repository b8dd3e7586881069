//! The time of day at which something began.

use std::time::{Duration, SystemTime};

/// The smallest correction.
const SLACK: Duration = Duration::from_secs(2);

/// The time of day at which something began. It is corrected when the wall clock is set, as on a small machine that gets the time
/// from the network some seconds after its start.
#[derive(Debug, Clone, Copy)]
pub struct StartTime {
    /// By a clock that nobody sets.
    steady: Duration,
    wall: SystemTime,
}

impl StartTime {
    /// It begins now.
    pub fn now() -> Self {
        Self { steady: steady(), wall: SystemTime::now() }
    }

    /// The time of day, by the current readings of both clocks. It changes only when they have drifted by two seconds or more, so
    /// that what is displayed does not jitter.
    pub fn wall(&mut self) -> SystemTime {
        self.wall_at(steady(), SystemTime::now())
    }

    fn wall_at(&mut self, steady: Duration, now: SystemTime) -> SystemTime {
        let wall = now.checked_sub(steady.saturating_sub(self.steady)).unwrap_or(SystemTime::UNIX_EPOCH);
        let apart = wall.duration_since(self.wall).unwrap_or_else(|error| error.duration());
        if apart >= SLACK {
            self.wall = wall;
        }
        self.wall
    }
}

/// The reading of a clock that nobody sets, and that goes on while the machine sleeps.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn steady() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).expect("the time since the machine was started is not negative")
}

/// The reading of a clock that nobody sets. Where it stands still while the machine sleeps, what began before is shown later by
/// as much.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn steady() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;

    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    FIRST.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_wrong_at_the_start_is_corrected() {
        let secs = Duration::from_secs;
        // Without a battery a machine starts in 1970.
        let mut start = StartTime { steady: secs(20), wall: SystemTime::UNIX_EPOCH + secs(5) };
        for (steady, wall, expected) in [
            (21, 6, 5),
            // The network says what time it is.
            (30, 1_800_000_000, 1_799_999_990),
            (31, 1_800_000_001, 1_799_999_990),
            (1020, 1_800_000_991, 1_799_999_990),
            // Somebody sets it back by an hour.
            (1021, 1_799_997_391, 1_799_996_390),
        ] {
            let wall = SystemTime::UNIX_EPOCH + secs(wall);
            assert_eq!(start.wall_at(secs(steady), wall), SystemTime::UNIX_EPOCH + secs(expected));
        }
    }

    #[test]
    fn what_begins_now_began_now() {
        let before = SystemTime::now();
        let mut start = StartTime::now();
        assert!(start.wall() >= before && start.wall() <= SystemTime::now());
    }
}
