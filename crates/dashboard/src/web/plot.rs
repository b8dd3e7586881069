//! Plots of the history, drawn as SVG.
//!
//! No text is measured, so no font is needed on the machine: labels have their place beside the plot, and the browser sets
//! them in its own font.

use std::fmt::Write as _;
use std::io;
use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde::{Deserialize, Serialize};

use crate::web::format::{self, unix};
use tracker_monitor::{Sample, Series, Span};

/// What is plotted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plot {
    /// Seeders and leechers.
    Peers,
    /// Announces per second.
    Announces,
    /// What the peers say they download.
    Rate,
}

/// In which colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Theme {
    /// For an image of its own, on white.
    #[default]
    Light,
    /// For an image of its own, on black.
    Dark,
    /// Those of the style sheet of the page it is put into.
    #[serde(skip)]
    Page,
}

/// In which size. The browser scales it; these fit a column so wide without scaling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// 760 × 376.
    Wide,
    /// 340 × 165.
    Narrow,
}

/// What part of a [`Series`] is shown, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Axis {
    /// The right end of the plot.
    pub(crate) now: i64,
    /// How far back it goes.
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

/// What a line shows, and how.
#[derive(Debug, Clone, Copy, Serialize, PartialEq)]
struct LineKind {
    name: &'static str,
    /// The class for its colour.
    class: &'static str,
    #[serde(skip)]
    color: RGBColor,
}

/// What of a sample is shown.
type Shown = fn(&Sample) -> f64;

/// Units of a drawing in a unit of its size: plotters knows whole units only, which would show as steps.
const FINENESS: u32 = 10;

/// Room for the labels below the plot, and for their halves beyond its ends.
const BELOW: u32 = 26;
const ABOVE: u32 = 12;
const RIGHT: u32 = 20;

// The colours of the light theme; `COLORS` has those that go with them.
const SURFACE: RGBColor = RGBColor(0xff, 0xff, 0xfe);
const GRID: RGBColor = RGBColor(0xe3, 0xe7, 0xec);
const TEXT: RGBColor = RGBColor(0x5a, 0x66, 0x75);
const SEEDERS: RGBColor = RGBColor(0x0b, 0x7a, 0x5c);
const LEECHERS: RGBColor = RGBColor(0x5b, 0x55, 0xd1);
const ANNOUNCES: RGBColor = RGBColor(0xa8, 0x5a, 0x08);
const RATE: RGBColor = RGBColor(0x0c, 0x6b, 0x91);

