//! The tracker as a whole: its status, start and stop.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::Json;
use crate::web::Dashboard;
use crate::web::problem::Problem;
use crate::web::role::Operator;
use tracker_host::{ServiceState, unix_seconds};
use tracker_monitor::{DownloadCounts, Failures, OwnPeerStatus, StuckCounts, rounded};

/// The current state of the tracker, and its counters since the start.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web) struct Status {
    /// The time of this status.
    now: u64,
    /// The time at which the program was started.
    started: u64,
    tracker: Tracker,
    /// `true` if only torrents of the library are served.
    only_known: bool,
    /// Torrents with a swarm now.
    torrents: u64,
    /// Seeders now. A client counts once for each torrent and address.
    seeders: u64,
    /// Leechers now, partial seeds included.
    leechers: u64,
    /// Partial seeds now: they have all the files they want, but not all files.
    partial_seeds: u64,
    /// Announces so far, refused ones included.
    announces: u64,
    /// Announces refused so far.
    refused_announces: u64,
    /// Scrapes so far.
    scrapes: u64,
    /// Downloads completed so far.
    completed: u64,
    failures: Failures,
    rates: Rates,
    /// Torrents whose downloads are stuck now, by reason.
    stuck_torrents: StuckCounts,
    /// Downloads in progress now, and how many of them are stuck, by reason.
    downloads: DownloadCounts,
    /// The tracker's own peer, which connects to the peers; `null` if there is none.
    own_peer: Option<OwnPeerStatus>,
}

/// Current rates: averages of the last ten seconds.
#[derive(Debug, Serialize, ToSchema)]
struct Rates {
    /// Announces per second.
    announces: f64,
    /// Scrapes per second.
    scrapes: f64,
    /// Requests per second that were refused or could not be read.
    errors: f64,
    /// Downloads completed per minute.
    completed: f64,
    /// Bytes per second that the peers download, as they are seen or as they report.
    download_rate: f64,
}

/// The service for clients.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web) struct Tracker {
    state: TrackerState,
    /// The time since when it is in this state.
    since: u64,
    /// The addresses on which clients are served; empty while the tracker is stopped.
    addresses: Vec<String>,
    /// The URLs to put into torrents, the best first; empty while the tracker is stopped.
    announce_urls: Vec<String>,
    /// The error that ended the tracker or prevented its start.
    error: Option<String>,
}

/// The state of the service for clients.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum TrackerState {
    /// Clients are served.
    Running,
    /// Clients are not served, and the ports are free.
    Stopped,
}

impl Status {
    pub(in crate::web) fn of(dashboard: &Dashboard) -> Self {
        let tracker_monitor::Status { now, totals, failures, last, stuck, downloads, own_peer } =
            dashboard.config().observer.status();
        Self {
            now: dashboard.unix(now),
            started: dashboard.started(),
            tracker: dashboard.config().service.state().into(),
            only_known: dashboard.config().only_known,
            torrents: totals.swarms,
            seeders: totals.seeders,
            leechers: totals.leechers,
            partial_seeds: totals.partial_seeds,
            announces: totals.announces,
            refused_announces: totals.refused_announces,
            scrapes: totals.scrapes,
            completed: totals.completed,
            failures,
            rates: Rates {
                announces: rounded(last.announces),
                scrapes: rounded(last.scrapes),
                errors: rounded(last.errors),
                completed: rounded(last.completed),
                download_rate: rounded(last.download_rate),
            },
            stuck_torrents: stuck,
            downloads,
            own_peer,
        }
    }
}

impl From<ServiceState> for Tracker {
    fn from(state: ServiceState) -> Self {
        match state {
            ServiceState::Running { since, addresses, announce_urls } => Self {
                state: TrackerState::Running,
                since: unix_seconds(since),
                addresses: addresses.iter().map(ToString::to_string).collect(),
                announce_urls,
                error: None,
            },
            ServiceState::Stopped { since, error } => Self {
                state: TrackerState::Stopped,
                since: unix_seconds(since),
                addresses: Vec::new(),
                announce_urls: Vec::new(),
                error,
            },
        }
    }
}

/// The current state of the tracker, and its counters.
#[utoipa::path(get, path = "/status", tag = "tracker", responses((status = 200, body = Status)))]
pub(super) async fn status(State(dashboard): State<Dashboard>) -> Json<Status> {
    Json(Status::of(&dashboard))
}

/// Starts serving clients; does nothing if already running.
#[utoipa::path(
    post,
    path = "/tracker/start",
    tag = "tracker",
    security((), ("token" = [])),
    responses(
        (status = 200, body = Tracker),
        (status = 403, description = "Operators only", body = Problem),
        (status = 409, description = "The ports cannot be bound; the error says which program has them", body = Problem),
    )
)]
pub(super) async fn start(
    _: Operator,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    State(dashboard): State<Dashboard>,
) -> Result<Json<Tracker>, Problem> {
    tracing::info!(%remote, "asked to start the tracker");
    let service = &dashboard.config().service;
    match service.start().await {
        Ok(()) => Ok(Json(service.state().into())),
        Err(error) => {
            tracing::error!(%remote, "cannot start the tracker: {error}");
            Err(Problem::new(StatusCode::CONFLICT, error.to_string()))
        }
    }
}

/// Stops serving clients; does nothing if already stopped. Waits until the ports are free. Torrents and peers are kept.
#[utoipa::path(
    post,
    path = "/tracker/stop",
    tag = "tracker",
    security((), ("token" = [])),
    responses(
        (status = 200, body = Tracker),
        (status = 403, description = "Operators only", body = Problem),
    )
)]
pub(super) async fn stop(
    _: Operator,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    State(dashboard): State<Dashboard>,
) -> Json<Tracker> {
    tracing::info!(%remote, "asked to stop the tracker");
    let service = &dashboard.config().service;
    service.stop().await;
    Json(service.state().into())
}
