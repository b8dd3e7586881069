//! Plots as they are saved.

use serde::{Deserialize, Serialize};
use tracker_core::Instant;

use super::{CompletionPoint, Plot};
use crate::NetworkPoint;
use crate::saved::{Times, figure, part};

/// The plot of a lesson. All lists have the same length: the n-th value of each belongs to the n-th point.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SavedNetworkPlot {
    steps: SavedSteps,
    seeders: Vec<f64>,
    leechers: Vec<f64>,
    download_rate: Vec<f64>,
    sent_rate: Vec<f64>,
}

/// The plot of a file, as that of a lesson.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SavedCompletionPlot {
    started: u64,
    steps: SavedSteps,
    has: Vec<u32>,
    of: Vec<u32>,
    completion: Vec<f64>,
}

/// When the points of a plot are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct SavedSteps {
    /// Seconds between points.
    step: u32,
    /// Seconds from the start of the plot to each point.
    secs: Vec<u64>,
    /// The number of samples that each point stands for.
    samples: Vec<u32>,
}

impl SavedSteps {
    fn push(&mut self, secs: u64, samples: u32) {
        self.secs.push(secs);
        self.samples.push(samples);
    }

    /// The place, the seconds and the samples of each point.
    fn iter(&self) -> impl Iterator<Item = (usize, u64, u32)> {
        self.secs.iter().enumerate().map(|(place, &secs)| (place, secs, at(&self.samples, place)))
    }
}

impl SavedNetworkPlot {
    pub(super) fn new(plot: &Plot<NetworkPoint>) -> Self {
        let mut saved = Self { steps: SavedSteps { step: plot.step(), ..SavedSteps::default() }, ..Self::default() };
        for (secs, samples, point) in plot.steps() {
            let NetworkPoint { secs: _, seeders, leechers, download_rate, sent_rate } = point;
            saved.steps.push(secs, samples);
            for (list, value) in [
                (&mut saved.seeders, seeders),
                (&mut saved.leechers, leechers),
                (&mut saved.download_rate, download_rate),
                (&mut saved.sent_rate, sent_rate),
            ] {
                list.push(figure(value).unwrap_or(0.0));
            }
        }
        saved
    }

    pub(super) fn restore(&self, started: Instant, times: Times) -> Plot<NetworkPoint> {
        let value = |list, place| figure(at(list, place)).unwrap_or(0.0);
        let points = self.steps.iter().map(|(place, secs, samples)| {
            let point = NetworkPoint {
                secs,
                seeders: value(&self.seeders, place),
                leechers: value(&self.leechers, place),
                download_rate: value(&self.download_rate, place),
                sent_rate: value(&self.sent_rate, place),
            };
            (secs, samples, point)
        });
        Plot::restored(Plot::<NetworkPoint>::MAX_OF_LESSON, started, self.steps.step, points, times.now())
    }
}

impl SavedCompletionPlot {
    pub(super) fn new(plot: &Plot<CompletionPoint>, times: Times) -> Self {
        let steps = SavedSteps { step: plot.step(), ..SavedSteps::default() };
        let mut saved = Self { started: times.unix(plot.started()), steps, ..Self::default() };
        for (secs, samples, point) in plot.steps() {
            let CompletionPoint { secs: _, has, of, completion } = point;
            saved.steps.push(secs, samples);
            saved.has.push(has);
            saved.of.push(of);
            saved.completion.push(part(completion).unwrap_or(0.0));
        }
        saved
    }

    pub(super) fn restore(&self, times: Times) -> Plot<CompletionPoint> {
        let points = self.steps.iter().map(|(place, secs, samples)| {
            let of = at(&self.of, place);
            let completion = part(at(&self.completion, place)).unwrap_or(0.0);
            (secs, samples, CompletionPoint { secs, has: at(&self.has, place).min(of), of, completion })
        });
        let started = times.instant(self.started);
        Plot::restored(Plot::<CompletionPoint>::MAX_OF_FILE, started, self.steps.step, points, times.now())
    }
}

/// The value at a place, or else its default.
fn at<T: Copy + Default>(list: &[T], place: usize) -> T {
    list.get(place).copied().unwrap_or_default()
}
