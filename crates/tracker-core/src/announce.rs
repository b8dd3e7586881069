//! An announce: what is asked, what is answered, what is refused.

use std::net::IpAddr;
use std::time::Duration;

use crate::{InfoHash, PeerId, PeerKey};

/// What happened to the peer, as its client says ([BEP 3](https://www.bittorrent.org/beps/bep_0003.html)).
///
/// A regular announce has none, and an unknown event counts as none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnnounceEvent {
    /// The client starts on this torrent.
    Started,
    /// The last byte has just come in.
    Completed,
    /// The client leaves.
    Stopped,
    /// It has all it wants but not everything: a partial seed ([BEP 21](https://www.bittorrent.org/beps/bep_0021.html)).
    Paused,
}

/// One announce, as an adapter hands it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnounceRequest {
    /// Which swarm.
    pub info_hash: InfoHash,
    /// Who the client says it is.
    pub peer_id: PeerId,
    /// Its key, [`PeerKey::NONE`] when it sends none.
    pub key: PeerKey,
    /// Where the request came from: the other end of the connection, or what a trusted proxy says it was.
    pub remote: IpAddr,
    /// By which address of the tracker's machine it came: this end of the connection.
    pub local: IpAddr,
    /// The address the client claims to have (`ip=`). Honoured only from
    /// [trusted networks](crate::Config::trusted_networks), and only when it can be one.
    pub claimed_ip: Option<IpAddr>,
    /// Where the client listens. 0 says nowhere: it is counted, and never handed out.
    pub port: u16,
    /// Bytes uploaded since `started`, as the client counts.
    pub uploaded: u64,
    /// Bytes downloaded since `started`, as the client counts.
    pub downloaded: u64,
    /// Bytes the client still wants; `None` where it does not say, which counts as leeching.
    pub left: Option<u64>,
    /// What happened, if anything.
    pub event: Option<AnnounceEvent>,
    /// How many peers the client wants, [`Config::default_numwant`](crate::Config::default_numwant) when it does not say.
    pub numwant: Option<u32>,
    /// Which peers the answer can carry.
    pub families: Families,
    /// Whether the answer shows who the peers say they are. Most do not, and looking that up takes time.
    pub peer_ids: bool,
}

/// Families of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Families {
    /// IPv4 and IPv6.
    Both,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Families {
    /// Whether the address is of one of them.
    pub const fn contain(self, address: IpAddr) -> bool {
        match self {
            Self::Both => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// The answer to an announce, beside the peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnounceResponse {
    /// When to announce again, in whole seconds.
    pub interval: Duration,
    /// How long to wait at least, in whole seconds.
    pub min_interval: Duration,
    /// Peers that have everything, the asker included.
    pub seeders: u32,
    /// Peers that have not, partial seeds and the asker included.
    pub leechers: u32,
    /// Downloads completed since the swarm is known.
    pub completed: u32,
    /// Something the user of the client should know.
    pub warning: Option<Warning>,
    /// The asker's address, when it is a public one ([BEP 24](https://www.bittorrent.org/beps/bep_0024.html)).
    pub external_ip: Option<IpAddr>,
}

/// Something the user of a client should know, though the announce was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// An IPv6 link-local address means nothing to another machine without a scope, which the protocol cannot carry.
    #[error(
        "you announced from a link-local IPv6 address, which the tracker cannot give to others: \
         use an announce URL with the tracker's IPv4 address"
    )]
    LinkLocalAddress,
    /// Several clients announce from the address of a [gateway](crate::Config::gateways): they are behind it, and others
    /// that dial the address reach the gateway.
    #[error(
        "several clients reach the tracker under one address, {address}, which is that of a router or a container bridge, \
         so that others cannot connect to them: give containers the network of their host"
    )]
    SharedAddress {
        /// The address.
        address: IpAddr,
    },
}

/// Why an announce was refused.
///
/// The texts are fit for the user of a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnounceError {
    /// The address is outside of what [`Config::access`](crate::Config::access) admits.
    #[error("this tracker does not serve {address}: it is set up for other networks")]
    AddressNotAllowed {
        /// The asker's address.
        address: IpAddr,
    },
    /// There is an allow list, and the torrent is not on it (yet).
    #[error("this torrent is not registered with this tracker")]
    TorrentNotAllowed,
    /// The torrent is on the deny list.
    #[error("this torrent is not allowed on this tracker")]
    TorrentDenied,
    /// The swarm would be one too many.
    #[error("the tracker is full: it serves {limit} torrents already")]
    TooManySwarms {
        /// [`Config::max_swarms`](crate::Config::max_swarms).
        limit: usize,
    },
    /// The peer would be one too many for its swarm.
    #[error("this torrent is full: it has {limit} peers already")]
    SwarmFull {
        /// [`Config::max_peers_per_swarm`](crate::Config::max_peers_per_swarm).
        limit: usize,
    },
    /// The peer would be one too many for the tracker.
    #[error("the tracker is full: it serves {limit} peers already")]
    TooManyPeers {
        /// [`Config::max_peers`](crate::Config::max_peers).
        limit: usize,
    },
}

impl AnnounceError {
    /// Whether the same announce will be refused until the operator changes the tracker's settings. Otherwise it is worth
    /// trying again soon: places become free, and torrents are registered after they were first announced.
    pub const fn is_permanent(&self) -> bool {
        matches!(self, Self::AddressNotAllowed { .. } | Self::TorrentDenied)
    }
}
