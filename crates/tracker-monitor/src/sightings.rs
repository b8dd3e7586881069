//! What the tracker's own peer sees: the interface through which it tells, and the types that it tells with.

#[cfg(test)]
pub(crate) mod fake;

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tracker_core::{InfoHash, Peer};

/// What the tracker's own peer sees of the peers of all swarms.
///
/// The tracker's own peer connects to peers as any client would. So it knows the pieces that each of them has while it gets them,
/// where an announce says it every few minutes, and whether others can connect to it. An embedder implements this, and hands
/// it over as [`ComputersConfig::sightings`](crate::ComputersConfig::sightings).
///
/// All methods return at once: they look something up in a snapshot or under a lock that is held for a moment. They may be called
/// from any thread, and never call back.
pub trait PeerSightings: Debug + Send + Sync {
    /// Appends to `seen` what is known of each of these peers of a swarm, in their order: one entry for each of them, `None` for
    /// one of which nothing is known.
    ///
    /// A peer is told apart by its address and, where there is one, its peer id: what was seen of another client that had the
    /// address before does not count.
    ///
    /// The observer calls it for each slice of a swarm in each sweep: once a second, and less often where there are thousands of peers.
    /// It holds no lock meanwhile.
    fn look(&self, info_hash: &InfoHash, peers: &[Peer], seen: &mut Vec<Option<SeenPeer>>);

    /// The connections between the peers of a swarm, as they told of them by peer exchange
    /// ([BEP 11](https://www.bittorrent.org/beps/bep_0011.html)) in the last ten minutes. Called when somebody looks at a page.
    fn connections(&self, info_hash: &InfoHash) -> Vec<SeenConnection>;

    /// Pairs of peers of a swarm neither of which can connect to the other, and of which at least one does not have everything:
    /// each pair once, at most a hundred. The addresses are those under which the tracker keeps the peers.
    ///
    /// Called in each sweep for each swarm with two or more peers that [cannot be reached](Reachability::No).
    fn unreachable_pairs(&self, info_hash: &InfoHash) -> Vec<(SocketAddr, SocketAddr)>;

    /// What a peer told of a torrent of which only the info-hash was known
    /// ([BEP 9](https://www.bittorrent.org/beps/bep_0009.html)), checked against it; `None` if nothing is known of it.
    ///
    /// Called in each sweep for each swarm of an unknown torrent of whose peers something was seen.
    fn torrent(&self, info_hash: &InfoHash) -> Option<SeenTorrent>;

    /// What the tracker's own peer has sent of a torrent, and whether it seeds it. Called once a second for each torrent that is
    /// shared, and when somebody looks at a page.
    fn seeding(&self, info_hash: &InfoHash) -> SeenSeeding;

    /// The [state](SeenSeeding::state) alone. Called for each torrent of a list.
    fn seeding_state(&self, info_hash: &InfoHash) -> SeedingState;

    /// Returns `true` if the tracker's own peer seeds a torrent, and is connected to every peer of its swarm that is at this
    /// address: then nobody there needs to get it from this machine in another way. By default nobody is served.
    ///
    /// Called for each request of a web seed's client.
    fn serves(&self, _info_hash: &InfoHash, _address: IpAddr) -> bool {
        false
    }

    /// The number of connections that there are now, in all swarms.
    fn open_connections(&self) -> usize;
}

/// What the tracker's own peer does with a torrent, and has sent of it since the program started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenSeeding {
    /// Whether it seeds the torrent, and why not.
    pub state: SeedingState,
    /// Bytes that it has sent in all.
    pub bytes: u64,
    /// The peers that got something, under the addresses under which the tracker keeps them, and the bytes that each got.
    pub to: Vec<(SocketAddr, u64)>,
}

/// Whether the tracker's own peer seeds a torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub enum SeedingState {
    /// It does not: its content is not in the share folder, or is not ready yet.
    #[default]
    NotShared,
    /// It does.
    Seeding,
    /// A client on the tracker's machine has the torrent, and the swarm is left to it: clients keep one connection to an address.
    LocalClient,
    /// The operator has stopped it.
    Stopped,
    /// It does not: a part of the content was found not to be the torrent's, although its files seemed unchanged. Nothing of it is
    /// sent until it is checked again.
    Damaged,
    /// Seeding is switched off for all torrents.
    Off,
}

/// What the tracker's own peer knows of a peer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SeenPeer {
    /// The peer's reachability.
    pub reachability: Reachability,
    /// The reason, where there is something to say.
    pub reason: Option<ReachabilityReason>,
    /// Program and version, as it says itself: any text.
    pub client: Option<Arc<str>>,
    /// How far it is, if it said so since it joined.
    pub progress: Option<SeenProgress>,
}

/// How far a peer is, as the tracker's own peer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SeenProgress {
    /// The number of pieces that it has, also after it was connected to again.
    pub pieces: u32,
    /// The number of pieces of the torrent, if it is known.
    pub of: Option<u32>,
    /// `true` if it has all of them.
    pub is_complete: bool,
    /// The time for which there has been no connection to it; `None` while there is one, so that this is how far it is now.
    pub age: Option<Duration>,
    /// Bytes per second that it gets, on average of the last five seconds; `None` if that is not known, or there is no
    /// connection.
    pub rate: Option<f64>,
}

/// A connection between two peers of a swarm, as one of them told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeenConnection {
    /// The peer that told of it, under the address under which the tracker keeps it.
    pub from: SocketAddr,
    /// The peer that it is connected to. It may never have announced to this tracker.
    pub to: SocketAddr,
    /// `true` if that one has everything.
    pub is_to_seed: bool,
}

/// A torrent of which only the info-hash was known, as a peer told of it. Its text is the torrent's, as it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenTorrent {
    /// Its name.
    pub name: Arc<str>,
    /// Its size in bytes.
    pub size: u64,
    /// The number of its files.
    pub files: usize,
}

/// The reachability of a peer: can others connect to it?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Reachability {
    /// It is not known.
    #[default]
    Unknown,
    /// They can.
    Yes,
    /// They cannot.
    No,
}

/// The reason for the reachability of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub enum ReachabilityReason {
    /// Connections are refused: its client does not listen on its port.
    Refused,
    /// Connections are not answered: a firewall.
    NoAnswer,
    /// Another client than the one that announced answers. Others can connect to it.
    OtherClient,
    /// Its client answers, but does not have this torrent, or has paused it.
    NotThisTorrent,
    /// It accepts only encrypted connections. Others can connect to it if they encrypt, as most do.
    EncryptedOnly,
    /// It answers over UDP only, by the Micro Transport Protocol
    /// ([BEP 29](https://www.bittorrent.org/beps/bep_0029.html)). Others can connect to it if they speak it, as most do.
    UtpOnly,
    /// It is on the tracker's machine, from where it cannot be seen whether others can connect to it.
    SameMachine,
}
