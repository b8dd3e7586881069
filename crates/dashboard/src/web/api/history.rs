//! The history of the tracker.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Json, Query};
use crate::web::Dashboard;
use crate::web::problem::Problem;
use tracker_host::unix_seconds;
use tracker_monitor::{Sample, Series, Span, rounded};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// The length of the history.
    #[serde(default)]
    #[param(inline)]
    span: Span,
}

/// The history, oldest first. All lists have the same length: the n-th value of each belongs to the n-th time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct History {
    span: Span,
    /// Seconds between times.
    step: u32,
    times: Vec<u64>,
    torrents: Vec<f64>,
    seeders: Vec<f64>,
    /// Partial seeds included.
    leechers: Vec<f64>,
    /// Per second.
    announces: Vec<f64>,
    /// Per second.
    scrapes: Vec<f64>,
    /// Requests per second that were refused or could not be read.
    errors: Vec<f64>,
    /// Downloads completed per minute.
    completed: Vec<f64>,
    /// Bytes per second that the peers say they download.
    download_rate: Vec<f64>,
}

impl History {
    fn of(dashboard: &Dashboard, span: Span) -> Self {
        let Series { step_secs, samples } = dashboard.config().observer.history(span);
        let column = |of: fn(&Sample) -> f64| samples.iter().map(|(_, sample)| rounded(of(sample))).collect();
        Self {
            span,
            step: step_secs,
            times: samples.iter().map(|&(at, _)| unix_seconds(at)).collect(),
            torrents: column(|sample| sample.torrents),
            seeders: column(|sample| sample.seeders),
            leechers: column(|sample| sample.leechers),
            announces: column(|sample| sample.announces),
            scrapes: column(|sample| sample.scrapes),
            errors: column(|sample| sample.errors),
            completed: column(|sample| sample.completed),
            download_rate: column(|sample| sample.download_rate),
        }
    }
}

/// The history of the tracker.
#[utoipa::path(
    get,
    path = "/history",
    tag = "tracker",
    params(HistoryQuery),
    responses(
        (status = 200, body = History),
        (status = 400, description = "No such span", body = Problem),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn history(
    State(dashboard): State<Dashboard>,
    Query(HistoryQuery { span }): Query<HistoryQuery>,
) -> Result<Json<History>, Problem> {
    dashboard.run(move |dashboard| Json(History::of(dashboard, span))).await
}
