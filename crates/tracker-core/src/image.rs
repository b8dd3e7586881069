//! A swarm that is taken out of one tracker and into another.

use std::net::SocketAddr;
use std::time::Duration;

use crate::entry::Download;
use crate::{InfoHash, PeerId, PeerKey, PeerState, Reachability};

/// A swarm, or some of its peers, taken out of a tracker ([`SwarmSlice::image`](crate::SwarmSlice::image)) so that the same tracker
/// or another one can [take it in](crate::Shards::restore) later.
///
/// It has no times but ages, since the next tracker's clock begins anew. Anything may stand in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwarmImage {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Downloads completed.
    pub completed: u32,
    /// Its peers, or some of them: a large swarm may be taken out and in by several images.
    pub peers: Vec<PeerImage>,
}

/// A peer in a [`SwarmImage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerImage {
    /// Its address as it is handed out; as it announced, if it is on the tracker's own machine.
    pub address: SocketAddr,
    /// Its state.
    pub state: PeerState,
    /// The progress of its download as the tracker saw it, so that each download counts once.
    pub download: DownloadImage,
    /// The time after which it is dropped unless it announces again. Where there are details, these say it.
    pub expires_in: Duration,
    /// Its details, unless the tracker [keeps none](crate::Memory::Lean).
    pub detail: Option<DetailImage>,
}

/// The progress of a peer's download as the tracker saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownloadImage {
    /// It was not seen leeching.
    Unseen,
    /// It was seen leeching, and has not completed.
    Begun,
    /// It has completed, and was counted.
    Counted,
}

impl From<Download> for DownloadImage {
    fn from(download: Download) -> Self {
        match download {
            Download::Unseen => Self::Unseen,
            Download::Begun => Self::Begun,
            Download::Counted => Self::Counted,
        }
    }
}

impl From<DownloadImage> for Download {
    fn from(download: DownloadImage) -> Self {
        match download {
            DownloadImage::Unseen => Self::Unseen,
            DownloadImage::Begun => Self::Begun,
            DownloadImage::Counted => Self::Counted,
        }
    }
}

/// The details of a peer in a [`SwarmImage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetailImage {
    /// Its peer id.
    pub peer_id: PeerId,
    /// Its key.
    pub key: PeerKey,
    /// Bytes uploaded, as it says.
    pub uploaded: u64,
    /// Bytes downloaded, as it says.
    pub downloaded: u64,
    /// Bytes left, if it said so.
    pub left: Option<u64>,
    /// The time since it was first seen.
    pub known_for: Duration,
    /// The time since it announced last.
    pub silent_for: Duration,
    /// The interval that it was told.
    pub interval: Duration,
    /// Whether others can connect to it.
    pub reachability: Reachability,
    /// Its address is one that it claimed, other than the one that it announced from.
    pub is_claimed: bool,
}
