//! What the planner is told.

use std::net::{IpAddr, SocketAddr};

use peer_wire::PexPeer;
use tracker_core::{InfoHash, PeerId, PeerKey, PeerState};

use super::{Encryption, Progress, Reachability};

/// A peer of a swarm, as it announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// The address that it is kept under.
    pub address: SocketAddr,
    /// Its peer id.
    pub peer_id: PeerId,
    /// Its key. Two peers with the same peer id and key are one client with two addresses.
    pub key: PeerKey,
    /// Its download state.
    pub state: PeerState,
    /// `true` if it named this address (`ip=`) and did not announce from it. Such a peer is neither dialled nor told of.
    pub is_claimed: bool,
    /// Its reachability, as the tracker has it. If it has something else than
    /// [`Action::SetReachability`](super::Action::SetReachability) said last, because the peer left and came back, it is told again.
    pub reachability: Reachability,
}

/// What is known of the torrent of a swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Torrent {
    /// Only its info-hash. A peer is asked for the rest. Peers are told of others as in a public torrent: clients that know it to
    /// be private do not offer peer exchange.
    Unknown,
    /// It is public.
    Public,
    /// It is private ([BEP 27](https://www.bittorrent.org/beps/bep_0027.html)): nobody is told of others.
    Private,
}

/// What became of an [`Action::Dial`](super::Action::Dial).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialOutcome {
    /// Both handshakes are done.
    Established {
        /// The peer id of the other end.
        peer_id: PeerId,
    },
    /// TCP connected, and then there was no handshake: the other end closed, or was silent for 10 s.
    NoHandshake,
    /// TCP connected, and the handshake was for another torrent, or our own.
    OtherTorrent,
    /// TCP was refused.
    Refused,
    /// TCP did not connect in 3 s, or no way leads there.
    NoAnswer,
    /// It was not tried: there is a peer on this machine in the swarm, or this machine has no sockets left. Says nothing of the
    /// peer.
    Withheld,
}

/// What became of an [`Action::Probe`](super::Action::Probe).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// TCP connected.
    Connected,
    /// TCP was refused.
    Refused,
    /// TCP did not connect in 3 s, or no way leads there.
    NoAnswer,
    /// It was not tried, since this machine has no sockets left. Says nothing of the peer.
    Withheld,
}

/// What became of an [`Action::ProbeUtp`](super::Action::ProbeUtp).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UtpOutcome {
    /// It shook hands, for this torrent.
    ShookHands,
    /// The SYN was answered with a STATE. It did not shake hands in 1 s, or was not to.
    Answered,
    /// There was another answer, or none in 1 s.
    NoAnswer,
}

/// A connection that a peer made to this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming {
    /// The swarm of its handshake.
    pub info_hash: InfoHash,
    /// The peer id of its handshake.
    pub peer_id: PeerId,
    /// The address that it came from.
    pub remote: IpAddr,
    /// The address of this machine that it came to.
    pub local: IpAddr,
    /// The way it shook hands.
    pub encryption: Encryption,
}

/// The reason not to go on with an [`Incoming`] connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No peer of this address announced in the swarm.
    #[error("no peer of this address has announced in the swarm")]
    Stranger,
    /// The peer is on this machine, and is dialled.
    #[error("peers on this machine are dialled and do not need to connect")]
    SameMachine,
    /// A peer on this machine is handed out under the local address.
    #[error("a peer on this machine is handed out under this address")]
    PeerHere,
    /// All peers of this address have a connection.
    #[error("there is a connection to this peer already")]
    AlreadyConnected,
    /// There are too many connections.
    #[error("too many connections")]
    Full,
}

/// Something that happened on an established connection.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ConnectionEvent<'e> {
    /// The peer's client and version are known: from its extended handshake, or else from its peer id.
    Client {
        /// The name, short and safe to show.
        name: &'e str,
    },
    /// The peer offers the info dictionary.
    MetadataOffered,
    /// The peer did not give the info dictionary, or it was not that of the info-hash.
    MetadataFailed,
    /// The peer has this many pieces.
    Progress(Progress),
    /// The peer tells of others, to which it is connected.
    Pex {
        /// Those that it told of.
        added: &'e [PexPeer],
        /// Those that it is not connected to any more.
        dropped: &'e [SocketAddr],
    },
    /// The connection is closed, by whichever side. Also reported of one that was closed at once because a peer on this machine
    /// announced. The last that is reported of a connection.
    Closed,
}
