//! The history as it is saved.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tracker_host::unix_seconds;

use super::figure;
use crate::{Sample, Series, Span, rounded};

/// The samples of each span.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SavedHistory {
    #[serde(rename = "10m")]
    ten_minutes: SavedSeries,
    #[serde(rename = "2h")]
    two_hours: SavedSeries,
    #[serde(rename = "2d")]
    two_days: SavedSeries,
}

/// Samples, the oldest first. All lists have the same length: the n-th value of each belongs to the n-th time. A value that is not
/// there is zero.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct SavedSeries {
    times: Vec<u64>,
    torrents: Vec<Option<f64>>,
    seeders: Vec<Option<f64>>,
    leechers: Vec<Option<f64>>,
    announces: Vec<Option<f64>>,
    scrapes: Vec<Option<f64>>,
    errors: Vec<Option<f64>>,
    completed: Vec<Option<f64>>,
    download_rate: Vec<Option<f64>>,
}

impl SavedHistory {
    pub(crate) fn new(series: impl Fn(Span) -> Series) -> Self {
        let saved = |span| SavedSeries::new(&series(span));
        Self { ten_minutes: saved(Span::TenMinutes), two_hours: saved(Span::TwoHours), two_days: saved(Span::TwoDays) }
    }

    /// The samples of a span and the times of their ends, in the order of time. Those that are older than the span, later than now or
    /// impossible are left out.
    pub(crate) fn samples(&self, span: Span, now: SystemTime) -> Vec<(SystemTime, Sample)> {
        let series = match span {
            Span::TenMinutes => &self.ten_minutes,
            Span::TwoHours => &self.two_hours,
            Span::TwoDays => &self.two_days,
        };
        series.samples(span, now)
    }
}

impl SavedSeries {
    fn new(series: &Series) -> Self {
        let mut saved = Self::default();
        for (at, sample) in &series.samples {
            let Sample { torrents, seeders, leechers, announces, scrapes, errors, completed, download_rate } = *sample;
            saved.times.push(unix_seconds(*at));
            for (list, value) in [
                (&mut saved.torrents, torrents),
                (&mut saved.seeders, seeders),
                (&mut saved.leechers, leechers),
                (&mut saved.announces, announces),
                (&mut saved.scrapes, scrapes),
                (&mut saved.errors, errors),
                (&mut saved.completed, completed),
                (&mut saved.download_rate, download_rate),
            ] {
                list.push(figure(value).map(rounded));
            }
        }
        saved
    }

    fn samples(&self, span: Span, now: SystemTime) -> Vec<(SystemTime, Sample)> {
        let now = unix_seconds(now);
        let oldest = now.saturating_sub(span.duration().as_secs());
        let mut samples = Vec::new();
        let mut last = oldest;
        for (place, &at) in self.times.iter().enumerate() {
            if let Some(sample) = self.sample(place).filter(|_| at > last && at <= now) {
                samples.push((SystemTime::UNIX_EPOCH + Duration::from_secs(at), sample));
                last = at;
            }
        }
        // Coarse samples have their distance, but for the one that was cut short by the end of the program.
        let limit = span.duration().as_secs() / u64::from(span.step_secs()) + 1;
        let surplus = samples.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        samples.drain(..surplus);
        samples
    }

    /// The sample at a place; `None` if one of its values cannot be.
    fn sample(&self, place: usize) -> Option<Sample> {
        let value = |list: &[Option<f64>]| match list.get(place) {
            Some(value) => value.and_then(figure),
            None => Some(0.0),
        };
        Some(Sample {
            torrents: value(&self.torrents)?,
            seeders: value(&self.seeders)?,
            leechers: value(&self.leechers)?,
            announces: value(&self.announces)?,
            scrapes: value(&self.scrapes)?,
            errors: value(&self.errors)?,
            completed: value(&self.completed)?,
            download_rate: value(&self.download_rate)?,
        })
    }
}
