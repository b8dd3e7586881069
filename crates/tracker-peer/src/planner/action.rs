//! What the planner wants to be done.

use std::net::{IpAddr, SocketAddr};

use peer_wire::PexPeer;
use tracker_core::{InfoHash, PeerId};

use super::Reachability;

/// A connection, or an attempt at one. Never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(super) u64);

#[cfg(test)]
impl ConnectionId {
    /// One that no planner gave.
    pub(crate) const fn for_test(number: u64) -> Self {
        Self(number)
    }
}

/// Something that the planner wants to be done. They are to be carried out in order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Connect by TCP, and shake hands. Answered by exactly one [`Planner::handle_dialled`](super::Planner::handle_dialled),
    /// unless it is [closed](Self::Close) before.
    Dial {
        /// The connection.
        connection: ConnectionId,
        /// The swarm.
        info_hash: InfoHash,
        /// The peer id that is expected. Another one is no error.
        peer_id: PeerId,
        /// The address to connect to. For a client on this machine it is another one than that which it announced.
        to: SocketAddr,
        /// The address of this machine to connect from, with any port.
        from: IpAddr,
        /// The way to shake hands.
        encryption: Encryption,
        /// `true` if this must not be done while the tracker has a peer on this machine in the swarm. The tracker may know of
        /// one of which the planner was not told yet: look immediately before connecting, and answer
        /// [`DialOutcome::Withheld`](super::DialOutcome::Withheld) if there is one.
        only_if_nobody_here: bool,
    },
    /// Connect by TCP, send nothing, and close. Answered by exactly one
    /// [`Planner::handle_probed`](super::Planner::handle_probed).
    Probe {
        /// The attempt.
        connection: ConnectionId,
        /// The swarm.
        info_hash: InfoHash,
        /// The address to connect to.
        to: SocketAddr,
        /// The address of this machine to connect from.
        from: IpAddr,
    },
    /// Send one SYN of the Micro Transport Protocol ([BEP 29](https://www.bittorrent.org/beps/bep_0029.html)), and a RESET if it
    /// is answered; before that the handshake, if that is wanted, and wait for the peer's. Answered by exactly one
    /// [`Planner::handle_utp_probed`](super::Planner::handle_utp_probed).
    ProbeUtp {
        /// The attempt.
        connection: ConnectionId,
        /// The swarm.
        info_hash: InfoHash,
        /// The address to send it to.
        to: SocketAddr,
        /// The address of this machine to send it from.
        from: IpAddr,
        /// Whether to shake hands.
        shakes_hands: bool,
    },
    /// Close a connection, or give up a dial or a probe. Nothing is to be reported of it any more.
    Close {
        /// The connection.
        connection: ConnectionId,
        /// The reason.
        reason: CloseReason,
    },
    /// Tell the peer at the other end of others, by peer exchange if it offers that
    /// ([BEP 11](https://www.bittorrent.org/beps/bep_0011.html)).
    Introduce {
        /// The connection.
        connection: ConnectionId,
        /// Peers to tell of, the most useful first.
        added: Vec<PexPeer>,
        /// Peers that have gone. Some of them this peer may never have been told of.
        dropped: Vec<SocketAddr>,
    },
    /// Ask the peer at the other end for the info dictionary
    /// ([BEP 9](https://www.bittorrent.org/beps/bep_0009.html)). What comes is told by
    /// [`Planner::set_torrent`](super::Planner::set_torrent), or else by
    /// [`ConnectionEvent::MetadataFailed`](super::ConnectionEvent::MetadataFailed).
    RequestMetadata {
        /// The connection.
        connection: ConnectionId,
    },
    /// Tell the tracker whether others can connect to a peer.
    SetReachability {
        /// The swarm.
        info_hash: InfoHash,
        /// The address that the peer is kept under.
        address: SocketAddr,
        /// The peer id that it announced.
        peer_id: PeerId,
        /// Whether others can connect to it, or it is told of each newcomer instead.
        reachability: Reachability,
    },
}

/// A way to shake hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encryption {
    /// The plain handshake ([BEP 3](https://www.bittorrent.org/beps/bep_0003.html)).
    Plain,
    /// Message stream encryption, with RC4 or plain text afterwards as the peer chooses (`crypto_provide` 3).
    Mse,
}

impl Encryption {
    /// The other way.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Plain => Self::Mse,
            Self::Mse => Self::Plain,
        }
    }
}

/// The reason to close a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// A peer on this machine is handed out under the connection's local address, and clients keep one connection per address.
    PeerHere,
    /// The peer left the swarm.
    Left,
    /// There is a connection to this peer already.
    Duplicate,
    /// There are too many connections, and this one is not in the random sample that stays.
    NotSampled,
    /// The network changed, and the peer is not to be dialled any more.
    NetworkChanged,
    /// The peer did not give the info dictionary in a minute.
    SlowMetadata,
}
