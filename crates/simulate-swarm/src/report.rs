//! The report of a run, as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::process::Usage;
use crate::record::{Errors, Record};
use crate::violation::Violation;

/// A thread that computes for this share of the time has no time left.
const SATURATED: f64 = 0.9;

/// The report of a whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) target: String,
    pub(crate) version: &'static str,
    pub(crate) settings: Settings,
    pub(crate) fill: Option<PhaseReport>,
    pub(crate) steady: Option<PhaseReport>,
    /// Ctrl-C ended it early.
    pub(crate) interrupted: bool,
    /// Neither violations nor errors.
    pub(crate) ok: bool,
}

/// The settings of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Settings {
    pub(crate) protocol: &'static str,
    pub(crate) seed: u64,
    pub(crate) peers: u32,
    pub(crate) torrents: u32,
    pub(crate) spread: &'static str,
    pub(crate) zipf: f64,
    pub(crate) seeders_percent: f64,
    /// Null with --completed or --stopped.
    pub(crate) leaving_percent: Option<f64>,
    pub(crate) completed_percent: Option<f64>,
    pub(crate) stopped_percent: Option<f64>,
    pub(crate) scrapes_percent: f64,
    pub(crate) scrape_hashes: u32,
    pub(crate) numwant: u32,
    pub(crate) max_peers: u32,
    pub(crate) sources: u32,
    pub(crate) concurrency: u16,
    /// Requests per second; null for a closed loop.
    pub(crate) rate: Option<f64>,
}

/// The report of one phase.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PhaseReport {
    /// Announces and scrapes with a useful answer.
    pub(crate) requests: u64,
    pub(crate) announces: u64,
    pub(crate) scrapes: u64,
    /// UDP: answered connect requests. HTTP: connections.
    pub(crate) connects: u64,
    pub(crate) errors_total: u64,
    pub(crate) errors: Errors,
    pub(crate) first_error: Option<String>,
    pub(crate) retransmits: u64,
    pub(crate) late_answers: u64,
    pub(crate) violations_total: u64,
    /// Answers by kind of violation.
    pub(crate) violations: BTreeMap<Violation, u64>,
    pub(crate) seconds: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) latency_us: Latency,
    pub(crate) answer_bytes_mean: f64,
    pub(crate) peers_per_answer_mean: f64,
    /// Null without --pid.
    pub(crate) tracker: Option<Cost>,
    /// CPU time of simulate-swarm, in percent of one core.
    pub(crate) generator_cpu_percent: f64,
    pub(crate) bottleneck: Bottleneck,
}

/// Latencies in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Latency {
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

/// CPU time and memory that the tracker's process used in a phase.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    pub(crate) cpu_seconds: f64,
    /// In percent of one core.
    pub(crate) cpu_percent: f64,
    /// CPU time divided by announces and scrapes.
    pub(crate) cpu_us_per_request: f64,
    /// CPU time divided by announces, scrapes and connects.
    pub(crate) cpu_us_per_request_and_connect: f64,
    pub(crate) rss_bytes_before: u64,
    pub(crate) rss_bytes_after: u64,
    /// Growth of memory divided by new peers, in the fill phase.
    pub(crate) rss_bytes_per_peer: Option<f64>,
}

/// The cause that the rate was not higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Bottleneck {
    Tracker,
    SimulateSwarm,
    Rate,
    /// The tracker and simulate-swarm both waited: for each other, or for the machine.
    Neither,
    /// Not simulate-swarm; without --pid the tracker's use is unknown.
    Unknown,
}

/// Wall-clock time, CPU time and memory of a phase.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) wall: Duration,
    /// CPU time of simulate-swarm.
    pub(crate) own_cpu: Duration,
    /// CPU time and memory of the tracker, before and after.
    pub(crate) tracker: Option<(Usage, Usage)>,
}

impl PhaseReport {
    /// Makes the report of a phase. `is_fill`: all growth of memory is by new peers. `rate`: the requested rate, per second.
    pub(crate) fn new(record: &Record, spent: &Spent, is_fill: bool, rate: Option<f64>) -> Self {
        let seconds = spent.wall.as_secs_f64();
        let requests = record.requests();
        let requests_per_second = ratio(requests as f64, seconds);
        let own_share = ratio(spent.own_cpu.as_secs_f64(), seconds);
        let tracker = spent.tracker.map(|usage| Cost::new(record, usage, seconds, is_fill));
        let tracker_share = tracker.map(|cost| cost.cpu_percent / 100.0);
        Self {
            requests,
            announces: record.announces,
            scrapes: record.scrapes,
            connects: record.connects,
            errors_total: record.errors.total(),
            errors: record.errors.clone(),
            first_error: record.first_error.as_ref().map(ToString::to_string),
            retransmits: record.retransmits,
            late_answers: record.late_answers,
            violations_total: record.violations.values().sum(),
            violations: record.violations.clone(),
            seconds,
            requests_per_second,
            latency_us: Latency::new(record),
            answer_bytes_mean: ratio(record.answer_bytes as f64, requests as f64),
            peers_per_answer_mean: ratio(record.peers as f64, record.announces as f64),
            tracker,
            generator_cpu_percent: own_share * 100.0,
            bottleneck: bottleneck(own_share, tracker_share, rate.map(|rate| requests_per_second / rate)),
        }
    }
}

