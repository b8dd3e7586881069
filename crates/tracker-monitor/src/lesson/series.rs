//! Plots of a lesson, of whatever length it is.

use std::time::Duration;

use serde::Serialize;
use tracker_core::Instant;

use crate::NetworkPoint;

/// Points in the order of time, a limited number of them: when there are too many, each two are joined, and from then on points
/// are twice as far apart.
#[derive(Debug, Clone)]
pub(crate) struct Plot<P> {
    started: Instant,
    /// Seconds between points.
    step: u32,
    limit: usize,
    points: Vec<Step<P>>,
    /// The time of the last sample, or of a restart after it: no moment counts twice in a point.
    sampled: Option<Instant>,
}

/// A point, and the number of samples that it stands for.
#[derive(Debug, Clone, Copy)]
struct Step<P> {
    at: Instant,
    point: P,
    samples: u32,
}

/// A point of a plot.
pub(crate) trait PlotPoint: Copy {
    /// The point that stands for this one and a later one, where `part` is the part of all samples that the later one stands for.
    fn join(self, later: Self, part: f64) -> Self;
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

impl PlotPoint for CompletionPoint {
    /// It is of one moment.
    fn join(self, _: Self, _: f64) -> Self {
        self
    }
}

impl PlotPoint for NetworkPoint {
    fn join(self, later: Self, part: f64) -> Self {
        let average = |rate: f64, later: f64| rate + (later - rate) * part;
        Self {
            download_rate: average(self.download_rate, later.download_rate),
            sent_rate: average(self.sent_rate, later.sent_rate),
            ..self
        }
    }
}

impl<P: Copy> Step<P> {
    fn join(&mut self, later: &Self)
    where
        P: PlotPoint,
    {
        let samples = self.samples.saturating_add(later.samples);
        self.point = self.point.join(later.point, f64::from(later.samples) / f64::from(samples));
        self.samples = samples;
    }
}

impl<P: PlotPoint> Plot<P> {
    /// A plot without points, of at least two.
    pub(crate) fn new(limit: usize, started: Instant) -> Self {
        Self { started, step: 1, limit: limit.max(2), points: Vec::new(), sampled: None }
    }

    /// Returns `true` if it is time for a point.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.points.last().is_none_or(|last| now.since(last.at) >= Duration::from_secs(self.step.into()))
    }

    /// Adds a point, or joins it with the last one if it comes early.
    pub(crate) fn push(&mut self, now: Instant, point: P) {
        let is_new = self.sampled.is_none_or(|sampled| now > sampled);
        self.sampled = Some(now);
        let step = Step { at: now, point, samples: 1 };
        if !self.is_due(now) {
            if let Some(last) = self.points.last_mut().filter(|_| is_new) {
                last.join(&step);
            }
            return;
        }
        self.points.push(step);
        if self.points.len() > self.limit {
            let joined = self.points.chunks(2).map(|pair| {
                let mut joined = pair[0];
                pair[1..].iter().for_each(|later| joined.join(later));
                joined
            });
            self.points = joined.collect();
            self.step = self.step.saturating_mul(2);
        }
    }

    /// A plot of which these points are known, each with its seconds since the start and the number of samples that it stands for.
    /// Points that are not in the order of time, or later than now, are left out, and so are those beyond the limit.
    pub(super) fn restored(
        limit: usize,
        started: Instant,
        step: u32,
        points: impl IntoIterator<Item = (u64, u32, P)>,
        now: Instant,
    ) -> Self {
        let mut plot = Self { step: step.max(1), sampled: Some(now), ..Self::new(limit, started) };
        for (secs, samples, point) in points {
            let at = started + Duration::from_secs(secs);
            if plot.points.len() < plot.limit && at <= now && plot.points.last().is_none_or(|last| last.at < at) {
                plot.points.push(Step { at, point, samples: samples.max(1) });
            }
        }
        plot
    }

    /// When it began.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Seconds between points.
    pub(super) fn step(&self) -> u32 {
        self.step
    }

    /// The points, the oldest first, each with its seconds since the start and the number of samples that it stands for.
    pub(super) fn steps(&self) -> impl Iterator<Item = (u64, u32, P)> {
        self.points.iter().map(|step| (self.secs(step.at), step.samples, step.point))
    }

    /// Seconds since the start.
    pub(crate) fn secs(&self, now: Instant) -> u64 {
        now.since(self.started).as_secs()
    }

    /// The points, the oldest first.
    pub(crate) fn points(&self) -> impl Iterator<Item = P> {
        self.points.iter().map(|step| step.point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl PlotPoint for u32 {
        fn join(self, _: Self, _: f64) -> Self {
            self
        }
    }

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

    /// A download of a few seconds is in the plot of a long lesson, too.
    #[test]
    fn rates_are_averages_until_the_next_point() {
        let mut plot = Plot::<NetworkPoint>::new(4, Instant::ZERO);
        for second in 0..64 {
            let sent_rate = if second == 37 { 640.0 } else { 0.0 };
            let point = NetworkPoint {
                secs: second.into(),
                seeders: second.into(),
                leechers: 0.0,
                download_rate: 1.0,
                sent_rate,
            };
            plot.push(Instant::from_secs(second), point);
        }
        let points: Vec<_> = plot.points().map(|point| (point.secs, point.seeders, point.sent_rate.round())).collect();
        assert_eq!(points, [(0, 0.0, 0.0), (16, 16.0, 0.0), (32, 32.0, 40.0), (48, 48.0, 0.0)]);
        assert!(plot.points().all(|point| point.download_rate == 1.0));
    }

    #[test]
    fn time_that_stands_still_or_goes_back_adds_nothing() {
        assert_eq!(plot(4, [5, 5, 3, 6]), [5, 6]);
    }
}
