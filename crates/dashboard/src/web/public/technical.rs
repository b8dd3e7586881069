//! What those want to know who know BitTorrent.

use torrent_library::KnownTorrent;

use super::offers::{Offer, TorrentOf};
use super::viewer::Viewer;
use crate::web::Dashboard;
use crate::web::format::{count, pieces};

/// The technical details of an offer.
pub(super) struct Technical {
    /// In bytes.
    pub(super) size: String,
    pub(super) torrent: Option<TorrentDetails>,
}

/// Those of its torrent.
pub(super) struct TorrentDetails {
    pub(super) pieces: String,
    pub(super) info_hash: String,
    /// Of a hybrid.
    pub(super) info_hash_v2: Option<String>,
    pub(super) magnet: String,
    pub(super) announce_urls: Vec<String>,
    pub(super) private: bool,
}

impl Technical {
    pub(super) fn of(dashboard: &Dashboard, viewer: Viewer, offer: &Offer) -> Self {
        let torrent = match &offer.torrent {
            TorrentOf::Known(torrent) => Some(TorrentDetails::of(dashboard, viewer, torrent)),
            _ => None,
        };
        Self { size: format!("{} bytes", count(offer.size)), torrent }
    }
}

impl TorrentDetails {
    fn of(dashboard: &Dashboard, viewer: Viewer, torrent: &KnownTorrent) -> Self {
        let urls = dashboard.urls_for(viewer.reached_at, torrent);
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
