//! The drawing of a plot, as SVG.
//!
//! No text is measured, so no font is needed on the machine: labels have their place beside the plot, and the browser sets
//! them in its own font.

use std::fmt::Write as _;

use tracker_monitor::Span;

use super::{Axis, Line, Plot, Shape, Theme, Values, vertical};
use crate::web::assets::COLORS;
use crate::web::format;

/// Room around the plot, for its labels and their halves beyond its ends.
const BELOW: f64 = 26.0;
const ABOVE: f64 = 12.0;
const RIGHT: f64 = 20.0;

/// Draws a plot: an `<svg>` that may stand in HTML or alone.
pub(crate) fn draw(plot: Plot, values: &Values, axis: Axis, theme: Theme, shape: Shape) -> String {
    let drawing = Drawing::new(plot, values, axis, theme, shape);
    let Drawing { width, height, left, .. } = drawing;
    let shape_name = match shape {
        Shape::Wide => "wide",
        Shape::Narrow => "narrow",
    };
    let id = format!("plot-{}-{shape_name}", plot.name());
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot-{shape_name}\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" font-family=\"system-ui, sans-serif\" font-size=\"12\" \
         stroke-linejoin=\"round\" stroke-linecap=\"round\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\" \
         data-left=\"{left}\" data-right=\"{}\" data-width=\"{width}\"><title id=\"{id}-title\">{}</title>\
         <desc id=\"{id}-desc\">{}</desc>\n",
        drawing.right(),
        plot.title(),
        description(plot, values, axis),
    );
    drawing.write(&mut svg);
    svg.push_str("</svg>");
    svg
}

/// The plot in words.
fn description(plot: Plot, values: &Values, axis: Axis) -> String {
    let mut text = match axis.span {
        Span::TenMinutes => "The last ten minutes. ".to_owned(),
        Span::TwoHours => "The last two hours. ".to_owned(),
        Span::TwoDays => "The last two days. ".to_owned(),
    };
    for line in &values.lines {
        let Some(last) = line.values.last() else {
            return text + "Nothing has been recorded yet.";
        };
        let most = line.values.iter().copied().fold(0.0, f64::max);
        _ = write!(text, "{}: {} now, {} at most. ", line.kind.name, plot.text(*last), plot.text(most));
    }
    text.truncate(text.trim_end().len());
    text
}

/// A plot that is being drawn, in units of the size that it has when it is not scaled.
struct Drawing<'v> {
    plot: Plot,
    values: &'v Values,
    axis: Axis,
    theme: Theme,
    width: f64,
    height: f64,
    /// The left end of the plot, beside the labels.
    left: f64,
    /// The values at which the vertical axis has its labels; it ends at the last one.
    steps: Vec<f64>,
    top: f64,
    ticks: Vec<i64>,
}

impl<'v> Drawing<'v> {
    fn new(plot: Plot, values: &'v Values, axis: Axis, theme: Theme, shape: Shape) -> Self {
        let (width, height) = match shape {
            Shape::Wide => (760.0, 376.0),
            Shape::Narrow => (340.0, 165.0),
        };
        let left = match plot {
            Plot::Peers | Plot::Announces => 48.0,
            Plot::Rate => 76.0,
        };
        let (steps, top) = vertical(plot, values.max());
        Self { plot, values, axis, theme, width, height, left, steps, top, ticks: axis.ticks(shape) }
    }

    fn right(&self) -> f64 {
        self.width - RIGHT
    }

    fn bottom(&self) -> f64 {
        self.height - BELOW
    }

    /// The place of a time, to a tenth.
    fn x(&self, at: i64) -> f64 {
        let part = (at - self.axis.from()) as f64 / self.axis.secs() as f64;
        tenths(self.left + part * (self.right() - self.left))
    }

    /// The place of a value, to a tenth.
    fn y(&self, value: f64) -> f64 {
        tenths(self.bottom() - value / self.top * (self.bottom() - ABOVE))
    }

    /// A colour of css/colors.css: in a page by its name, alone as it is in the theme.
    fn color(&self, name: &str) -> String {
        match self.theme {
            Theme::Page => format!("var(--{name})"),
            Theme::Light => standalone(name, 0),
            Theme::Dark => standalone(name, 1),
        }
    }

    fn write(&self, svg: &mut String) {
        if self.theme != Theme::Page {
            _ = writeln!(svg, "<rect width=\"100%\" height=\"100%\" fill=\"{}\"/>", self.color("surface"));
        }
        self.write_axes(svg);
        for line in &self.values.lines {
            self.write_line(svg, line);
        }
        let muted = self.color("muted");
        if self.theme != Theme::Page {
            // There is nothing around it that would say what is what.
            for (row, line) in self.values.lines.iter().enumerate() {
                let (x, y) = (self.left + 12.0, ABOVE + 16.0 + 18.0 * row as f64);
                text(svg, (x, y), "start", &self.color(line.kind.class), "", line.kind.name);
            }
            text(svg, (12.0, self.height - 8.0), "start", &muted, "", "UTC");
        }
        if self.values.times.is_empty() {
            let middle = (tenths((self.left + self.right()) / 2.0), self.height / 2.0);
            text(svg, middle, "middle", &muted, "", "Nothing has been recorded yet");
        }
    }

