//! Rates of the tracker, from its counters since the start.

use std::time::Duration;

use tracker_core::Totals;

use crate::Sample;

/// Remembers what the tracker did until the last look.
#[derive(Debug)]
pub(super) struct Meter {
    totals: Totals,
    failures: u64,
}

impl Meter {
    pub(super) fn new(totals: Totals, failures: u64) -> Self {
        Self { totals, failures }
    }

    /// The number of peers and swarms at the last reading.
    pub(super) fn size(&self) -> usize {
        usize::try_from(self.totals.peers() + self.totals.swarms).unwrap_or(usize::MAX)
    }

    /// The current counts, and the rates since the last reading; zero if no time has passed.
    pub(super) fn read(&mut self, totals: Totals, failures: u64, passed: Duration, download_rate: f64) -> Sample {
        let before = std::mem::replace(self, Self::new(totals, failures));
        let per_second = |count: u64| if passed.is_zero() { 0.0 } else { count as f64 / passed.as_secs_f64() };
        // An adapter that was made anew counts from 0 again.
        let failures = failures.checked_sub(before.failures).unwrap_or(failures);
        let refused = totals.refused_announces - before.totals.refused_announces;
        Sample {
            torrents: totals.swarms as f64,
            seeders: totals.seeders as f64,
            leechers: totals.leechers as f64,
            announces: per_second(totals.announces - before.totals.announces),
            scrapes: per_second(totals.scrapes - before.totals.scrapes),
            errors: per_second(refused + failures),
            completed: 60.0 * per_second(totals.completed - before.totals.completed),
            download_rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(announces: u64, refused_announces: u64, scrapes: u64, completed: u64) -> Totals {
        let mut totals = Totals::default();
        (totals.announces, totals.refused_announces) = (announces, refused_announces);
        (totals.scrapes, totals.completed) = (scrapes, completed);
        (totals.swarms, totals.seeders, totals.leechers) = (7, 8, 9);
        totals
    }

    #[test]
    fn it_tells_what_was_done_since_the_last_look() {
        let mut meter = Meter::new(totals(100, 10, 50, 5), 3);
        let sample = meter.read(totals(110, 12, 51, 6), 7, Duration::from_secs(2), 1e6);
        let expected = Sample {
            torrents: 7.0,
            seeders: 8.0,
            leechers: 9.0,
            announces: 5.0,
            scrapes: 0.5,
            errors: 3.0,
            completed: 30.0,
            download_rate: 1e6,
        };
        assert_eq!(sample, expected);
        let sample = meter.read(totals(110, 12, 51, 6), 7, Duration::from_secs(1), 0.0);
        assert_eq!((sample.announces, sample.scrapes, sample.errors, sample.completed), (0.0, 0.0, 0.0, 0.0));
    }

    #[test]
    fn no_time_makes_no_rates() {
        let sample = Meter::new(totals(1, 1, 1, 1), 1).read(totals(9, 9, 9, 9), 9, Duration::ZERO, 0.0);
        assert_eq!((sample.seeders, sample.announces, sample.errors, sample.completed), (8.0, 0.0, 0.0, 0.0));
    }

    #[test]
    fn an_adapter_may_count_from_0_again() {
        let sample = Meter::new(totals(0, 0, 0, 0), 100).read(totals(0, 0, 0, 0), 4, Duration::from_secs(1), 0.0);
        assert_eq!(sample.errors, 4.0);
    }
}