/// Each colour in the light theme, in the dark one, and as the style sheet calls it.
const COLORS: [(RGBColor, &str, &str); 7] = [
    (SURFACE, "#171E27", "var(--surface)"),
    (GRID, "#2A3440", "var(--plot-grid)"),
    (TEXT, "#9DABBA", "var(--muted)"),
    (SEEDERS, "#3FCF9F", "var(--seeders)"),
    (LEECHERS, "#A5A0FF", "var(--leechers)"),
    (ANNOUNCES, "#F0B35B", "var(--announces)"),
    (RATE, "#5CC3EA", "var(--rate)"),
];

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

    /// Room for the labels left of the plot.
    fn left(self) -> u32 {
        match self {
            Self::Peers | Self::Announces => 48,
            Self::Rate => 76,
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
        let kind = |name, class, color| LineKind { name, class, color };
        match self {
            Self::Peers => vec![
                (kind("Seeders", "seeders", SEEDERS), |sample| sample.seeders),
                (kind("Leechers", "leechers", LEECHERS), |sample| sample.leechers),
            ],
            Self::Announces => vec![(kind("Announces per second", "announces", ANNOUNCES), |sample| sample.announces)],
            Self::Rate => vec![(kind("Transfer rate", "rate", RATE), |sample| sample.download_rate)],
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
    fn ticks(self, shape: Shape) -> Vec<f64> {
        let step = match (self.span, shape) {
            (Span::TenMinutes, _) => 120,
            (Span::TwoHours, _) => 1200,
            (Span::TwoDays, Shape::Wide) => 28_800,
            (Span::TwoDays, Shape::Narrow) => 86_400,
        };
        let first = self.from().div_euclid(step) + 1;
        // The label of one at the right end would reach over it.
        let last = self.now.saturating_sub(self.secs() / 25);
        (first..).map(|tick| tick * step).take_while(|at| *at <= last).map(|at| at as f64).collect()
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

/// Draws a plot: an `<svg>` that may stand in HTML or alone.
pub(crate) fn draw(plot: Plot, values: &Values, axis: Axis, theme: Theme, shape: Shape) -> String {
    let (width, height, shape_name) = match shape {
        Shape::Wide => (760, 376, "wide"),
        Shape::Narrow => (340, 165, "narrow"),
    };
    let mut drawn = String::new();
    if let Err(error) = draw_into(&mut drawn, (width * FINENESS, height * FINENESS), plot, values, axis, theme, shape) {
        tracing::warn!(%error, plot = plot.name(), "cannot draw a plot");
    }
    // The inside of what was drawn: its outside knows neither classes nor titles.
    let inside =
        drawn.split_once(">\n").and_then(|(_, rest)| rest.rsplit_once("</svg>")).map_or("", |(inside, _)| inside);
    let id = format!("plot-{}-{shape_name}", plot.name());
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot-{shape_name}\" viewBox=\"0 0 {} {}\" width=\"{width}\" \
         height=\"{height}\" stroke-linejoin=\"round\" stroke-linecap=\"round\" role=\"img\" \
         aria-labelledby=\"{id}-title {id}-desc\" data-left=\"{}\" data-right=\"{}\" data-width=\"{width}\">\
         <title id=\"{id}-title\">{}</title><desc id=\"{id}-desc\">{}</desc>\n",
        width * FINENESS,
        height * FINENESS,
        plot.left(),
        width - RIGHT,
        plot.title(),
        description(plot, values, axis),
    );
    svg.push_str(&themed(&timed(inside, axis), theme));
    svg.push_str("</svg>");
    svg
}

/// What is to be seen, in words.
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

fn draw_into(
    buffer: &mut String,
    size: (u32, u32),
    plot: Plot,
    values: &Values,
    axis: Axis,
    theme: Theme,
    shape: Shape,
) -> Result<(), DrawingAreaErrorKind<io::Error>> {
    let root = SVGBackend::with_string(buffer, size).into_drawing_area();
    if theme != Theme::Page {
        root.fill(&SURFACE)?;
    }
    let (ticks, top) = vertical(plot, values.max());
    // The text's size is that of its box, of which plotters takes the 1.24th part for the letters.
    let label = TextStyle::from(("system-ui, sans-serif", f64::from(12 * FINENESS) * 1.24).into_font()).color(&TEXT);
    let mut chart = ChartBuilder::on(&root)
        .margin_top(ABOVE * FINENESS)
        .margin_right(RIGHT * FINENESS)
        .x_label_area_size(BELOW * FINENESS)
        .y_label_area_size(plot.left() * FINENESS)
        .build_cartesian_2d(
            Scale { ends: axis.from() as f64..axis.now as f64, ticks: axis.ticks(shape) },
            Scale { ends: 0.0..top, ticks },
        )?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID.stroke_width(FINENESS))
        .light_line_style(TRANSPARENT)
        .axis_style(GRID.stroke_width(FINENESS))
        .label_style(label.clone())
        .set_tick_mark_size(LabelAreaPosition::Bottom, 5 * FINENESS as i32)
        .set_tick_mark_size(LabelAreaPosition::Left, 8 * FINENESS as i32)
        .x_label_formatter(&|at| format!("@{at:.0}"))
        .y_label_formatter(&|value| plot.text_of_tick(*value))
        .draw()?;
    for line in &values.lines {
        let points: Vec<_> = values.times.iter().map(|at| *at as f64).zip(line.values.iter().copied()).collect();
        // Where nothing was recorded, because the machine slept, the line has a gap.
        let gap = (axis.mean_over() * 3) as f64;
        for points in points.chunk_by(|a, b| b.0 - a.0 <= gap) {
            let ends = [points.last().map(|last| (last.0, 0.0)), points.first().map(|first| (first.0, 0.0))];
            let area: Vec<_> = points.iter().copied().chain(ends.into_iter().flatten()).collect();
            chart.draw_series([Polygon::new(area, line.kind.color.mix(0.10))])?;
        }
        for points in points.chunk_by(|a, b| b.0 - a.0 <= gap) {
            chart.draw_series([PathElement::new(points, line.kind.color.stroke_width(2 * FINENESS))])?;
        }
        if let Some(last) = points.last() {
            chart.draw_series([Circle::new(*last, 3 * FINENESS, line.kind.color.filled())])?;
        }
    }
    if theme != Theme::Page {
        // There is nothing around it that would say what is what.
        let (left, below) = (((plot.left() + 12) * FINENESS) as i32, ((BELOW - 8) * FINENESS) as i32);
        for (row, line) in values.lines.iter().enumerate() {
            let top = (ABOVE + 6 + 18 * row as u32) * FINENESS;
            root.draw(&Text::new(line.kind.name, (left, top as i32), label.color(&line.kind.color)))?;
        }
        root.draw(&Text::new("UTC", ((12 * FINENESS) as i32, size.1 as i32 - below), label.clone()))?;
    }
    if values.times.is_empty() {
        let (width, height) = (size.0 as i32, size.1 as i32);
        let middle = (width + (plot.left() * FINENESS) as i32 - (RIGHT * FINENESS) as i32) / 2;
        let style = label.pos(Pos::new(HPos::Center, VPos::Center));
        root.draw(&Text::new("Nothing has been recorded yet", (middle, height / 2 - 8 * FINENESS as i32), style))?;
    }
    root.present()
}

impl Plot {
    /// A value of the vertical axis.
    fn text_of_tick(self, value: f64) -> String {
        if value == 0.0 { "0".to_owned() } else { self.text(value) }
    }
}

/// A straight scale with labels where we want them.
struct Scale {
    ends: Range<f64>,
    ticks: Vec<f64>,
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let part = (value - self.ends.start) / (self.ends.end - self.ends.start);
        limit.0 + (part * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.ends.clone()
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

/// Puts times in the place of the labels `@…`: as text in UTC, and as an attribute for the script that knows the viewer's
/// zone.
fn timed(svg: &str, axis: Axis) -> String {
    let mut timed = String::with_capacity(svg.len() + 512);
    let mut rest = svg;
    while let Some((before, after)) = rest.split_once(">\n@") {
        let (at, behind) = after.split_once('\n').unwrap_or((after, ""));
        let at = at.parse().unwrap_or(0);
        _ = write!(timed, "{before} data-tick=\"{at}\">{}", format::strftime(at, axis.format()));
        rest = behind;
    }
    timed.push_str(rest);
    timed
}

fn themed(svg: &str, theme: Theme) -> String {
    COLORS.iter().fold(svg.to_owned(), |svg, (RGBColor(red, green, blue), dark, page)| {
        let light = format!("#{red:02X}{green:02X}{blue:02X}");
        match theme {
            Theme::Light => svg,
            Theme::Dark => svg.replace(&light, dark),
            Theme::Page => svg.replace(&light, page),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    const AXIS: Axis = Axis { now: 1_763_992_800, span: Span::TenMinutes };

    /// Of these seconds after the start of the tracker.
    fn series(secs: impl IntoIterator<Item = u32>) -> Series {
        let at = |secs: u32| SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_990_000 + u64::from(secs));
        let sample = |secs: u32| Sample { seeders: 2.0, leechers: f64::from(secs % 10), ..Sample::default() };
        Series { step_secs: 1, samples: secs.into_iter().map(|secs| (at(secs), sample(secs))).collect() }
    }

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
    fn a_gap_in_the_history_is_a_gap_in_the_line() {
        let values = Plot::Announces.values(&series((2300..2400).chain(2600..2700)), AXIS);
        let svg = draw(Plot::Announces, &values, AXIS, Theme::Light, Shape::Wide);
        assert_eq!(svg.matches("stroke-width=\"20\"").count(), 2, "{svg}");
    }

    #[test]
    fn labels_are_times_for_the_script_and_utc_without() {
        let values = Plot::Rate.values(&series(0..2800), AXIS);
        let svg = draw(Plot::Rate, &values, AXIS, Theme::Light, Shape::Wide);
        assert!(svg.contains("data-tick=\"1763992680\">13:58<"), "{svg}");
        assert!(!svg.contains('@'));
        assert!(svg.contains("1 MB/s") && svg.contains("\nTransfer rate\n") && svg.contains("\nUTC\n"), "{svg}");
        assert!(!svg.contains("style="));
    }

    #[test]
    fn each_theme_has_its_colours() {
        let values = Plot::Peers.values(&series(0..2800), AXIS);
        let draw = |theme| draw(Plot::Peers, &values, AXIS, theme, Shape::Wide);
        assert!(draw(Theme::Light).contains("#0B7A5C"));
        assert!(draw(Theme::Dark).contains("#3FCF9F"));
        let page = draw(Theme::Page);
        assert!(page.contains("var(--seeders)"));
        assert!(!page.contains('#'), "{page}");
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
