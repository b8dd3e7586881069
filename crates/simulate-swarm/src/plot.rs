//! Latency and rate over time, as a picture.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::record::Sample;

/// More samples than this are thinned out.
const POINTS: usize = 1000;

/// Writes an SVG of one phase.
pub(crate) fn write(path: &Path, title: &str, samples: &[Sample]) -> Result<()> {
    let mut svg = String::new();
    draw(&mut svg, title, samples).map_err(|error| anyhow!("cannot draw the plot: {error}"))?;
    std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

fn draw(svg: &mut String, title: &str, samples: &[Sample]) -> Outcome {
    let root = SVGBackend::with_string(svg, (900, 600)).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.titled(title, ("sans-serif", 18))?;
    let (above, below) = root.split_vertically(270);
    let thinned: Vec<_> = samples.chunks(samples.len().div_ceil(POINTS).max(1)).map(|chunk| chunk[0]).collect();
    let points = |value: fn(&Sample) -> f64| -> Vec<(f64, f64)> {
        thinned.iter().map(|sample| (sample.at.as_secs_f64(), value(sample))).collect()
    };
    chart(&above, "answers per second", &[("answers per second", BLUE, points(|sample| sample.rate))])?;
    let latencies = [
        ("p50", BLUE, points(|sample| sample.p50.as_secs_f64() * 1e6)),
        ("p99", RED, points(|sample| sample.p99.as_secs_f64() * 1e6)),
    ];
    chart(&below, "latency in µs", &latencies)?;
    root.present()?;
    Ok(())
}

/// Its name, its colour, and its points.
type Line<'a> = (&'a str, RGBColor, Vec<(f64, f64)>);

fn chart(area: &Area<'_>, name: &str, lines: &[Line<'_>]) -> Outcome {
    let end = |value: fn(&(f64, f64)) -> f64| {
        let all = lines.iter().flat_map(|(_, _, points)| points);
        all.map(value).fold(f64::MIN_POSITIVE, f64::max)
    };
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(35)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..end(|point| point.0).max(0.1), 0.0..(end(|point| point.1) * 1.1).max(1.0))?;
    chart.configure_mesh().x_desc("seconds").y_desc(name).max_light_lines(0).draw()?;
    for (label, colour, points) in lines {
        let line = LineSeries::new(points.iter().copied(), *colour);
        let colour = *colour;
        chart.draw_series(line)?.label(*label).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
    }
    // One line needs no name besides that of its axis.
    if lines.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE)
            .border_style(BLACK)
            .draw()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_plot_has_its_lines_and_labels() {
        let sample = |tenths: u64| Sample {
            at: Duration::from_millis(tenths * 100),
            rate: 1000.0,
            p50: Duration::from_micros(50),
            p99: Duration::from_micros(tenths),
        };
        let samples: Vec<_> = (1..3000).map(sample).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.path(), "a <title>", &samples).unwrap();
        let svg = std::fs::read_to_string(file.path()).unwrap();
        for part in ["<svg", "a &lt;title&gt;", "answers per second", "latency in µs", "p99", "polyline"] {
            assert!(svg.contains(part), "{part}");
        }
        assert!(svg.len() < 200_000);
        write(file.path(), "nothing", &[]).unwrap();
    }
}
