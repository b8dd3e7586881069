//! The metrics, for [Prometheus](https://prometheus.io).

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use tracker_host::{OpenFiles, PartHealth, unix_seconds};

use crate::{Observer, OwnPeerStatus, Status, TransferTotals, rounded};

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsFormat {
    /// [Prometheus' own](https://prometheus.io/docs/instrumenting/exposition_formats/).
    Prometheus,
    /// [OpenMetrics](https://prometheus.io/docs/specs/om/open_metrics_spec/).
    OpenMetrics,
}

impl MetricsFormat {
    /// The media type of a text in this format.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The metrics that the observer does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessMetrics {
    /// The time at which the program was started, in Unix seconds.
    pub started: u64,
    /// `true` while clients are served.
    pub is_running: bool,
    /// The number of viewers that follow the dashboard's stream of events.
    pub viewers: u64,
    /// The files that the program has open, where that is known.
    pub open_files: Option<OpenFiles>,
    /// The health of its parts.
    pub health: Vec<PartHealth>,
}

impl ProcessMetrics {
    /// Those of a program that was started at this time, in Unix seconds, and serves clients.
    pub const fn new(started: u64) -> Self {
        Self { started, is_running: true, viewers: 0, open_files: None, health: Vec::new() }
    }
}

impl Observer {
    /// The text of the metrics.
    ///
    /// # Errors
    ///
    /// Never in practice: the text is written into memory.
    pub fn metrics(&self, process: ProcessMetrics, format: MetricsFormat) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Metrics { observer: self.clone(), process }));
        let mut metrics = String::new();
        match format {
            MetricsFormat::Prometheus => prometheus_text::encode(&mut metrics, &registry)?,
            MetricsFormat::OpenMetrics => text::encode(&mut metrics, &registry)?,
        }
        Ok(metrics)
    }
}

