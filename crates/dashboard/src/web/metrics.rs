//! The metrics, for [Prometheus](https://prometheus.io).

use std::fmt;

use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::Dashboard;
use super::api::{rounded, unix};
use super::problem::Problem;
use tracker_host::ServiceState;

/// What the client is to take an answer in [OpenMetrics](https://prometheus.io/docs/specs/om/open_metrics_spec/) for.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Metrics for Prometheus, in its text format or, where that is asked for, in that of OpenMetrics.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "tracker",
    responses((status = 200, body = String, content_type = "text/plain; version=0.0.4; charset=utf-8"))
)]
pub(super) async fn metrics(
    State(dashboard): State<Dashboard>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let asks_for_open_metrics = |accept: &str| accept.contains("application/openmetrics-text");
    let is_open = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(asks_for_open_metrics);
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Metrics(dashboard)));
    let mut metrics = String::new();
    let (content_type, encoded) = if is_open {
        (OPEN_METRICS, text::encode(&mut metrics, &registry))
    } else {
        (prometheus_text::CONTENT_TYPE, prometheus_text::encode(&mut metrics, &registry))
    };
    encoded.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written down"))?;
    Ok(([(CONTENT_TYPE, content_type)], metrics))
}

/// The tracker as a source of metrics.
#[derive(Debug)]
struct Metrics(Dashboard);

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(dashboard) = self;
        let config = dashboard.config();
        let tracker_monitor::Status { totals, failures, last, .. } = config.observer.status();
        let is_running = matches!(config.service.state(), ServiceState::Running { .. });
        let mut sheet = Sheet(encoder);

        sheet.info("tracker_build", "The program", &[("version", env!("CARGO_PKG_VERSION"))])?;
        let started = unix(dashboard.0.started);
        sheet.gauge("process_start_time", "When the program was started", Some(&Unit::Seconds), started as f64)?;
        sheet.gauge("tracker_running", "Whether clients are served", None, f64::from(u8::from(is_running)))?;

        sheet.gauge("tracker_torrents", "Torrents with a swarm", None, totals.swarms as f64)?;
        let known = config.library.all().len();
        sheet.gauge("tracker_known_torrents", "Torrents whose .torrent file is known", None, known as f64)?;
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
        let rate = rounded(last.download_rate);
        sheet.gauge("tracker_download_bytes_per_second", "What the peers say they download", None, rate)?;

        sheet.counter("tracker_announces", "Announces, refused ones included", totals.announces)?;
        sheet.counter("tracker_refused_announces", "Announces that were refused", totals.refused_announces)?;
        sheet.counter("tracker_scrapes", "Scrapes, refused ones included", totals.scrapes)?;
        sheet.counters(
            "tracker_failures",
            "Requests that could not be read, or were refused and are no announces",
            "protocol",
            &[("http", failures.http), ("udp", failures.udp)],
        )?;
        sheet.counter("tracker_completed", "Downloads that were completed", totals.completed)?;
        sheet.counter("tracker_dropped_events", "Events that came too fast to be observed", totals.dropped_events)?;

        let viewers = dashboard.0.streams.viewers();
        sheet.gauge("tracker_dashboard_viewers", "Who follows the stream of events", None, viewers as f64)
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
