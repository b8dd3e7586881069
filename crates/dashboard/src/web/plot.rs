//! Plots of the history: their values, and their axes.

mod drawing;

use serde::{Deserialize, Serialize};

use crate::web::format::{self, unix};
use tracker_monitor::{Sample, Series, Span};

pub(crate) use drawing::draw;

/// A plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plot {
    /// Seeders and leechers.
    Peers,
    /// Announces per second.
    Announces,
    /// Bytes per second that the peers say they download.
    Rate,
}

/// The colours of a plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Theme {
    /// Light colours, for an image that stands alone.
    #[default]
    Light,
    /// Dark colours, for an image that stands alone.
    Dark,
    /// Those of the page that it is put into.
    #[serde(skip)]
    Page,
}

/// The size of a plot, which the browser scales to the column that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// 760 × 376.
    Wide,
    /// 340 × 165.
    Narrow,
}

/// The part of a [`Series`] that is shown, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Axis {
    /// The right end of the plot.
    pub(crate) now: i64,
    /// The time that it spans.
    pub(crate) span: Span,
}

/// The values of a plot, for the script that reads them out.
#[derive(Debug, Serialize, PartialEq)]
pub(crate) struct Values {
    /// The left end, in Unix seconds.
    from: i64,
    /// The right end.
    to: i64,
    /// `count`, `decimal` or `rate`.
    unit: &'static str,
    /// The moment of each value.
    times: Vec<i64>,
    lines: Vec<Line>,
}

#[derive(Debug, Serialize, PartialEq)]
struct Line {
    #[serde(flatten)]
    kind: LineKind,
    values: Vec<f64>,
}

/// A kind of line.
#[derive(Debug, Clone, Copy, Serialize, PartialEq)]
struct LineKind {
    name: &'static str,
    /// The class of its key, and the name of its colour in css/colors.css.
    class: &'static str,
}

/// The value of a sample that is shown.
type Shown = fn(&Sample) -> f64;

impl Plot {
    pub(crate) const ALL: [Self; 3] = [Self::Peers, Self::Announces, Self::Rate];

    /// As URLs have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Peers => "peers",
            Self::Announces => "announces",
            Self::Rate => "rate",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Peers => "Seeders and leechers",
            Self::Announces => "Announces per second",
            Self::Rate => "Transfer rate",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Peers => "count",
            Self::Announces => "decimal",
            Self::Rate => "rate",
        }
    }

    /// A value as people read it.
    fn text(self, value: f64) -> String {
        match self {
            Self::Peers => format::count(value.round() as u64),
            Self::Announces => format::decimal(value),
            Self::Rate => format::rate(value),
        }
    }

    /// The least that the vertical axis reaches to.
    fn least_top(self) -> f64 {
        match self {
            Self::Peers => 4.0,
            Self::Announces => 1.0,
            Self::Rate => 1e6,
        }
    }

    /// Its lines, and what of a sample they show.
    fn lines(self) -> Vec<(LineKind, Shown)> {
        let kind = |name, class| LineKind { name, class };
        match self {
            Self::Peers => vec![
                (kind("Seeders", "seeders"), |sample| sample.seeders),
                (kind("Leechers", "leechers"), |sample| sample.leechers),
            ],
            Self::Announces => vec![(kind("Announces per second", "announces"), |sample| sample.announces)],
            Self::Rate => vec![(kind("Transfer rate", "rate"), |sample| sample.download_rate)],
        }
    }

    /// The values that are plotted: means over so many seconds that there are some 300 of them.
    pub(crate) fn values(self, series: &Series, axis: Axis) -> Values {
        let mean_over = axis.mean_over();
        let (mut lines, shows): (Vec<_>, Vec<_>) =
            self.lines().into_iter().map(|(kind, shows)| (Line { kind, values: Vec::new() }, shows)).unzip();
        let mut times = Vec::new();
        let shown = series
            .samples
            .iter()
            .map(|(at, sample)| (unix(*at), sample))
            .filter(|(at, _)| (axis.from()..=axis.now).contains(at))
            .collect::<Vec<_>>();
        // Means begin at round times, so that they stay what they are while the plot moves on.
        for mean in shown.chunk_by(|a, b| a.0.div_euclid(mean_over) == b.0.div_euclid(mean_over)) {
            let Some((at, _)) = mean.last() else { continue };
            times.push(*at);
            for (line, shows) in lines.iter_mut().zip(&shows) {
                let sum: f64 = mean.iter().map(|(_, sample)| shows(sample)).filter(|value| value.is_finite()).sum();
                line.values.push((sum / mean.len() as f64 * 1000.0).round() / 1000.0);
            }
        }
        Values { from: axis.from(), to: axis.now, unit: self.unit(), times, lines }
    }
}

