//! The rows of the lists of torrents and peers, and the orders of these lists.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracker_core::{InfoHash, Instant, SwarmCounts};

use super::{Completion, PeerStuckReason, StuckReason};
use crate::{Reachability, ReachabilityReason};

/// A torrent that is known, or has a swarm.
#[derive(Debug, Clone, PartialEq)]
pub struct TorrentRow {
    /// Its info-hash.
    pub info_hash: InfoHash,
    /// Its name, if its .torrent is known or a peer gave its info dictionary.
    pub name: Option<Arc<str>>,
    /// Its size in bytes, if its .torrent is known or a peer gave its info dictionary.
    pub size: Option<u64>,
    /// The number of its files, if its .torrent is known or a peer gave its info dictionary.
    pub file_count: Option<usize>,
    /// Its peers and completed downloads. Seeders that may have a magnet link only count as leechers, and leechers that are seen to
    /// have everything as seeders, as of the last look at them; a scrape has them as they announce.
    pub counts: SwarmCounts,
    /// The number of its peers whose announce is overdue.
    pub silent: u32,
    /// The average completion of its peers, from 0 to 1, without those that do not report it; `None` if no peer does or the size
    /// is unknown.
    pub completion: Option<f64>,
    /// Bytes per second that its peers download: as they are seen, or else between their last two announces, those that are overdue left out.
    /// What a peer did that has all it wants counts for as long as it took, and at least 5 s.
    pub download_rate: f64,
    /// The time of the last announce of any of its peers.
    pub last_seen: Option<Instant>,
    /// Why its downloads do not get on, if they do not.
    pub stuck: Option<StuckReason>,
}

/// The order of a list of torrents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum TorrentSort {
    /// By name, those without one by info-hash after all others.
    #[default]
    Name,
    /// By size.
    Size,
    /// By seeders.
    Seeders,
    /// By leechers.
    Leechers,
    /// By completed downloads.
    Completed,
    /// By average completion.
    Completion,
    /// By download rate.
    DownloadRate,
}

/// A peer of a torrent.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerRow {
    /// Its address and port.
    pub address: SocketAddr,
    /// The [host name](tracker_host::host_name) of its address, if it is known.
    pub host: Option<Arc<str>>,
    /// Program and version, as it says to the tracker's own peer or by its peer id; `None` where the tracker does not keep it.
    pub client: Option<String>,
    /// Its current status.
    pub status: PeerStatus,
    /// Why its download is stuck, if it is.
    pub stuck: Option<PeerStuckReason>,
    /// Its completion: as it is seen, or as it announced if that is newer. `None` if it is not seen and does not report it, the
    /// size of the torrent is unknown, or it may have no more than a magnet link.
    pub completion: Option<Completion>,
    /// Bytes that it still wants, if it knows.
    pub left: Option<u64>,
    /// Bytes uploaded, as it says.
    pub uploaded: Option<u64>,
    /// Bytes downloaded, as it says.
    pub downloaded: Option<u64>,
    /// Bytes per second between its last two announces; `None` when there was only one, it was started again since, it is
    /// silent, or the tracker was stopped since.
    pub upload_rate: Option<f64>,
    /// Bytes per second of the last five seconds while it is seen, or else between its last two announces, likewise; `None` also
    /// some seconds after a peer has got all it wants.
    pub download_rate: Option<f64>,
    /// Whether others can connect to it.
    pub reachability: Reachability,
    /// The reason for that, where there is something to say.
    pub reason: Option<ReachabilityReason>,
    /// The time of its first announce.
    pub first_seen: Option<Instant>,
    /// The time of its last announce, from which all figures are that are not seen.
    pub last_seen: Option<Instant>,
    /// The time at which its next announce is expected: after the interval that it was given, or after that of its program if
    /// that is longer.
    pub next_expected: Option<Instant>,
}

/// A peer's current status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum PeerStatus {
    /// It wants more.
    #[default]
    Downloading,
    /// It has all that it wants, but not everything.
    Partial,
    /// It has everything.
    Seeding,
    /// Its announce is overdue by more than a minute and a tenth of the interval, and it is not seen either.
    Silent,
}

/// The order of a list of peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum PeerSort {
    /// By address.
    #[default]
    Address,
    /// By client.
    Client,
    /// By state.
    State,
    /// By completion.
    Completion,
    /// By download rate.
    DownloadRate,
    /// By upload rate.
    UploadRate,
    /// By last announce.
    LastSeen,
}
