//! The pages for those who come to get a file: the same for everybody who may look. What they need to know comes first, in
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
mod sign_in;
mod technical;
mod viewer;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use torrent_library::ContentKey;

use super::Dashboard;
use super::access::{SIGN_IN, SIGN_OUT};
use super::problem::Problem;

pub(super) use folder::FolderOrders;
pub(super) use offers::{Offer, Offers, OffersCache, TorrentOf};
pub(super) use page_url::{PageLink, page_url};
pub(super) use shell::{error_page, no_zip_page, replaced_page};
pub(super) use technical::TorrentDetails;

pub(super) fn router() -> Router<Dashboard> {
    Router::new()
        .route("/", get(list::page))
        .route("/files/{key}", get(file::page))
        .route("/beamer", get(beamer::page))
        .route("/beamer/{key}", get(beamer::page_of))
        .route(SIGN_IN, get(sign_in::page).post(sign_in::enter))
        .route(SIGN_OUT, post(sign_in::leave))
}

/// Returns `true` unless the operator has removed the torrent with this key: its content is withdrawn a moment later.
pub(super) fn is_registered(dashboard: &Dashboard, key: ContentKey) -> bool {
    match key {
        ContentKey::Swarm(swarm) => dashboard.config().library.get(&swarm).is_some(),
        ContentKey::Id(_) => true,
    }
}

/// The key of what has taken the place of what had this key.
pub(super) fn newer(dashboard: &Dashboard, key: ContentKey) -> Option<ContentKey> {
    dashboard.config().contents.newer(key).filter(|newer| is_registered(dashboard, *newer))
}

/// The response for a key that leads to nothing, or not any more. A newer version is below `root`.
fn not_shared(dashboard: &Dashboard, key: Option<ContentKey>, root: &str) -> Response {
    if let Some(newer) = key.and_then(|key| newer(dashboard, key)) {
        return replaced_page(dashboard, &format!("{root}{newer}"));
    }
    let error = "this file is not shared, or not any more: it may have been removed, or replaced by a newer version";
    Problem::new(StatusCode::NOT_FOUND, error).into_response()
}