impl Axis {
    fn from(self) -> i64 {
        self.now.saturating_sub(self.secs())
    }

    fn secs(self) -> i64 {
        match self.span {
            Span::TenMinutes => 600,
            Span::TwoHours => 7200,
            Span::TwoDays => 172_800,
        }
    }

    fn mean_over(self) -> i64 {
        match self.span {
            Span::TenMinutes => 2,
            Span::TwoHours => 30,
            Span::TwoDays => 600,
        }
    }

    /// Round times, as far apart as their labels need.
    fn ticks(self, shape: Shape) -> Vec<i64> {
        let step = match (self.span, shape) {
            (Span::TenMinutes, _) => 120,
            (Span::TwoHours, _) => 1200,
            (Span::TwoDays, Shape::Wide) => 28_800,
            (Span::TwoDays, Shape::Narrow) => 86_400,
        };
        let first = self.from().div_euclid(step) + 1;
        // The label of one at the right end would reach over it.
        let last = self.now.saturating_sub(self.secs() / 25);
        (first..).map(|tick| tick * step).take_while(|at| *at <= last).collect()
    }

    fn format(self) -> &'static str {
        match self.span {
            Span::TenMinutes | Span::TwoHours => "%H:%M",
            Span::TwoDays => "%a %H:%M",
        }
    }
}

impl Values {
    /// As JSON.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn max(&self) -> f64 {
        self.lines.iter().flat_map(|line| &line.values).copied().fold(0.0, f64::max)
    }
}

/// The labelled values of the vertical axis, and where it ends.
fn vertical(plot: Plot, max: f64) -> (Vec<f64>, f64) {
    let max = max.max(plot.least_top());
    let rough = max / 4.0;
    let magnitude = 10f64.powf(rough.log10().floor());
    let mut step =
        [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| *step >= rough * 0.999);
    if plot == Plot::Peers {
        // There is no half of a peer.
        step = step.map(|step| step.max(1.0));
    }
    let step = step.unwrap_or(max);
    let count = (max * 1.02 / step).ceil().max(1.0);
    ((0..=count as u32).map(|index| f64::from(index) * step).collect(), count * step)
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    pub(in crate::web::plot) const AXIS: Axis = Axis { now: 1_763_992_800, span: Span::TenMinutes };

    /// Of these seconds after the start of the tracker.
    pub(in crate::web::plot) fn series(secs: impl IntoIterator<Item = u32>) -> Series {
        let at = |secs: u32| SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_990_000 + u64::from(secs));
        let sample = |secs: u32| Sample { seeders: 2.0, leechers: f64::from(secs % 10), ..Sample::default() };
        Series { step_secs: 1, samples: secs.into_iter().map(|secs| (at(secs), sample(secs))).collect() }
    }

    #[test]
    fn values_are_means_at_round_times_within_the_span() {
        let values = Plot::Peers.values(&series(0..=2800), AXIS);
        assert_eq!(values.times.len(), 301);
        assert_eq!(*values.times.last().unwrap(), AXIS.now);
        assert!(values.times[0] >= AXIS.now - 600);
        assert_eq!(values.lines[0].values[7], 2.0);
        let json = values.json();
        assert!(json.starts_with("{\"from\":1763992200,\"to\":1763992800,\"unit\":\"count\",\"times\":["), "{json}");
    }

    #[test]
    fn the_vertical_axis_has_few_round_steps_and_room_for_all() {
        for (max, top) in [(0.0, 5.0), (3.0, 5.0), (4.5, 6.0), (97.0, 100.0), (1234.0, 1500.0)] {
            let (ticks, end) = vertical(Plot::Peers, max);
            assert_eq!(end, top, "{max}");
            assert!((2..=6).contains(&ticks.len()), "{ticks:?}");
            assert!(end >= max);
        }
        assert_eq!(vertical(Plot::Rate, 0.0).0, [0.0, 500e3, 1e6, 1.5e6]);
        assert!(vertical(Plot::Rate, 1e15).1 >= 1e15);
    }
}
