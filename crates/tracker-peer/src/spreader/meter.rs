//! How fast a peer takes what it is sent.

use std::time::Duration;

/// The time over which the rate is taken.
const WINDOW: Duration = Duration::from_millis(500);

/// The time after which a rate does not hold any more.
const PAUSE: Duration = Duration::from_secs(2);

/// The rate over the last half second or more in which something left.
#[derive(Debug, Default)]
pub(super) struct Meter {
    begin: Duration,
    bytes: u64,
    per_second: u64,
}

impl Meter {
    /// So many bytes left.
    pub(super) fn add(&mut self, now: Duration, bytes: u32) {
        let passed = now.saturating_sub(self.begin);
        if passed >= PAUSE {
            *self = Self { begin: now, ..Self::default() };
        } else if passed >= WINDOW {
            let per_second = self.bytes as f64 / passed.as_secs_f64();
            *self = Self { begin: now, bytes: 0, per_second: per_second as u64 };
        }
        self.bytes += u64::from(bytes);
    }

    /// Bytes per second; 0 while it is not known.
    pub(super) fn per_second(&self, now: Duration) -> u64 {
        if now.saturating_sub(self.begin) < PAUSE { self.per_second } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_half_second() {
        let at = Duration::from_millis;
        let mut meter = Meter::default();
        let rates = |meter: &mut Meter, from: u64, rate: u32| {
            (from..from + 10)
                .map(|step| {
                    meter.add(at(step * 100), rate / 10);
                    meter.per_second(at(step * 100))
                })
                .last()
        };
        assert_eq!(rates(&mut meter, 100, 50_000), Some(50_000));
        assert_eq!(rates(&mut meter, 110, 80_000), Some(80_000));
        assert_eq!(meter.per_second(at(14_000)), 0, "a rate does not hold for ever");
        assert_eq!(rates(&mut meter, 900, 30_000), Some(30_000), "the pause does not count");
    }
}