/// The tracker as a source of metrics.
#[derive(Debug)]
struct Metrics {
    observer: Observer,
    process: ProcessMetrics,
}

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self { observer, process } = self;
        let Status { totals, failures, last, stuck, downloads, own_peer, .. } = observer.status();
        let mut sheet = Sheet(encoder);

        sheet.info("tracker_build", "The program", &[("version", env!("CARGO_PKG_VERSION"))])?;
        let started = process.started as f64;
        sheet.gauge("process_start_time", "When the program was started", Some(&Unit::Seconds), started)?;
        let is_running = f64::from(u8::from(process.is_running));
        sheet.gauge("tracker_running", "Whether clients are served", None, is_running)?;
        if let Some(OpenFiles { open, limit, .. }) = process.open_files {
            sheet.gauge("process_open_fds", "Files and connections that the program has open", None, open as f64)?;
            sheet.gauge("process_max_fds", "Files and connections that it may have open", None, limit as f64)?;
        }
        let healthy: Vec<_> =
            process.health.iter().map(|part| (part.name, u64::from(part.problem.is_none()))).collect();
        if !healthy.is_empty() {
            sheet.gauges(
                "tracker_healthy",
                "Whether a part of the tracker works; what is wrong says /health?verbose",
                "part",
                &healthy,
            )?;
        }
        let saved = process.health.iter().filter_map(|part| Some((part.name, unix_seconds(part.saved?))));
        let saved: Vec<_> = saved.collect();
        if !saved.is_empty() {
            sheet.gauges(
                "tracker_last_saved_timestamp_seconds",
                "When a part of the tracker was last written to the disk, or when the tracker started",
                "part",
                &saved,
            )?;
        }

        sheet.gauge("tracker_torrents", "Torrents with a swarm", None, totals.swarms as f64)?;
        let known = observer.known_torrents() as f64;
        sheet.gauge("tracker_known_torrents", "Torrents whose .torrent file is known", None, known)?;
        sheet.gauges(
            "tracker_peers",
            "Peers; a client counts once for each torrent and address",
            "state",
            &[
                ("seeding", totals.seeders),
                ("partial", totals.partial_seeds),
                ("downloading", totals.leechers.saturating_sub(totals.partial_seeds)),
            ],
        )?;
        sheet.gauges(
            "tracker_stuck_torrents",
            "Torrents whose downloads do not get on, by the reason",
            "reason",
            &[("no_seeder", stuck.no_seeder), ("no_progress", stuck.no_progress), ("silent", stuck.silent)],
        )?;
        sheet.gauges(
            "tracker_stuck_peers",
            "Peers whose downloads do not get on, by the reason; those of which it cannot be said are undecided",
            "reason",
            &[
                ("no_seeder", downloads.no_seeder),
                ("no_progress", downloads.no_progress),
                ("silent", downloads.silent),
                ("undecided", downloads.undecided),
            ],
        )?;
        if let Some(OwnPeerStatus { connections, reachable }) = own_peer {
            sheet.gauge(
                "tracker_own_peer_connections",
                "Connections of the tracker's own peer to peers",
                None,
                connections as f64,
            )?;
            sheet.gauges(
                "tracker_reachable_peers",
                "Peers by whether others can connect to them; a client counts once for each torrent and address",
                "reachable",
                &[("yes", reachable.yes), ("no", reachable.no), ("unknown", reachable.unknown)],
            )?;
            let seeded = observer.computers().seeded_torrents().unwrap_or_default();
            sheet.gauge(
                "tracker_own_peer_seeded_torrents",
                "Torrents that the tracker's own peer seeds",
                None,
                seeded as f64,
            )?;
            sheet.counter(
                "tracker_own_peer_uploaded_bytes",
                "Bytes that the tracker's own peer has sent to peers",
                observer.downloads().totals().bytes.peer,
            )?;
        }
        let rate = rounded(last.download_rate);
        sheet.gauge(
            "tracker_download_bytes_per_second",
            "Bytes per second that the peers download, as they are seen or as they say",
            None,
            rate,
        )?;

        let computers = observer.computers();
        let (counted, lesson) = (computers.count(), observer.lessons().current());
        sheet.gauge("tracker_computers", "Computers that are counted in this lesson", None, counted.into())?;
        sheet.gauge("tracker_lesson", "The number of the current lesson", None, lesson.into())?;
        let TransferTotals { browser, web_seed, bytes } = observer.downloads().totals();
        sheet.gauges(
            "tracker_downloads_running",
            "Transfers of shared files over HTTP in progress, by who gets them",
            "way",
            &[("browser", browser), ("web_seed", web_seed)],
        )?;
        sheet.counters(
            "tracker_downloads_bytes",
            "Bytes of shared files sent over HTTP, by who got them",
            "way",
            &[("browser", bytes.browser), ("web_seed", bytes.web_seed)],
        )?;

        sheet.counter("tracker_announces", "Announces, refused ones included", totals.announces)?;
        sheet.counter("tracker_refused_announces", "Announces that were refused", totals.refused_announces)?;
        sheet.counter("tracker_scrapes", "Scrapes, refused ones included", totals.scrapes)?;
        sheet.counters(
            "tracker_failures",
            "Requests that could not be read, and refused requests other than announces",
            "protocol",
            &[("http", failures.http), ("udp", failures.udp)],
        )?;
        sheet.counter(
            "tracker_closed_connections",
            "Connections that were refused, or closed for a new one, because too many were open",
            failures.closed_connections,
        )?;
        sheet.counter("tracker_completed", "Downloads that were completed", totals.completed)?;
        sheet.counter("tracker_dropped_events", "Events that came too fast to be observed", totals.dropped_events)?;

        sheet.gauge(
            "tracker_dashboard_viewers",
            "Viewers that follow the stream of events",
            None,
            process.viewers as f64,
        )
    }
}

/// Writes one metric after the other.
struct Sheet<'e>(DescriptorEncoder<'e>);

impl Sheet<'_> {
    fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(&labels)
    }

    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: f64) -> fmt::Result {
        self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        values.iter().try_for_each(|&(of, value)| metric.encode_family(&[(label, of)])?.encode_gauge(&value))
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn counters(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        values.iter().try_for_each(|&(of, value)| {
            metric.encode_family(&[(label, of)])?.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }
}
