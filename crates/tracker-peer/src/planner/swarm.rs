//! One swarm, as the planner knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use tracker_core::PeerId;

use super::capacity::Capacity;
use super::metadata::MetadataRequests;
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
