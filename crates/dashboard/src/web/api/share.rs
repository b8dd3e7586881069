//! The contents of the share folder.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::{Json, Query};
use crate::web::Dashboard;
use crate::web::problem::Problem;
use crate::web::role::Operator;
use crate::web::workload::blocking;
use torrent_library::{Listing, ShareError, TorrentJobs};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ShareQuery {
    /// A folder, relative to the share folder, with `/` between names; empty for the share folder itself.
    #[serde(default)]
    path: String,
}

/// The jobs that make torrents; a problem without a share folder.
pub(super) fn torrent_jobs(dashboard: &Dashboard) -> Result<TorrentJobs, Problem> {
    dashboard.config().torrent_jobs.clone().ok_or_else(|| {
        let why = "this tracker has no share folder; start it with --share FOLDER to have one";
        Problem::new(StatusCode::NOT_FOUND, why)
    })
}

pub(super) fn problem(error: &ShareError) -> Problem {
    let status = match error {
        ShareError::NotFound => StatusCode::NOT_FOUND,
        ShareError::Outside => StatusCode::BAD_REQUEST,
        _ => StatusCode::FORBIDDEN,
    };
    Problem::new(status, error.to_string())
}

/// The contents of a folder of the share folder. Operators only.
#[utoipa::path(
    get,
    path = "/share",
    tag = "making",
    params(ShareQuery),
    security((), ("token" = [])),
    responses(
        (status = 200, body = Listing),
        (status = 400, description = "The path leads out of the share folder", body = Problem),
        (status = 403, description = "Operators only, or the folder cannot be read", body = Problem),
        (status = 404, description = "There is no such folder, or no share folder at all", body = Problem),
    )
)]
pub(super) async fn share(
    _: Operator,
    State(dashboard): State<Dashboard>,
    Query(ShareQuery { path }): Query<ShareQuery>,
) -> Result<Json<Listing>, Problem> {
    let torrent_jobs = torrent_jobs(&dashboard)?;
    blocking(move || torrent_jobs.share().list(&path)).await?.map(Json).map_err(|error| problem(&error))
}
