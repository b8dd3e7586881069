//! What those want to know who know BitTorrent.

use torrent_library::KnownTorrent;

use super::offers::{Offer, TorrentOf};
use super::viewer::Viewer;
use crate::web::Dashboard;
use crate::web::format::{count, pieces};
use crate::web::reached_at::ReachedAt;

/// The technical details of an offer.
pub(super) struct Technical {
    /// In bytes.
    pub(super) size: String,
    pub(super) torrent: Option<TorrentDetails>,
}

/// Those of a torrent, as a viewer gets it.
pub(in crate::web) struct TorrentDetails {
    pub(in crate::web) pieces: String,
    pub(in crate::web) info_hash: String,
    /// Of a hybrid.
    pub(in crate::web) info_hash_v2: Option<String>,
    pub(in crate::web) magnet: String,
    /// None while the tracker is stopped.
    pub(in crate::web) announce_urls: Vec<String>,
    pub(in crate::web) private: bool,
}

impl Technical {
    pub(super) fn of(dashboard: &Dashboard, viewer: Viewer, offer: &Offer) -> Self {
        let torrent = match &offer.torrent {
            TorrentOf::Known(torrent) => Some(TorrentDetails::of(dashboard, viewer.reached_at, torrent)),
            _ => None,
        };
        Self { size: format!("{} bytes", count(offer.size)), torrent }
    }
}

impl TorrentDetails {
    pub(in crate::web) fn of(dashboard: &Dashboard, viewer: ReachedAt, torrent: &KnownTorrent) -> Self {
        let urls = dashboard.urls_for(viewer, torrent);
        let info = torrent.metainfo.info();
        Self {
            pieces: pieces(info.piece_length(), info.total_length()),
            info_hash: torrent.info_hash.to_string(),
            info_hash_v2: torrent.metainfo.info_hashes().v2.map(|hash| hash.to_string()),
            magnet: torrent.magnet(&urls),
            announce_urls: urls.announce,
            private: info.private(),
        }
    }
}
