//! One peer of a swarm.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::interval::Intervals;
use crate::{AnnounceEvent, AnnounceRequest, Instant, PeerId, PeerKey};

/// What a peer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerState {
    /// Not everything yet.
    Leecher,
    /// All it wants, but not everything ([BEP 21](https://www.bittorrent.org/beps/bep_0021.html)).
    PartialSeed,
    /// Everything.
    Seeder,
}

impl PeerState {
    /// What an announce says of the state of its sender. `completed` makes a seeder whatever `left` says: some clients send
    /// it with a wrong one, or with none.
    pub(crate) fn announced(event: Option<AnnounceEvent>, left: Option<u64>) -> Self {
        match (event, left) {
            (Some(AnnounceEvent::Completed), _) | (_, Some(0)) => Self::Seeder,
            (Some(AnnounceEvent::Paused), _) => Self::PartialSeed,
            _ => Self::Leecher,
        }
    }
}

/// A peer as the tracker knows it: a copy to look at, in events and snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Where it is: the address it announced from, and the port it listens on.
    pub address: SocketAddr,
    /// What it has.
    pub state: PeerState,
    /// What else is known of it.
    pub detail: Option<PeerDetail>,
}

/// What is known of a peer beside where it is and what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerDetail {
    /// Who it says it is.
    pub peer_id: PeerId,
    /// Its key.
    pub key: PeerKey,
    /// Bytes uploaded since it started, as it counts.
    pub uploaded: u64,
    /// Bytes downloaded since it started, as it counts.
    pub downloaded: u64,
    /// Bytes it still wants; `None` when it does not say.
    pub left: Option<u64>,
    /// When its first announce came.
    pub first_seen: Instant,
    /// When its last announce came.
    pub last_seen: Instant,
    /// When it was told to announce again: so long after that.
    pub interval: Duration,
    /// When it is dropped unless it announces again.
    pub expires: Instant,
}

/// A peer as a swarm keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
    pub(crate) state: PeerState,
    pub(crate) download: Download,
    pub(crate) peer_id: PeerId,
    pub(crate) key: PeerKey,
    uploaded: u64,
    downloaded: u64,
    left: Option<u64>,
    first_seen: Instant,
    last_seen: Instant,
    interval: Duration,
    pub(crate) expires: Instant,
}

/// How far the tracker saw the peer's download, so that each counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Download {
    /// It was never seen leeching.
    Unseen,
    /// It was seen leeching.
    Begun,
    /// It was counted as completed.
    Counted,
}

impl Entry {
    pub(crate) fn new(ip: IpAddr, request: &AnnounceRequest, now: Instant, intervals: &Intervals) -> Self {
        let state = PeerState::announced(request.event, request.left);
        Self {
            ip,
            port: request.port,
            state,
            download: if state == PeerState::Leecher { Download::Begun } else { Download::Unseen },
            peer_id: request.peer_id,
            key: request.key,
            uploaded: request.uploaded,
            downloaded: request.downloaded,
            left: request.left,
            first_seen: now,
            last_seen: now,
            interval: intervals.interval,
            expires: now + intervals.timeout,
        }
    }

    /// Carries over what is known of the same peer from an earlier announce. Says whether its download is completed now.
    pub(crate) fn continue_from(&mut self, earlier: &Self) -> bool {
        self.first_seen = earlier.first_seen;
        let completed = earlier.download == Download::Begun && self.state == PeerState::Seeder;
        self.download = match earlier.download {
            _ if completed => Download::Counted,
            Download::Unseen => self.download,
            seen => seen,
        };
        completed
    }

    pub(crate) fn is_client(&self, ip: IpAddr, peer_id: PeerId, key: PeerKey) -> bool {
        self.ip == ip && self.peer_id == peer_id && self.key == key
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }

    pub(crate) fn last_seen(&self) -> Instant {
        self.last_seen
    }

    pub(crate) fn peer(&self) -> Peer {
        Peer {
            address: self.address(),
            state: self.state,
            detail: Some(PeerDetail {
                peer_id: self.peer_id,
                key: self.key,
                uploaded: self.uploaded,
                downloaded: self.downloaded,
                left: self.left,
                first_seen: self.first_seen,
                last_seen: self.last_seen,
                interval: self.interval,
                expires: self.expires,
            }),
        }
    }
}
