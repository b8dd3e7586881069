//! Plots of values in the course of some time.

use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;

use crate::web::format::elapsed;

/// The size of the drawing, which the browser scales to the column that it is in, and the room around the plot for its labels.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 180.0;
const RIGHT: f64 = 28.0;
const ABOVE: f64 = 12.0;
const BELOW: f64 = 26.0;

/// Labels below the plot, at most.
const MAX_TICKS: u64 = 6;

/// Distances between the labels below the plot in seconds: round ones.
const STEPS: [u64; 14] = [5, 10, 30, 60, 120, 300, 600, 1200, 3600, 7200, 14_400, 28_800, 86_400, 604_800];

/// A plot as an `<svg>`.
#[derive(Debug)]
pub(super) struct CoursePlot {
    /// A part of its element ids, which no other plot of the page has.
    pub(super) id: String,
    /// The plot in words.
    pub(super) description: String,
    /// Later ones are drawn over earlier ones. Of all of them the last point is the end of the plot.
    pub(super) lines: Vec<CourseLine>,
    /// The value at the upper end.
    pub(super) top: f64,
    /// A value as people read it.
    pub(super) label: fn(f64) -> String,
    /// The room left of the plot for the labels.
    pub(super) left: f64,
}

/// A line of a plot.
#[derive(Debug)]
pub(super) struct CourseLine {
    /// The name of its colour in css/colors.css.
    pub(super) color: &'static str,
    /// Seconds since the start, ascending, and values.
    pub(super) points: Vec<(u64, f64)>,
}

impl CourseLine {
    /// The line of a value of these points, in their order.
    pub(super) fn new<P>(
        color: &'static str,
        points: &[P],
        secs: impl Fn(&P) -> u64,
        value: impl Fn(&P) -> f64,
    ) -> Self {
        Self { color, points: points.iter().map(|point| (secs(point), value(point))).collect() }
    }
}

impl CoursePlot {
    fn secs(&self) -> u64 {
        self.lines.iter().filter_map(|line| line.points.last()).map(|&(secs, _)| secs).max().unwrap_or(0).max(1)
    }

    fn x(&self, secs: u64) -> f64 {
        tenths(self.left + secs as f64 / self.secs() as f64 * (WIDTH - self.left - RIGHT))
    }

    fn y(&self, value: f64) -> f64 {
        let part = value / self.top;
        let part = if part.is_nan() { 0.0 } else { part.clamp(0.0, 1.0) };
        tenths(HEIGHT - BELOW - part * (HEIGHT - BELOW - ABOVE))
    }
}

impl Display for CoursePlot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { id, description, left, .. } = self;
        let bottom = HEIGHT - BELOW;
        writeln!(
            f,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" font-size=\"12\" \
             stroke-linejoin=\"round\" stroke-linecap=\"round\" role=\"img\" aria-labelledby=\"{id}-desc\">\
             <desc id=\"{id}-desc\">{description}</desc>",
        )?;
        for part in [0.0, 0.5, 1.0] {
            let (y, label) = (self.y(part * self.top), (self.label)(part * self.top));
            writeln!(f, "<path d=\"M{left} {y}H{}\" stroke=\"var(--plot-grid)\"/>", WIDTH - RIGHT)?;
            let (x, y) = (left - 8.0, tenths(y + 4.0));
            writeln!(f, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"end\" fill=\"var(--muted)\">{label}</text>")?;
        }
        let step = step(self.secs());
        for at in (1..).map(|tick| tick * step).take_while(|&at| at <= self.secs()) {
            let (x, label, below) = (self.x(at), elapsed(at), bottom + 18.0);
            writeln!(f, "<path d=\"M{x} {bottom}v5\" stroke=\"var(--plot-grid)\"/>")?;
            writeln!(f, "<text x=\"{x}\" y=\"{below}\" text-anchor=\"middle\" fill=\"var(--muted)\">{label}</text>")?;
        }
        for CourseLine { color, points } in &self.lines {
            f.write_str("<polyline points=\"")?;
            for &(secs, value) in points {
                write!(f, "{},{} ", self.x(secs), self.y(value))?;
            }
            writeln!(f, "\" fill=\"none\" stroke=\"var(--{color})\" stroke-width=\"2\"/>")?;
        }
        f.write_str("</svg>")
    }
}

impl HtmlSafe for CoursePlot {}

/// The distance between labels of a plot of so many seconds.
fn step(secs: u64) -> u64 {
    STEPS.into_iter().find(|step| secs / step <= MAX_TICKS).unwrap_or_else(|| secs.div_ceil(MAX_TICKS))
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
    fn a_value_has_its_place() {
        let line = CourseLine { color: "seeders", points: vec![(0, 0.0), (10, 4.0)] };
        let plot = CoursePlot {
            id: "a".to_owned(),
            description: "Words".to_owned(),
            lines: vec![line],
            top: 4.0,
            label: |value| value.to_string(),
            left: 40.0,
        };
        assert_eq!((plot.y(0.0), plot.y(4.0), plot.y(9.0)), (HEIGHT - BELOW, ABOVE, ABOVE));
        assert_eq!(plot.y(f64::NAN), plot.y(0.0));
        assert_eq!((plot.x(0), plot.x(10)), (40.0, WIDTH - RIGHT));
        let text = plot.to_string();
        assert!(
            text.contains("<desc id=\"a-desc\">Words</desc>") && text.contains("points=\"40,154 572,12 \""),
            "{text}"
        );
    }
}
