//! Plots of a lesson, of whatever length it is.

use std::time::Duration;

use serde::Serialize;
use tracker_core::Instant;

use crate::NetworkPoint;

/// Points in the order of time, a limited number of them: when there are too many, every second one is dropped, and from then on
/// points are twice as far apart.
#[derive(Debug, Clone)]
pub(crate) struct Plot<P> {
    started: Instant,
    /// Seconds between points.
    step: u32,
    limit: usize,
    points: Vec<(Instant, P)>,
}

/// How far a file had come at one time of a lesson.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct CompletionPoint {
    /// Seconds since somebody first asked for the file in this lesson.
    pub secs: u64,
    /// Computers that had it.
    pub has: u32,
    /// Computers that were counted.
    pub of: u32,
    /// The average completion of all that were counted, from 0 to 1.
    pub completion: f64,
}

impl Plot<NetworkPoint> {
    /// Points in the plot of a lesson, at most.
    pub(crate) const MAX_OF_LESSON: usize = 600;
}

impl Plot<CompletionPoint> {
    /// Points in the plot of a file, at most.
    pub(crate) const MAX_OF_FILE: usize = 120;
}

impl<P: Copy> Plot<P> {
    /// A plot without points, of at least two.
    pub(crate) fn new(limit: usize, started: Instant) -> Self {
        Self { started, step: 1, limit: limit.max(2), points: Vec::new() }
    }

    /// Returns `true` if it is time for a point.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.points.last().is_none_or(|(last, _)| now.since(*last) >= Duration::from_secs(self.step.into()))
    }

    /// Adds a point, unless it comes too early.
    pub(crate) fn push(&mut self, now: Instant, point: P) {
        if !self.is_due(now) {
            return;
        }
        self.points.push((now, point));
        if self.points.len() > self.limit {
            let mut place = 0;
            self.points.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.step = self.step.saturating_mul(2);
        }
    }

    /// Seconds since the start.
    pub(crate) fn secs(&self, now: Instant) -> u64 {
        now.since(self.started).as_secs()
    }

    /// The points, the oldest first.
    pub(crate) fn points(&self) -> impl Iterator<Item = P> {
        self.points.iter().map(|&(_, point)| point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(limit: usize, seconds: impl IntoIterator<Item = u32>) -> Vec<u64> {
        let mut plot = Plot::new(limit, Instant::from_secs(100));
        seconds.into_iter().for_each(|second| plot.push(Instant::from_secs(100 + second), second));
        assert_eq!(plot.secs(Instant::from_secs(107)), 7);
        plot.points().map(u64::from).collect()
    }

    #[test]
    fn a_long_lesson_has_as_many_points_as_a_short_one() {
        assert_eq!(plot(4, 0..4), [0, 1, 2, 3]);
        assert_eq!(plot(4, 0..5), [0, 2, 4]);
        assert_eq!(plot(4, 0..8), [0, 2, 4, 6]);
        assert_eq!(plot(4, 0..9), [0, 4, 8]);
        let day = plot(600, 0..86_400);
        assert!((300..=600).contains(&day.len()), "{}", day.len());
        assert_eq!(day[0], 0);
        let step = day[1];
        assert!(day.windows(2).all(|pair| pair[1] - pair[0] == step));
        assert!(86_400 - day[day.len() - 1] <= step);
    }

    #[test]
    fn time_that_stands_still_or_goes_back_adds_nothing() {
        assert_eq!(plot(4, [5, 5, 3, 6]), [5, 6]);
    }
}
