//! The plot of how far a file has come, from the first computer that asked for it on.

use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;
use tracker_monitor::CompletionPoint;

use crate::web::format::{count, duration, percent};

/// The size of the drawing, which the browser scales to the column that it is in, and the room around the plot for its labels.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 28.0;
const ABOVE: f64 = 12.0;
const BELOW: f64 = 26.0;

/// Labels below the plot, at most.
const MAX_TICKS: u64 = 6;

/// Distances between the labels below the plot in seconds: round ones.
const STEPS: [u64; 14] = [5, 10, 30, 60, 120, 300, 600, 1200, 3600, 7200, 14_400, 28_800, 86_400, 604_800];

/// The plot as an `<svg>`: the part of the computers that have a file, and what all of them have on average.
#[derive(Debug)]
pub(super) struct CompletionPlot(Vec<CompletionPoint>);

impl CompletionPlot {
    /// `None` while there is nothing to see.
    pub(super) fn new(points: Vec<CompletionPoint>) -> Option<Self> {
        (points.len() >= 2 && points.last().is_some_and(|point| point.of > 0)).then_some(Self(points))
    }

    fn secs(&self) -> u64 {
        self.0.last().map_or(1, |point| point.secs.max(1))
    }

    fn x(&self, secs: u64) -> f64 {
        tenths(LEFT + secs as f64 / self.secs() as f64 * (WIDTH - LEFT - RIGHT))
    }

    fn line(&self, f: &mut Formatter<'_>, color: &str, value: impl Fn(&CompletionPoint) -> f64) -> fmt::Result {
        f.write_str("<polyline points=\"")?;
        for point in &self.0 {
            write!(f, "{},{} ", self.x(point.secs), y(value(point)))?;
        }
        writeln!(f, "\" fill=\"none\" stroke=\"var(--{color})\" stroke-width=\"2\"/>")
    }
}

impl Display for CompletionPlot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let last = *self.0.last().expect("there are two points");
        let bottom = HEIGHT - BELOW;
        writeln!(
            f,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" font-size=\"12\" \
             stroke-linejoin=\"round\" stroke-linecap=\"round\" role=\"img\" aria-labelledby=\"completion-desc\">\
             <desc id=\"completion-desc\">After {}, {} of {} computers have it. On average all of them have {}.</desc>",
            duration(last.secs),
            count(last.has.into()),
            count(last.of.into()),
            percent(last.completion),
        )?;
        for part in [0.0, 0.5, 1.0] {
            let y = y(part);
            writeln!(f, "<path d=\"M{LEFT} {y}H{}\" stroke=\"var(--plot-grid)\"/>", WIDTH - RIGHT)?;
            let place = tenths(y + 4.0);
            writeln!(
                f,
                "<text x=\"{}\" y=\"{place}\" text-anchor=\"end\" fill=\"var(--muted)\">{}</text>",
                LEFT - 8.0,
                percent(part)
            )?;
        }
        let step = step(self.secs());
        for at in (1..).map(|tick| tick * step).take_while(|&at| at <= self.secs()) {
            let x = self.x(at);
            writeln!(f, "<path d=\"M{x} {bottom}v5\" stroke=\"var(--plot-grid)\"/>")?;
            let label = duration(at);
            writeln!(
                f,
                "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" fill=\"var(--muted)\">{label}</text>",
                bottom + 18.0
            )?;
        }
        self.line(f, "leechers", |point| point.completion)?;
        self.line(f, "seeders", |point| f64::from(point.has) / f64::from(point.of.max(1)))?;
        f.write_str("</svg>")
    }
}

impl HtmlSafe for CompletionPlot {}

/// The distance between labels of a plot of so many seconds.
fn step(secs: u64) -> u64 {
    STEPS.into_iter().find(|step| secs / step <= MAX_TICKS).unwrap_or_else(|| secs.div_ceil(MAX_TICKS))
}

fn y(part: f64) -> f64 {
    let part = if part.is_nan() { 0.0 } else { part.clamp(0.0, 1.0) };
    tenths(HEIGHT - BELOW - part * (HEIGHT - BELOW - ABOVE))
}

fn tenths(place: f64) -> f64 {
    (place * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_as_far_apart_as_they_need() {
        for (secs, expected) in [(1, 5), (30, 5), (35, 10), (300, 60), (2700, 600), (5400, 1200), (86_400, 14_400)] {
            assert_eq!(step(secs), expected, "{secs}");
            assert!(secs / step(secs) <= MAX_TICKS);
        }
        assert!(u64::MAX / step(u64::MAX) <= MAX_TICKS);
    }

    #[test]
    fn a_part_has_its_place() {
        assert_eq!(y(0.0), HEIGHT - BELOW);
        assert_eq!(y(1.0), ABOVE);
        assert_eq!(y(f64::NAN), y(0.0));
        assert_eq!(y(2.0), y(1.0));
    }
}
