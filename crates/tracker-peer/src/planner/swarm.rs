//! One swarm, as the planner knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use tracker_core::PeerId;

use super::capacity::Capacity;
use super::occupancy::Occupancy;
use super::peer::PeerNumber;
use super::{ConnectionId, Torrent};

/// Connections in one swarm, also those that are being dialled. More would not show more of how a swarm is doing, and each peer
/// of a large one would be told of by hundreds.
const CONNECTIONS: usize = 200;

/// Addresses of one client: some of IPv6 beside the one of IPv4. What has more is no client.
const ADDRESSES: usize = 8;

/// A swarm.
#[derive(Debug)]
pub(super) struct Swarm {
    pub(super) torrent: Torrent,
    /// By the address that each is kept under.
    pub(super) peers: BTreeMap<SocketAddr, PeerNumber>,
    /// By peer id, to find the other addresses of a client.
    pub(super) by_peer_id: BTreeSet<(PeerId, PeerNumber)>,
    pub(super) occupancy: Occupancy,
    pub(super) capacity: Capacity,
    /// The connections that are being dialled.
    pub(super) dials: BTreeSet<ConnectionId>,
    /// The established connections.
    pub(super) connections: BTreeSet<ConnectionId>,
    /// The peers that others are told of, in the order in which they could be.
    pub(super) introductions: BTreeMap<u64, PeerNumber>,
    /// The highest number that was given to one of them.
    pub(super) last_introduction: u64,
    pub(super) metadata: MetadataRequests,
}

impl Swarm {
    pub(super) fn new(torrent: Torrent) -> Self {
        Self {
            torrent,
            peers: BTreeMap::new(),
            by_peer_id: BTreeSet::new(),
            occupancy: Occupancy::default(),
            capacity: Capacity::new(CONNECTIONS),
            dials: BTreeSet::new(),
            connections: BTreeSet::new(),
            introductions: BTreeMap::new(),
            last_introduction: 0,
            metadata: MetadataRequests::default(),
        }
    }

    /// The peers that are kept under an address, with any port.
    pub(super) fn peers_at(&self, ip: IpAddr) -> impl Iterator<Item = PeerNumber> {
        let range = SocketAddr::new(ip, 0)..=SocketAddr::new(ip, u16::MAX);
        self.peers.range(range).map(|(_, &peer)| peer)
    }

    /// The first peers with a peer id.
    pub(super) fn peers_with_id(&self, peer_id: PeerId) -> impl Iterator<Item = PeerNumber> {
        let range = (peer_id, PeerNumber(0))..=(peer_id, PeerNumber(u64::MAX));
        self.by_peer_id.range(range).map(|&(_, peer)| peer).take(ADDRESSES)
    }
}

/// Asks one peer at a time for the info dictionary: those first who failed least often.
#[derive(Debug, Default)]
pub(super) struct MetadataRequests {
    asked: Option<ConnectionId>,
    /// Connections by which it is offered and was not asked for, by the failures of the peer.
    offers: BTreeSet<(u8, ConnectionId)>,
}

impl MetadataRequests {
    /// It is offered.
    pub(super) fn offer(&mut self, failures: u8, connection: ConnectionId) {
        if self.asked != Some(connection) {
            self.offers.insert((failures, connection));
        }
    }

    /// The peer that was asked did not give it. Returns `false` if it was not asked.
    pub(super) fn fail(&mut self, connection: ConnectionId) -> bool {
        self.asked.take_if(|asked| *asked == connection).is_some()
    }

    /// The connection is gone. Says whether it had been asked by it.
    pub(super) fn forget(&mut self, failures: u8, connection: ConnectionId) -> bool {
        self.offers.remove(&(failures, connection));
        self.fail(connection)
    }

    /// The next to ask, if nobody is being asked.
    pub(super) fn next(&mut self) -> Option<ConnectionId> {
        if self.asked.is_some() {
            return None;
        }
        let (_, connection) = self.offers.pop_first()?;
        self.asked = Some(connection);
        self.asked
    }
}
