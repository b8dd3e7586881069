//! What is known of torrents.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tracker_core::InfoHash;

use crate::Content;

/// Knows torrents. The embedder implements it, for instance with its .torrent files.
///
/// Methods are called on the thread of the tracker's own peer, which waits for them: they must not block for longer than it takes
/// to look something up.
pub trait Torrents: fmt::Debug + Send + Sync {
    /// What is known of the torrent with this info-hash.
    fn facts(&self, info_hash: &InfoHash) -> Option<TorrentFacts>;

    /// The bencoded info dictionary of the torrent with this info-hash, to be given to peers that have only a magnet link
    /// ([BEP 9](https://www.bittorrent.org/beps/bep_0009.html)). One of more than 8 MiB is not given. Called for each connection, so
    /// that it should return a clone of what is shared. By default none is given.
    fn info(&self, _info_hash: &InfoHash) -> Option<Bytes> {
        None
    }

    /// The content of the torrent with this info-hash, to be seeded; `None` if it is not there to be seeded. Called for each swarm
    /// when [`content_version`](Self::content_version) has changed. By default there is none.
    fn content(&self, _info_hash: &InfoHash) -> Option<Arc<dyn Content>> {
        None
    }

    /// A number that changes whenever [`content`](Self::content) may return something else than before. Called once a second.
    fn content_version(&self) -> u64 {
        0
    }

    /// A peer gave the info dictionary of a torrent of which only the info-hash was known. `info` is bencoded, at most 8 MiB, and
    /// its digest is the info-hash; but nothing else of it was checked. Returns what it says, if it can be used.
    fn learn(&self, info_hash: &InfoHash, info: Bytes) -> Option<TorrentFacts>;
}

/// What a connection has to know of a torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TorrentFacts {
    /// The number of its pieces; 0 if that is not known.
    pub piece_count: u32,
    /// `true` if peers are not to be told of others ([BEP 27](https://www.bittorrent.org/beps/bep_0027.html)).
    pub is_private: bool,
}

impl TorrentFacts {
    pub(crate) fn for_planner(facts: Option<Self>) -> crate::Torrent {
        match facts {
            None => crate::Torrent::Unknown,
            Some(Self { is_private: true, .. }) => crate::Torrent::Private,
            Some(Self { is_private: false, .. }) => crate::Torrent::Public,
        }
    }
}

/// What a connection is told of a torrent.
pub(crate) fn for_connection(torrents: &dyn Torrents, info_hash: &InfoHash) -> peer_wire::Torrent {
    let mut torrent = peer_wire::Torrent::default();
    if let Some(TorrentFacts { piece_count, is_private }) = torrents.facts(info_hash) {
        torrent = torrent.with_privacy(is_private);
        if piece_count > 0 {
            torrent = torrent.with_piece_count(piece_count);
        }
    }
    match torrents.info(info_hash) {
        Some(info) => torrent.with_info(info),
        None => torrent,
    }
}
