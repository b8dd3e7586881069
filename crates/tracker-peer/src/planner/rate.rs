//! How fast a peer gets pieces.

use std::collections::VecDeque;
use std::time::Duration;

/// The time over which the rate is taken.
const WINDOW: Duration = Duration::from_secs(5);

/// The time between every other sample: the window has at most 41 of them.
const STEP: Duration = Duration::from_millis(250);

/// The pieces that a peer had at some times of the last seconds, the oldest first.
///
/// The first of them may be older than the window: it is what the peer had when the window began.
#[derive(Debug, Default)]
pub(super) struct Rate {
    samples: VecDeque<(Duration, u32)>,
}

impl Rate {
    /// The peer has this many pieces now.
    pub(super) fn update(&mut self, now: Duration, pieces: u32) {
        while self.samples.get(1).is_some_and(|&(at, _)| at + WINDOW <= now) {
            self.samples.pop_front();
        }
        // The last one moves on until it is far enough from the one before.
        let before_last = self.samples.len().checked_sub(2).map(|index| self.samples[index].0);
        if before_last.is_some_and(|at| now < at + STEP) {
            self.samples.pop_back();
        }
        self.samples.push_back((now, pieces));
    }

    /// Pieces per second.
    pub(super) fn per_second(&self, now: Duration) -> f64 {
        let begin = now.saturating_sub(WINDOW);
        let before = self.samples.iter().rev().find(|&&(at, _)| at <= begin).or_else(|| self.samples.front());
        let (Some(&(_, before)), Some(&(_, pieces))) = (before, self.samples.back()) else { return 0.0 };
        f64::from(pieces.saturating_sub(before)) / WINDOW.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_rate_is_that_of_the_last_five_seconds() {
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(at(0)), 0.0);
        rate.update(at(10_000), 500);
        assert_eq!(rate.per_second(at(10_000)), 0.0, "what it had before is no progress");
        for step in 1..=100 {
            rate.update(at(10_000 + step * 100), 500 + step as u32);
        }
        assert_eq!(rate.per_second(at(20_000)), 10.0);
        assert!(rate.samples.len() <= 42, "{}", rate.samples.len());
        // Off by the time between samples, at most.
        assert_eq!(rate.per_second(at(22_500)), 5.2);
        assert_eq!(rate.per_second(at(25_000)), 0.0);
        rate.update(at(26_000), 0);
        assert_eq!(rate.per_second(at(26_000)), 0.0, "checks its files again");
    }
}
