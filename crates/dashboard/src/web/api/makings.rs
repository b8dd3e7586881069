//! The making of torrents.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ROOT;
use super::extract::{IdPath, Json};
use super::share::{self, torrent_jobs};
use crate::web::Dashboard;
use crate::web::problem::Problem;
use crate::web::role::Operator;
use crate::web::workload::blocking;
use torrent_library::{JobState, MakeError, OPERATOR_LOG};

/// A request to make a torrent.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Make {
    /// A file or folder, relative to the share folder, with `/` between names.
    path: String,
    /// `true` if clients are to find peers through this tracker only.
    #[serde(default)]
    private: bool,
}

/// Torrents that are being made, and the last that were; the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web) struct Makings {
    makings: Vec<Making>,
}

/// A torrent that is being made, or was.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Making {
    id: u64,
    /// The file or folder, relative to the share folder.
    path: String,
    state: MakingState,
    /// Bytes read so far, while it is being made.
    hashed: Option<u64>,
    /// Bytes in total, while it is being made.
    total: Option<u64>,
    /// The info-hash under which it is registered, when it is done.
    info_hash: Option<String>,
    /// Why it could not be made.
    error: Option<String>,
}

/// The state of the making of a torrent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum MakingState {
    /// It waits for its turn.
    Waiting,
    /// Its content is being read.
    Hashing,
    /// It is registered.
    Done,
    /// It could not be made.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl Makings {
    /// `None` without a share folder.
    pub(in crate::web) fn of(dashboard: &Dashboard) -> Option<Self> {
        let makings = dashboard.config().torrent_jobs.as_ref()?.all();
        Some(Self { makings: makings.into_iter().map(Making::from).collect() })
    }
}

impl From<torrent_library::TorrentJob> for Making {
    fn from(making: torrent_library::TorrentJob) -> Self {
        let torrent_library::TorrentJob { id, path, state } = making;
        let (state, hashed, total, info_hash, error) = match state {
            JobState::Waiting => (MakingState::Waiting, None, None, None, None),
            JobState::Hashing { hashed, total } => (MakingState::Hashing, Some(hashed), Some(total), None, None),
            JobState::Done { info_hash } => (MakingState::Done, None, None, Some(info_hash.to_string()), None),
            JobState::Failed { error } => (MakingState::Failed, None, None, None, Some(error)),
            JobState::Cancelled => (MakingState::Cancelled, None, None, None, None),
        };
        Self { id, path, state, hashed, total, info_hash, error }
    }
}

fn unknown(id: u64) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("no torrent is being made under the id {id}, and none was lately"))
}

/// Torrents that are being made, and the last that were; the newest first.
#[utoipa::path(
    get,
    path = "/makings",
    tag = "making",
    security((), ("token" = [])),
    responses(
        (status = 200, body = Makings),
        (status = 403, description = "Operators only", body = Problem),
        (status = 404, description = "There is no share folder", body = Problem),
    )
)]
pub(super) async fn makings(_: Operator, State(dashboard): State<Dashboard>) -> Result<Json<Makings>, Problem> {
    torrent_jobs(&dashboard)?;
    Ok(Json(Makings::of(&dashboard).expect("the share folder was checked above")))
}

/// Starts to make a torrent of a file or folder in the share folder. It is registered when it is done.
#[utoipa::path(
    post,
    path = "/makings",
    tag = "making",
    request_body = Make,
    security((), ("token" = [])),
    responses(
        (
            status = 201,
            body = Making,
            headers(("Location" = String, description = "The URL of its state")),
        ),
        (status = 400, description = "The path leads out of the share folder", body = Problem),
        (status = 403, description = "Operators only, or it cannot be read", body = Problem),
        (status = 404, description = "There is no such file or folder, or no share folder at all", body = Problem),
        (status = 422, description = "Something is missing", body = Problem),
        (status = 429, description = "Too many are waiting; try again later", body = Problem),
        (status = 500, description = "It cannot be started", body = Problem),
    )
)]
pub(super) async fn make(
    _: Operator,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    State(dashboard): State<Dashboard>,
    Json(Make { path, private }): Json<Make>,
) -> Result<impl IntoResponse, Problem> {
    tracing::info!(target: OPERATOR_LOG, %remote, path, "asked to make a torrent");
    let (torrent_jobs, announce_urls) = (torrent_jobs(&dashboard)?, dashboard.announce_urls());
    // Of users only those who announce with a key are to find each other.
    let is_private = private || dashboard.is_for_users();
    let making = blocking(move || torrent_jobs.make(&path, is_private, &announce_urls)).await?;
    let making = making.map_err(|error| match error {
        MakeError::Share(error) => share::problem(&error),
        MakeError::TooMany { .. } => Problem::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()),
        error => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    })?;
    let location = [(LOCATION, format!("{ROOT}/makings/{}", making.id))];
    Ok((StatusCode::CREATED, location, Json(Making::from(making))))
}

/// The state of the making of a torrent.
#[utoipa::path(
    get,
    path = "/makings/{id}",
    tag = "making",
    params(("id" = u64, Path)),
    security((), ("token" = [])),
    responses(
        (status = 200, body = Making),
        (status = 400, description = "That is no id", body = Problem),
        (status = 403, description = "Operators only", body = Problem),
        (status = 404, description = "There is none of this id", body = Problem),
    )
)]
pub(super) async fn making(
    _: Operator,
    State(dashboard): State<Dashboard>,
    IdPath(id): IdPath,
) -> Result<Json<Making>, Problem> {
    let making = torrent_jobs(&dashboard)?.get(id).ok_or_else(|| unknown(id))?;
    Ok(Json(making.into()))
}

/// Cancels the making of a torrent.
#[utoipa::path(
    delete,
    path = "/makings/{id}",
    tag = "making",
    params(("id" = u64, Path)),
    security((), ("token" = [])),
    responses(
        (status = 204, description = "It is cancelled"),
        (status = 400, description = "That is no id", body = Problem),
        (status = 403, description = "Operators only", body = Problem),
        (status = 404, description = "There is none to cancel: the error says whether it is over or never was", body = Problem),
    )
)]
pub(super) async fn cancel(
    _: Operator,
    State(dashboard): State<Dashboard>,
    IdPath(id): IdPath,
) -> Result<StatusCode, Problem> {
    let jobs = torrent_jobs(&dashboard)?;
    if jobs.cancel(id) {
        return Ok(StatusCode::NO_CONTENT);
    }
    let job = jobs.get(id).ok_or_else(|| unknown(id))?;
    let state = match job.state {
        JobState::Waiting | JobState::Hashing { .. } => "is being registered",
        JobState::Done { .. } => "is done",
        JobState::Failed { .. } => "has failed",
        JobState::Cancelled => "is cancelled already",
    };
    Err(Problem::new(StatusCode::NOT_FOUND, format!("there is nothing to cancel: the making of the torrent {state}")))
}
