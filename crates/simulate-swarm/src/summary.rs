//! The summary of a run, as text.

use std::fmt::{self, Display};

use crate::report::{Bottleneck, PhaseReport, Report};

/// A table of the phases, to print.
#[derive(Debug)]
pub(crate) struct Summary<'a>(pub(crate) &'a Report);

impl Display for Summary<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { target, settings, .. } = self.0;
        writeln!(out, "{} peers in {} torrents at {target}", settings.peers, settings.torrents)?;
        for (name, phase) in [("Arrival", &self.0.fill), ("Steady", &self.0.steady)] {
            if let Some(phase) = phase {
                writeln!(out, "\n{name}")?;
                write_phase(out, phase)?;
            }
        }
        if self.0.interrupted {
            writeln!(out, "\nInterrupted: the figures are for the part that ran.")?;
        }
        Ok(())
    }
}

fn write_phase(out: &mut fmt::Formatter<'_>, phase: &PhaseReport) -> fmt::Result {
    let mut row = |name: &str, value: fmt::Arguments<'_>| writeln!(out, "  {name:<22}{value}");
    row(
        "answers",
        format_args!("{} in {:.1} s, {:.0} per second", phase.requests, phase.seconds, phase.requests_per_second),
    )?;
    if phase.scrapes > 0 {
        row("of them scrapes", format_args!("{}", phase.scrapes))?;
    }
    row("connects", format_args!("{}", phase.connects))?;
    let us = phase.latency_us;
    row(
        "latency in µs",
        format_args!(
            "p50 {:.0}, p90 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}",
            us.p50, us.p90, us.p99, us.p999, us.max
        ),
    )?;
    row(
        "an answer",
        format_args!("{:.0} bytes, {:.1} peers on average", phase.answer_bytes_mean, phase.peers_per_answer_mean),
    )?;
    if let Some(cost) = phase.tracker {
        row("tracker's CPU", format_args!("{:.2} µs per request, {:.0} %", cost.cpu_us_per_request, cost.cpu_percent))?;
        let mib = |bytes| bytes as f64 / f64::from(1 << 20);
        let memory =
            format!("{:.1} MiB before, {:.1} MiB after", mib(cost.rss_bytes_before), mib(cost.rss_bytes_after));
        match cost.rss_bytes_per_peer {
            Some(bytes) => row("tracker's memory", format_args!("{memory}, {bytes:.1} bytes per peer"))?,
            None => row("tracker's memory", format_args!("{memory}"))?,
        }
    }
    row("our CPU", format_args!("{:.0} %", phase.generator_cpu_percent))?;
    row("the bottleneck is", format_args!("{}", bottleneck(phase)))?;
    if phase.retransmits > 0 {
        row("sent again", format_args!("{}", phase.retransmits))?;
    }
    let errors = &phase.errors;
    for (count, what) in [
        (errors.timeouts, "no answer in time"),
        (errors.refused, "refused by the tracker"),
        (errors.http_status, "an HTTP status other than 200"),
        (errors.connection, "no connection, or a broken one"),
        (errors.unreadable, "an answer that cannot be read"),
    ] {
        if count > 0 {
            row("ERRORS", format_args!("{count}: {what}"))?;
        }
    }
    if let Some(error) = &phase.first_error {
        row("the first", format_args!("{}", error.escape_debug()))?;
    }
    for (kind, count) in &phase.violations {
        row("VIOLATIONS", format_args!("{count} answers: {}", kind.meaning()))?;
    }
    if phase.violations.is_empty() {
        row("violations", format_args!("none"))?;
    }
    Ok(())
}

fn bottleneck(phase: &PhaseReport) -> &'static str {
    match phase.bottleneck {
        Bottleneck::Rate => "the rate that was asked for",
        Bottleneck::Tracker => "the tracker",
        Bottleneck::Neither => "neither side: try a higher --concurrency, or a machine without other load",
        Bottleneck::Unknown => "not simulate-swarm; give --pid to measure the tracker",
        Bottleneck::SimulateSwarm => {
            "simulate-swarm: the tracker can do more than this rate shows; compare CPU per request instead"
        }
    }
}