    fn write_axes(&self, svg: &mut String) {
        let (left, right, bottom) = (self.left, self.right(), self.bottom());
        let (grid, muted) = (self.color("plot-grid"), self.color("muted"));
        for &step in &self.steps {
            let y = self.y(step);
            _ = writeln!(svg, "<path d=\"M{left} {y}H{right}\" stroke=\"{grid}\"/>");
            let label = if step == 0.0 { "0".to_owned() } else { self.plot.text(step) };
            text(svg, (left - 8.0, tenths(y + 4.0)), "end", &muted, "", &label);
        }
        for &at in &self.ticks {
            let x = self.x(at);
            _ = writeln!(svg, "<path d=\"M{x} {bottom}v5\" stroke=\"{grid}\"/>");
            // The script that knows the viewer's zone finds the time in the attribute.
            let tick = format!(" data-tick=\"{at}\"");
            text(svg, (x, bottom + 18.0), "middle", &muted, &tick, &format::strftime(at, self.axis.format()));
        }
    }

    fn write_line(&self, svg: &mut String, line: &Line) {
        let color = self.color(line.kind.class);
        let points: Vec<_> = self.values.times.iter().copied().zip(line.values.iter().copied()).collect();
        // Where nothing was recorded, because the machine slept, the line has a gap.
        let gap = self.axis.mean_over() * 3;
        for points in points.chunk_by(|a, b| b.0 - a.0 <= gap) {
            let places: Vec<_> =
                points.iter().map(|&(at, value)| format!("{},{}", self.x(at), self.y(value))).collect();
            let places = places.join(" ");
            if let ([(first, _), ..], [.., (last, _)]) = (points, points) {
                let (first, last, bottom) = (self.x(*first), self.x(*last), self.bottom());
                _ = writeln!(
                    svg,
                    "<polygon points=\"{places} {last},{bottom} {first},{bottom}\" fill=\"{color}\" fill-opacity=\"0.1\"/>"
                );
            }
            _ = writeln!(svg, "<polyline points=\"{places}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>");
        }
        if let Some(&(at, value)) = points.last() {
            _ = writeln!(svg, "<circle cx=\"{}\" cy=\"{}\" r=\"3\" fill=\"{color}\"/>", self.x(at), self.y(value));
        }
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, color: &str, attributes: &str, text: &str) {
    _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"{color}\"{attributes}>{text}</text>");
}

fn tenths(place: f64) -> f64 {
    (place * 10.0).round() / 10.0
}

/// The light (0) or dark (1) one of the two colours that css/colors.css has by this name.
fn standalone(name: &str, theme: usize) -> String {
    let found = || {
        let (_, after) = COLORS.split_once(&format!("--{name}: light-dark("))?;
        after.split_once(')')?.0.split(", ").nth(theme)
    };
    found().unwrap_or_else(|| unreachable!("css/colors.css has a light and a dark --{name}")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{AXIS, series};
    use super::*;

    #[test]
    fn an_empty_history_says_so() {
        for plot in Plot::ALL {
            let values = plot.values(&series([]), AXIS);
            let svg = draw(plot, &values, AXIS, Theme::Page, Shape::Narrow);
            assert!(svg.contains("Nothing has been recorded yet"), "{svg}");
            assert!(svg.contains("<title") && svg.ends_with("</svg>"));
            assert!(!svg.contains("polygon"));
        }
    }

    #[test]
    fn a_gap_in_the_history_is_a_gap_in_the_line() {
        let values = Plot::Announces.values(&series((2300..2400).chain(2600..2700)), AXIS);
        let svg = draw(Plot::Announces, &values, AXIS, Theme::Light, Shape::Wide);
        assert_eq!(svg.matches("stroke-width=\"2\"").count(), 2, "{svg}");
    }

    #[test]
    fn labels_are_times_for_the_script_and_utc_without() {
        let values = Plot::Rate.values(&series(0..2800), AXIS);
        let svg = draw(Plot::Rate, &values, AXIS, Theme::Light, Shape::Wide);
        assert!(svg.contains("data-tick=\"1763992680\">13:58<"), "{svg}");
        assert!(svg.contains("1 MB/s") && svg.contains(">Transfer rate<") && svg.contains(">UTC<"), "{svg}");
        assert!(!svg.contains("style="));
    }

    #[test]
    fn each_theme_has_its_colours() {
        let values = Plot::Peers.values(&series(0..2800), AXIS);
        let draw = |theme| draw(Plot::Peers, &values, AXIS, theme, Shape::Wide);
        assert!(draw(Theme::Light).contains("#0b7a5c"));
        assert!(draw(Theme::Dark).contains("#3fcf9f"));
        let page = draw(Theme::Page);
        assert!(page.contains("var(--seeders)"));
        assert!(!page.contains('#'), "{page}");
    }
}
