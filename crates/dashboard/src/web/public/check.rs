//! How a viewer checks a copy: the SHA-256 of the files.

use torrent_library::{Content, Digest};

use super::offers::{Offer, TorrentOf};
use crate::web::Dashboard;
use crate::web::format::counted;

/// The maximum number of files of a folder whose digests are shown.
const SHOWN: usize = 200;

/// The digests of an offer, as far as they are known.
pub(super) enum Check {
    /// That of a single file.
    File(String),
    /// Those of a folder's files.
    Files {
        files: Vec<Digest>,
        /// The number of those that are not shown.
        more: Option<String>,
    },
    Computing,
    /// They are computed after the torrent is made.
    Preparing,
    /// No torrent could be made of it.
    Never,
    /// This machine does not have the content.
    NotHere,
}

impl Check {
    pub(super) fn of(dashboard: &Dashboard, offer: &Offer, content: Option<&Content>) -> Self {
        let info_hash = match &offer.torrent {
            TorrentOf::Known(torrent) => torrent.info_hash,
            // What is there twice leads to the page of the other.
            TorrentOf::Waiting | TorrentOf::Hashing(_) | TorrentOf::Other(_) => return Self::Preparing,
            TorrentOf::Failed => return Self::Never,
        };
        let digests = dashboard.config().digests.as_ref().and_then(|digests| digests.of(&info_hash));
        let Some(mut files) = digests else {
            return if content.is_some() { Self::Computing } else { Self::NotHere };
        };
        if offer.files.is_none() {
            return files.pop().and_then(|digest| digest.sha256).map_or(Self::Computing, Self::File);
        }
        let more = offer.files.unwrap_or(0).saturating_sub(SHOWN);
        files.truncate(SHOWN);
        Self::Files { files, more: (more > 0).then(|| counted(more as u64, "more file")) }
    }
}
