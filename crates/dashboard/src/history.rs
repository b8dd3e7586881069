//! What the tracker had and did, over the last two days.

use tracker_core::Instant;

/// What the tracker had at a moment, and did in the time before it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sample {
    /// Swarms with or without peers.
    pub torrents: f64,
    /// Seeders.
    pub seeders: f64,
    /// Leechers, partial seeds included.
    pub leechers: f64,
    /// Announces per second.
    pub announces: f64,
    /// Scrapes per second.
    pub scrapes: f64,
    /// Requests per second that were refused or could not be read.
    pub errors: f64,
    /// Downloads completed per minute.
    pub completed: f64,
    /// Bytes per second that the peers say they download.
    pub download_rate: f64,
}

/// How far back a history goes, and how finely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Ten minutes, by the second.
    TenMinutes,
    /// Two hours, by ten seconds.
    TwoHours,
    /// Two days, by the minute.
    TwoDays,
}

/// A history, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Seconds between samples.
    pub step_secs: u32,
    /// When each sample was taken, and what it was.
    pub samples: Vec<(Instant, Sample)>,
}