/// `of_rate`: the share of the requested rate that was reached.
fn bottleneck(own_share: f64, tracker_share: Option<f64>, of_rate: Option<f64>) -> Bottleneck {
    if of_rate.is_some_and(|share| share > 0.98) {
        return Bottleneck::Rate;
    }
    match tracker_share {
        Some(share) if share >= SATURATED => Bottleneck::Tracker,
        _ if own_share >= SATURATED => Bottleneck::SimulateSwarm,
        Some(_) => Bottleneck::Neither,
        None => Bottleneck::Unknown,
    }
}

impl Latency {
    fn new(record: &Record) -> Self {
        let us = |nanos: u64| nanos as f64 / 1000.0;
        let latency = &record.latency;
        let quantile = |share| us(latency.value_at_quantile(share));
        Self {
            mean: latency.mean() / 1000.0,
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: us(latency.max()),
        }
    }
}

impl Cost {
    fn new(record: &Record, (before, after): (Usage, Usage), seconds: f64, is_fill: bool) -> Self {
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        let requests = record.requests();
        let growth = after.rss as f64 - before.rss as f64;
        Self {
            cpu_seconds: cpu,
            cpu_percent: ratio(cpu, seconds) * 100.0,
            cpu_us_per_request: ratio(cpu * 1e6, requests as f64),
            cpu_us_per_request_and_connect: ratio(cpu * 1e6, (requests + record.connects) as f64),
            rss_bytes_before: before.rss,
            rss_bytes_after: after.rss,
            rss_bytes_per_peer: is_fill.then(|| ratio(growth, record.announces as f64)),
        }
    }
}

/// The quotient, or 0 if the divisor is 0.
fn ratio(dividend: f64, divisor: f64) -> f64 {
    if divisor == 0.0 { 0.0 } else { dividend / divisor }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::record::Exchange;

    #[test]
    fn the_side_that_is_busy_is_the_bottleneck() {
        assert_eq!(bottleneck(0.5, Some(0.99), None), Bottleneck::Tracker);
        assert_eq!(bottleneck(0.95, Some(0.95), None), Bottleneck::Tracker);
        assert_eq!(bottleneck(0.5, None, None), Bottleneck::Unknown);
        assert_eq!(bottleneck(0.89, None, Some(0.5)), Bottleneck::Unknown);
        assert_eq!(bottleneck(0.95, Some(0.5), None), Bottleneck::SimulateSwarm);
        assert_eq!(bottleneck(0.95, None, Some(0.5)), Bottleneck::SimulateSwarm);
        assert_eq!(bottleneck(0.3, Some(0.4), None), Bottleneck::Neither);
        assert_eq!(bottleneck(0.8, Some(0.8), None), Bottleneck::Neither);
        assert_eq!(bottleneck(0.1, Some(0.1), Some(0.999)), Bottleneck::Rate);
        assert_eq!(serde_json::to_string(&Bottleneck::SimulateSwarm).unwrap(), "\"simulate-swarm\"");
    }

    #[test]
    fn costs_are_divided_by_requests() {
        let now = Instant::now();
        let mut record = Record::start(now, Duration::from_secs(1));
        for _ in 0..10 {
            record.announce(Exchange { since: now, now: now + Duration::from_micros(5), bytes: 20 }, 3);
        }
        record.connects = 10;
        let usage = |millis, rss| Usage { cpu: Duration::from_millis(millis), rss };
        let spent = Spent {
            wall: Duration::from_secs(2),
            own_cpu: Duration::from_secs(1),
            tracker: Some((usage(10, 1000), usage(30, 1500))),
        };
        let report = PhaseReport::new(&record, &spent, true, None);
        let cost = report.tracker.unwrap();
        let rounded = [cost.cpu_us_per_request, cost.cpu_us_per_request_and_connect, cost.cpu_percent].map(f64::round);
        assert_eq!(rounded, [2000.0, 1000.0, 1.0]);
        assert_eq!(cost.rss_bytes_per_peer, Some(50.0));
        assert_eq!((report.requests_per_second, report.generator_cpu_percent), (5.0, 50.0));
        assert_eq!((report.peers_per_answer_mean, report.answer_bytes_mean), (3.0, 20.0));
        assert!((4.9..5.1).contains(&report.latency_us.p99));
    }

    #[test]
    fn a_phase_without_answers_has_no_quotients() {
        let now = Instant::now();
        let spent = Spent { wall: Duration::ZERO, own_cpu: Duration::ZERO, tracker: None };
        let report = PhaseReport::new(&Record::start(now, Duration::from_secs(1)), &spent, false, Some(5.0));
        assert_eq!((report.requests_per_second, report.peers_per_answer_mean), (0.0, 0.0));
        assert!(!serde_json::to_string(&report).unwrap().contains("NaN"));
    }
}
