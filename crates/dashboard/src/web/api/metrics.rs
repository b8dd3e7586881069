//! The metrics, for [Prometheus](https://prometheus.io).

use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use tracker_host::ServiceState;
use tracker_monitor::{MetricsFormat, ProcessMetrics};

use crate::web::Dashboard;
use crate::web::problem::Problem;

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
    let format = if is_open { MetricsFormat::OpenMetrics } else { MetricsFormat::Prometheus };
    let mut process = ProcessMetrics::new(dashboard.started());
    process.is_running = matches!(dashboard.config().service.state(), ServiceState::Running { .. });
    process.viewers = dashboard.0.streams.viewers() as u64;
    let looked = dashboard.look_at_health().await;
    (process.health, process.open_files) = (looked.parts, looked.open_files);
    let metrics = dashboard
        .config()
        .observer
        .metrics(process, format)
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be encoded"))?;
    Ok(([(CONTENT_TYPE, format.content_type())], metrics))
}
