//! A file or folder: how to get it, and how to check what was got.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header::VARY;
use axum::response::{IntoResponse, Redirect, Response};
use torrent_library::{Content, ContentKey};

use super::check::Check;
use super::device::{DEVICE_HEADERS, Way};
use super::folder::Folder;
use super::list::Row;
use super::not_shared;
use super::offers::{Offer, TorrentOf};
use super::progress::{self, Mine};
use super::shell::PublicShell;
use super::technical::{Technical, TorrentDetails};
use super::viewer::Viewer;
use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::format::percent;
use crate::web::shell::{render, render_blocking};
use crate::web::table::PartParams;

#[derive(Template)]
#[template(path = "public/file.html")]
struct FilePage {
    shell: PublicShell,
    /// `true` if there is no other one.
    alone: bool,
    offer: Row,
    mine: Vec<Mine>,
    /// The best first.
    ways: [Way; 2],
    download: Option<Download>,
    torrent: TorrentState,
    folder: Option<Folder>,
    check: Check,
    technical: Technical,
}

/// The download in this browser.
struct Download {
    href: String,
    is_zip: bool,
}

/// What BitTorrent has to offer.
enum TorrentState {
    Ready {
        /// The .torrent file.
        href: String,
        magnet: String,
    },
    /// Not yet, or not under this name.
    Preparing(String),
    /// The tracker is stopped.
    Stopped,
    None,
}

/// `GET /files/{key}`.
pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    viewer: Viewer,
    Path(key): Path<String>,
    Query(params): Query<PartParams>,
) -> Response {
    render_blocking(dashboard, move |dashboard| file(dashboard, viewer, &key, &params)).await
}

fn file(dashboard: &Dashboard, viewer: Viewer, text: &str, params: &PartParams) -> Response {
    let key = text.parse().ok();
    if let Some(moved) = key.and_then(|key| moved(dashboard, key)) {
        return Redirect::temporary(&format!("/files/{moved}")).into_response();
    }
    match key.and_then(|key| Offer::find(dashboard, key)) {
        Some(offer) => render_file(dashboard, viewer, &offer, &format!("/files/{}", offer.key), params),
        None => not_shared(dashboard, key, "/files/"),
    }
}

/// The key under which a content is found since it was hashed.
pub(super) fn moved(dashboard: &Dashboard, key: ContentKey) -> Option<ContentKey> {
    Some(dashboard.config().contents.current_key(key)).filter(|current| *current != key)
}

/// The page of a file, which is at this path.
pub(super) fn render_file(
    dashboard: &Dashboard,
    viewer: Viewer,
    offer: &Offer,
    path: &str,
    params: &PartParams,
) -> Response {
    let content = offer.content(dashboard);
    let first = viewer.device.first_way(progress::downloads(dashboard));
    let second = if first == Way::Browser { Way::BitTorrent } else { Way::Browser };
    // This stays while it is hashed.
    let about = content.as_ref().map_or_else(|| offer.key.to_string(), |content| content.id().to_string());
    let technical = Technical::of(dashboard, viewer, offer);
    let page = FilePage {
        shell: PublicShell::new(dashboard, viewer.role, path, about),
        alone: path == "/",
        offer: Row::new(dashboard, offer),
        mine: Mine::of_file(dashboard, viewer.address, offer.key),
        ways: [first, second],
        download: content.as_deref().and_then(|content| Download::of(dashboard, offer.key, content)),
        torrent: TorrentState::of(offer, technical.torrent.as_ref()),
        folder: Folder::of(dashboard, offer, content.as_deref(), path, params.page()),
        check: Check::of(dashboard, offer, content.as_deref()),
        technical,
    };
    ([(VARY, DEVICE_HEADERS)], render(&page)).into_response()
}

impl Download {
    fn of(dashboard: &Dashboard, key: ContentKey, content: &Content) -> Option<Self> {
        let is_zip = content.is_folder();
        let is_sent = !dashboard.config().contents.is_damaged(content.id());
        (is_sent && (!is_zip || dashboard.config().zip)).then(|| Self { href: format!("/download/{key}"), is_zip })
    }
}

impl TorrentState {
    fn of(offer: &Offer, torrent: Option<&TorrentDetails>) -> Self {
        match &offer.torrent {
            TorrentOf::Known(_) => torrent.map_or(Self::None, Self::of_known),
            TorrentOf::Waiting => Self::Preparing("is prepared after other files".to_owned()),
            TorrentOf::Hashing(progress) => Self::Preparing(format!("is being prepared: {}", percent(progress.part()))),
            TorrentOf::Other(name) => Self::Preparing(format!("has the same content as {name}")),
            TorrentOf::Failed => Self::None,
        }
    }

    fn of_known(torrent: &TorrentDetails) -> Self {
        if torrent.announce_urls.is_empty() {
            return Self::Stopped;
        }
        let href = format!("/api/v1/torrents/{}/torrent", torrent.info_hash);
        Self::Ready { href, magnet: torrent.magnet.clone() }
    }
}
