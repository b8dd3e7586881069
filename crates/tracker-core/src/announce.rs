//! An announce: what is asked, what is answered, what is refused.

use std::net::IpAddr;
use std::time::Duration;

use crate::access::AllowAdvice;
use crate::{InfoHash, PeerId, PeerKey, SwarmCounts, UserKey};

/// An event in the life of a peer, as its client reports it ([BEP 3](https://www.bittorrent.org/beps/bep_0003.html)).
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
///
/// [`new`](Self::new) takes what every announce says, and the `with_` methods take the rest. A v4-mapped IPv6 address counts as
/// the IPv4 address in it.
///
/// ```
/// use tracker_core::{AnnounceEvent, AnnounceRequest, InfoHash, PeerId};
///
/// let peer_id = PeerId::new(*b"-XX0001-aaaaaaaaaaaa");
/// let (remote, local) = ([192, 168, 1, 20].into(), [192, 168, 1, 1].into());
/// let request = AnnounceRequest::new(InfoHash::new([7; 20]), peer_id, remote, local, 6881)
///     .with_event(AnnounceEvent::Started)
///     .with_left(50_000_000);
/// assert_eq!((request.left, request.numwant), (Some(50_000_000), None));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnnounceRequest {
    /// The swarm.
    pub info_hash: InfoHash,
    /// The client's name for itself.
    pub peer_id: PeerId,
    /// The client's key; [`PeerKey::NONE`] when it sends none.
    pub key: PeerKey,
    remote: IpAddr,
    local: IpAddr,
    claimed_ip: Option<IpAddr>,
    /// The port that the client listens on. 0 and 1 mean that it does not listen (libtorrent says 1 behind a proxy): it is
    /// counted, and never handed out. An announce of a client that is known with a port leaves it that port.
    pub port: u16,
    /// Bytes uploaded since `started`, as the client counts.
    pub uploaded: u64,
    /// Bytes downloaded since `started`, as the client counts.
    pub downloaded: u64,
    /// Bytes the client still wants; `None` where it does not say, which counts as leeching. More than [`i64::MAX`] counts as
    /// not said: no torrent is that large, and some clients say `u64::MAX` while they do not know.
    pub left: Option<u64>,
    /// The event, if there is one.
    pub event: Option<AnnounceEvent>,
    /// The number of peers that the client wants, [`Config::default_numwant`](crate::Config::default_numwant) when it does not
    /// say.
    pub numwant: Option<u32>,
    /// The number of peers that the answer has room for; `None` where it has room for any number.
    pub room: Option<u32>,
    /// The families of addresses that the answer can carry.
    pub families: Families,
    /// The key of a user, where the tracker is for [users](crate::Config::users).
    pub user_key: Option<UserKey>,
    /// `true` if the answer is to have the peers' ids. Most have not, and looking them up takes time.
    pub peer_ids: bool,
}

impl AnnounceRequest {
    /// A regular announce of a client that does not say more than this.
    ///
    /// `remote` is where the request came from: the other end of the connection, or what a trusted proxy says it was. `local` is
    /// the address of the tracker's machine that it came to: this end of the connection. `port` is where the client listens,
    /// which is not the port that the request came from.
    pub fn new(info_hash: InfoHash, peer_id: PeerId, remote: IpAddr, local: IpAddr, port: u16) -> Self {
        Self {
            info_hash,
            peer_id,
            key: PeerKey::NONE,
            remote: remote.to_canonical(),
            local: local.to_canonical(),
            claimed_ip: None,
            port,
            uploaded: 0,
            downloaded: 0,
            left: None,
            event: None,
            numwant: None,
            room: None,
            families: Families::Both,
            user_key: None,
            peer_ids: false,
        }
    }

    /// The address that the request came from, never v4-mapped.
    pub const fn remote(&self) -> IpAddr {
        self.remote
    }

    /// The address of the tracker's machine that the request came to, never v4-mapped.
    pub const fn local(&self) -> IpAddr {
        self.local
    }

    /// The address that the client claims to have (`ip=`), never v4-mapped. It counts from
    /// [trusted networks](crate::Config::trusted_networks) only, and only where a client can have such an address.
    pub const fn claimed_ip(&self) -> Option<IpAddr> {
        self.claimed_ip
    }

    /// Sets [`user_key`](Self::user_key).
    #[must_use]
    pub fn with_user_key(self, user_key: Option<UserKey>) -> Self {
        Self { user_key, ..self }
    }

    /// Sets [`info_hash`](Self::info_hash).
    #[must_use]
    pub fn with_info_hash(self, info_hash: InfoHash) -> Self {
        Self { info_hash, ..self }
    }

    /// Sets [`peer_id`](Self::peer_id).
    #[must_use]
    pub fn with_peer_id(self, peer_id: PeerId) -> Self {
        Self { peer_id, ..self }
    }

    /// Sets [`key`](Self::key).
    #[must_use]
    pub fn with_key(self, key: PeerKey) -> Self {
        Self { key, ..self }
    }

    /// Sets [`remote`](Self::remote).
    #[must_use]
    pub fn with_remote(self, remote: IpAddr) -> Self {
        Self { remote: remote.to_canonical(), ..self }
    }

    /// Sets [`local`](Self::local).
    #[must_use]
    pub fn with_local(self, local: IpAddr) -> Self {
        Self { local: local.to_canonical(), ..self }
    }

    /// Sets [`claimed_ip`](Self::claimed_ip).
    #[must_use]
    pub fn with_claimed_ip(self, claimed_ip: Option<IpAddr>) -> Self {
        Self { claimed_ip: claimed_ip.map(|ip| ip.to_canonical()), ..self }
    }

