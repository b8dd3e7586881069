//! The pages for those who come to get a file: the same for everybody, without a sign-in. What they need to know comes first, in
//! plain words; all of it works without scripts.

mod beamer;
mod check;
mod device;
mod file;
mod folder;
mod list;
mod offers;
mod page_url;
mod progress;
mod shell;
mod technical;
mod viewer;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use torrent_library::ContentKey;

use super::Dashboard;
use super::problem::Problem;

pub(super) use offers::{Offer, Offers, OffersCache, TorrentOf};
pub(super) use page_url::page_url;
pub(super) use shell::{error_page, no_zip_page};
pub(super) use technical::TorrentDetails;

pub(super) fn router() -> Router<Dashboard> {
    Router::new()
        .route("/", get(list::page))
        .route("/files/{key}", get(file::page))
        .route("/beamer", get(beamer::page))
        .route("/beamer/{key}", get(beamer::page_of))
}

/// The response for a key that leads to nothing, or not any more. A newer version is below `root`.
fn not_shared(dashboard: &Dashboard, key: Option<ContentKey>, root: &str) -> Response {
    if let Some(ContentKey::Swarm(info_hash)) = key
        && let Some(newer) = Offers::of(dashboard).newer_than(&info_hash)
    {
        return shell::replaced_page(dashboard, &format!("{root}{newer}"));
    }
    let error = "this file is not shared, or not any more: it may have been removed, or replaced by a newer version";
    Problem::new(StatusCode::NOT_FOUND, error).into_response()
}
