//! The plot of how far a file has come, from the first computer that asked for it on.

use tracker_monitor::CompletionPoint;

use super::course::{CourseLine, CoursePlot};
use crate::web::format::{count, duration, percent};

/// The plot of the part of the computers that have a file, and of what all of them have on average; `None` while there is nothing
/// to see. No other plot of the page has this id.
pub(super) fn completion_plot(id: String, points: &[CompletionPoint]) -> Option<CoursePlot> {
    let last = points.last().filter(|last| points.len() >= 2 && last.of > 0)?;
    let line = |color, value: fn(&CompletionPoint) -> f64| CourseLine::new(color, points, |point| point.secs, value);
    Some(CoursePlot {
        id,
        description: format!(
            "After {}, {} of {} computers have it. On average all of them have {}.",
            duration(last.secs),
            count(last.has.into()),
            count(last.of.into()),
            percent(last.completion),
        ),
        lines: vec![
            line("leechers", |point| point.completion),
            line("seeders", |point| f64::from(point.has) / f64::from(point.of.max(1))),
        ],
        top: 1.0,
        label: percent,
        left: 48.0,
    })
}