    /// Sets [`port`](Self::port).
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Sets [`uploaded`](Self::uploaded).
    #[must_use]
    pub fn with_uploaded(self, uploaded: u64) -> Self {
        Self { uploaded, ..self }
    }

    /// Sets [`downloaded`](Self::downloaded).
    #[must_use]
    pub fn with_downloaded(self, downloaded: u64) -> Self {
        Self { downloaded, ..self }
    }

    /// Sets [`left`](Self::left).
    #[must_use]
    pub fn with_left(self, left: impl Into<Option<u64>>) -> Self {
        Self { left: left.into(), ..self }
    }

    /// Sets [`event`](Self::event).
    #[must_use]
    pub fn with_event(self, event: impl Into<Option<AnnounceEvent>>) -> Self {
        Self { event: event.into(), ..self }
    }

    /// Sets [`numwant`](Self::numwant).
    #[must_use]
    pub fn with_numwant(self, numwant: impl Into<Option<u32>>) -> Self {
        Self { numwant: numwant.into(), ..self }
    }

    /// Sets [`room`](Self::room).
    #[must_use]
    pub fn with_room(self, room: impl Into<Option<u32>>) -> Self {
        Self { room: room.into(), ..self }
    }

    /// Sets [`families`](Self::families).
    #[must_use]
    pub fn with_families(self, families: Families) -> Self {
        Self { families, ..self }
    }

    /// Sets [`peer_ids`](Self::peer_ids).
    #[must_use]
    pub fn with_peer_ids(self, peer_ids: bool) -> Self {
        Self { peer_ids, ..self }
    }
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
    /// Returns `true` if the address is of one of them.
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
#[non_exhaustive]
pub struct AnnounceResponse {
    /// The time until the next announce, in whole seconds.
    pub interval: Duration,
    /// The shortest time until the next announce, in whole seconds.
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

impl AnnounceResponse {
    /// An answer without a warning and an external address: what an adapter's own tests encode.
    pub fn new(interval: Duration, min_interval: Duration, counts: SwarmCounts) -> Self {
        let SwarmCounts { seeders, leechers, completed, .. } = counts;
        Self { interval, min_interval, seeders, leechers, completed, warning: None, external_ip: None }
    }
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
    #[error("this tracker does not serve {address}: its operator can allow that with {}", AllowAdvice(*address))]
    AddressNotAllowed {
        /// The asker's address.
        address: IpAddr,
    },
    /// [`Config::clients`](crate::Config::clients) does not admit the address.
    #[error("this tracker does not serve {address}: its operator has a list of addresses that does not admit it")]
    AddressDenied {
        /// The asker's address, or the one that it [claims to have](AnnounceRequest::claimed_ip).
        address: IpAddr,
    },
    /// [`Config::clients`](crate::Config::clients) does not admit the peer id.
    #[error("this tracker does not serve this client or version ({}): use another one", client_name(*peer_id))]
    ClientDenied {
        /// The peer id of the client.
        peer_id: PeerId,
    },
    /// The tracker is for its users, and the announce has no key, or one that is not valid any more.
    #[error("this announce URL is not valid: get the .torrent again")]
    UnknownUser,
    /// The user is at as many other addresses as may be.
    #[error(
        "the user's limit of addresses at the same time ({limit}) is reached: stop the clients at another one first"
    )]
    TooManyAddresses {
        /// [`UserRule::max_addresses`](crate::UserRule::max_addresses).
        limit: u32,
    },
    /// The user is in as many other torrents as may be.
    #[error("the user's limit of torrents at the same time ({limit}) is reached: stop another one first")]
    TooManyTorrents {
        /// [`UserRule::max_torrents`](crate::UserRule::max_torrents).
        limit: u32,
    },
    /// There is an allow list, and the torrent is not on it (yet).
    #[error("this torrent is not registered with this tracker")]
    TorrentNotAllowed,
    /// The torrent is on the deny list.
    #[error("this torrent is not allowed on this tracker")]
    TorrentDenied,
    /// The swarm would be one too many, and no address holds more than the sender's would.
    #[error("the tracker is full: it serves {limit} torrents already")]
    TooManySwarms {
        /// [`Config::max_swarms`](crate::Config::max_swarms).
        limit: usize,
    },
    /// The peer would be one too many for its swarm, and no address holds more of it than the sender's would.
    #[error("this torrent is full: it has {limit} peers already")]
    SwarmFull {
        /// [`Config::max_peers_per_swarm`](crate::Config::max_peers_per_swarm).
        limit: usize,
    },
    /// The peer would be one too many for the tracker, and no address holds more than the sender's would.
    #[error("the tracker is full: it serves {limit} peers already")]
    TooManyPeers {
        /// [`Config::max_peers`](crate::Config::max_peers).
        limit: usize,
    },
}

impl AnnounceError {
    /// Returns `true` if the same announce will be refused until the operator changes the tracker's settings. Otherwise it is
    /// worth trying again soon: places become free, and torrents are registered after they were first announced.
    pub const fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::AddressNotAllowed { .. }
                | Self::AddressDenied { .. }
                | Self::ClientDenied { .. }
                | Self::TorrentDenied
        )
    }
}

/// The part of a peer id that names the client and its version, by convention.
fn client_name(peer_id: PeerId) -> String {
    const LEN: usize = 8;
    peer_id.as_bytes()[..LEN].escape_ascii().to_string()
}
