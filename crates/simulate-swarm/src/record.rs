//! The counts and times of a phase.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::answer::NoAnswer;
use crate::violation::{Violation, Violations};

/// Requests without a useful answer, by reason.
#[derive(Debug, Clone, Default, Serialize, PartialEq, Eq)]
pub(crate) struct Errors {
    /// No answer in time.
    pub(crate) timeouts: u64,
    /// A failure reason, or an error of BEP 15.
    pub(crate) refused: u64,
    /// An HTTP status other than 200.
    pub(crate) http_status: u64,
    /// Connections that could not be made, or broke.
    pub(crate) connection: u64,
    /// Answers that cannot be read; they are violations, too.
    pub(crate) unreadable: u64,
}

impl Errors {
    pub(crate) fn total(&self) -> u64 {
        self.timeouts + self.refused + self.http_status + self.connection + self.unreadable
    }
}

/// One part of a phase, for the plot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// When it ended, since the phase began.
    pub(crate) at: Duration,
    /// Answers per second.
    pub(crate) rate: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// The counts of a phase.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) announces: u64,
    pub(crate) scrapes: u64,
    pub(crate) connects: u64,
    pub(crate) retransmits: u64,
    pub(crate) late_answers: u64,
    pub(crate) errors: Errors,
    /// The first error, to show as an example.
    pub(crate) first_error: Option<NoAnswer>,
    pub(crate) violations: BTreeMap<Violation, u64>,
    /// The bytes of all answers, without IP, UDP and TCP headers.
    pub(crate) answer_bytes: u64,
    pub(crate) peers: u64,
    /// Latencies in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    pub(crate) samples: Vec<Sample>,
    start: Instant,
    interval: Duration,
    current: Histogram<u64>,
    current_start: Instant,
}

/// An answered request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange {
    /// When the request was due.
    pub(crate) since: Instant,
    pub(crate) now: Instant,
    pub(crate) bytes: usize,
}

impl Record {
    /// Begins a phase. `interval` is the length of a [`Sample`].
    pub(crate) fn start(start: Instant, interval: Duration) -> Self {
        let histogram = || Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds that the crate allows");
        Self {
            announces: 0,
            scrapes: 0,
            connects: 0,
            retransmits: 0,
            late_answers: 0,
            errors: Errors::default(),
            first_error: None,
            violations: BTreeMap::new(),
            answer_bytes: 0,
            peers: 0,
            latency: histogram(),
            samples: Vec::new(),
            start,
            interval,
            current: histogram(),
            current_start: start,
        }
    }

    /// The number of announces and scrapes that were answered.
    pub(crate) fn requests(&self) -> u64 {
        self.announces + self.scrapes
    }

    /// Counts an answered announce and its peers.
    pub(crate) fn announce(&mut self, exchange: Exchange, peers: usize) {
        self.announces += 1;
        self.peers += peers as u64;
        self.exchange(exchange);
    }

    /// Counts an answered scrape.
    pub(crate) fn scrape(&mut self, exchange: Exchange) {
        self.scrapes += 1;
        self.exchange(exchange);
    }

    fn exchange(&mut self, Exchange { since, now, bytes }: Exchange) {
        self.answer_bytes += bytes as u64;
        self.tick(now);
        let latency = u64::try_from(now.saturating_duration_since(since).as_nanos()).unwrap_or(u64::MAX);
        self.latency.saturating_record(latency);
        self.current.saturating_record(latency);
    }

    pub(crate) fn error(&mut self, error: NoAnswer) {
        let count = match error {
            NoAnswer::TimedOut => &mut self.errors.timeouts,
            NoAnswer::Refused(_) => &mut self.errors.refused,
            NoAnswer::Status(_) => &mut self.errors.http_status,
            NoAnswer::Connection(_) => &mut self.errors.connection,
            NoAnswer::Unreadable => &mut self.errors.unreadable,
        };
        *count += 1;
        self.first_error.get_or_insert(error);
    }

    pub(crate) fn violations(&mut self, found: Violations) {
        if !found.is_empty() {
            for kind in found.kinds() {
                *self.violations.entry(kind).or_default() += 1;
            }
        }
    }

    /// Ends the current sample if its time is over.
    pub(crate) fn tick(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.current_start);
        if elapsed >= self.interval {
            let quantile = |share| Duration::from_nanos(self.current.value_at_quantile(share));
            self.samples.push(Sample {
                at: now.duration_since(self.start),
                rate: self.current.len() as f64 / elapsed.as_secs_f64(),
                p50: quantile(0.5),
                p99: quantile(0.99),
            });
            self.current.reset();
            self.current_start = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_timed_and_sampled() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut record = Record::start(start, Duration::from_millis(100));
        record.announce(Exchange { since: at(0), now: at(10), bytes: 100 }, 7);
        record.scrape(Exchange { since: at(0), now: at(50), bytes: 20 });
        record.tick(at(200));
        assert_eq!((record.requests(), record.answer_bytes, record.peers), (2, 120, 7));
        let [sample] = record.samples[..] else { panic!("{:?}", record.samples) };
        assert_eq!((sample.at, sample.rate), (Duration::from_millis(200), 10.0));
        assert!(sample.p50.abs_diff(Duration::from_millis(10)) < Duration::from_micros(50), "{sample:?}");
        assert!(sample.p99.abs_diff(Duration::from_millis(50)) < Duration::from_micros(200), "{sample:?}");
    }
}
