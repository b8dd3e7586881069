//! What is known of a peer.

use std::net::SocketAddr;
use std::time::Duration;

use tracker_core::{PeerId, Reachability};

/// The reason for a peer's reachability, where there is something to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// TCP is refused: nothing listens on the port.
    Refused,
    /// TCP is not answered: a firewall, or the machine is off.
    NoAnswer,
    /// Another peer id than the announced one answered. It is reachable.
    OtherClient,
    /// The client is running, but does not have this torrent, or has paused it: it accepts TCP and closes without a handshake.
    NotThisTorrent,
    /// Only encrypted connections are accepted. It is reachable for all clients that speak that, which most do.
    EncryptedOnly,
    /// Only the Micro Transport Protocol is answered. It is reachable for all clients that speak that, which most do.
    UtpOnly,
    /// It is on this machine, where a connection does not show that others can connect to it.
    SameMachine,
}

/// What the tracker's own peer knows of a peer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sighting {
    /// The peer's reachability.
    pub reachability: Reachability,
    /// The reason, where there is something to say.
    pub reason: Option<Reason>,
    /// `true` while there is a connection to it.
    pub is_connected: bool,
    /// The time since there was a connection to it: zero while there is one, `None` if there never was.
    pub age: Option<Duration>,
    /// The peer id that it shook hands with.
    pub peer_id: Option<PeerId>,
    /// Its client and version.
    pub client: Option<Box<str>>,
    /// `true` if the last handshake with it was encrypted.
    pub is_encrypted: bool,
    /// `true` if it answers the Micro Transport Protocol, `None` if that was not tried: only when TCP was refused or not answered.
    pub speaks_utp: Option<bool>,
    /// The pieces that it has, as of `age`.
    pub progress: Option<Progress>,
    /// Pieces that it got per second, over the last 5 s.
    pub rate: f64,
}

/// The pieces that a peer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Their number.
    pub pieces: u32,
    /// The number of pieces of the torrent, if it is known.
    pub of: Option<u32>,
    /// `true` if it has all of them.
    pub is_complete: bool,
}

/// A connection between two peers, as one of them said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    /// The peer that said so, under the address that it is kept under.
    pub from: SocketAddr,
    /// The peer that it is connected to. It may never have announced here.
    pub to: SocketAddr,
    /// `true` if the other one has everything.
    pub is_to_seed: bool,
}
