//! The peers of an answer.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use rand::Rng;

use crate::address_group::OwnNetworks;
use crate::sample::Sample;
use crate::{AddressGroup, PeerId};

/// The peers that an announce hands out.
///
/// The embedder keeps one for all announces of a thread: each empties and fills it, and its memory is used again. Inside,
/// peers stand as they go out, so that a compact answer ([BEP 23](https://www.bittorrent.org/beps/bep_0023.html)) is a copy.
///
/// ```
/// use tracker_core::Peers;
///
/// let peers = Peers::default();
/// assert!(peers.is_empty());
/// assert_eq!(peers.v4().as_flattened(), b"");
/// ```
#[derive(Debug, Default)]
pub struct Peers {
    v4: Vec<[u8; 6]>,
    v6: Vec<[u8; 18]>,
    /// Of the IPv4 peers; empty where they were not asked for, or are not known.
    v4_ids: Vec<PeerId>,
    /// Of the IPv6 peers, likewise.
    v6_ids: Vec<PeerId>,
    sample: Sample,
    /// Peers outside of the preferred subnet, for when there are too few in it.
    others: Vec<PeerEntry>,
    /// Peers of whose address, or network, there were enough already.
    crowd: Vec<PeerEntry>,
    /// The number of peers by address, where some address has many.
    by_group: HashMap<AddressGroup, usize, FixedState>,
    /// The number of peers in each of this machine's own networks.
    by_network: Vec<usize>,
    /// The number of peers in `crowd` of whose network there were enough, of those that are drawn now.
    crowded_networks: usize,
    /// The addresses under which peers on the tracker's machine were handed out.
    here: HashSet<SocketAddr, FixedState>,
}

/// A peer that is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerEntry {
    /// The address at which the asker can reach it. The port is never 0 or 1.
    pub address: SocketAddr,
    /// Its peer id, where the announce [asked for it](crate::AnnounceRequest::peer_ids) and the tracker
    /// [keeps it](crate::Config::memory).
    pub peer_id: Option<PeerId>,
}

impl Peers {
    /// The IPv4 peers: the four bytes of the address, then the port, big-endian.
    pub fn v4(&self) -> &[[u8; 6]] {
        &self.v4
    }

    /// The IPv6 peers: the sixteen bytes of the address, then the port, big-endian.
    pub fn v6(&self) -> &[[u8; 18]] {
        &self.v6
    }

    /// The number of peers.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Returns `true` if there are no peers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, IPv4 first.
    pub fn iter(&self) -> impl Iterator<Item = PeerEntry> {
        let v4 = self.v4.iter().enumerate().map(|(position, &[a, b, c, d, high, low])| PeerEntry {
            address: SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low]))),
            peer_id: self.v4_ids.get(position).copied(),
        });
        let v6 = self.v6.iter().enumerate().map(|(position, &[ref ip @ .., high, low])| PeerEntry {
            address: SocketAddr::from((*ip, u16::from_be_bytes([high, low]))),
            peer_id: self.v6_ids.get(position).copied(),
        });
        v4.chain(v6)
    }

    /// Forgets them, and keeps the memory.
    pub fn clear(&mut self) {
        self.others.clear();
        self.crowd.clear();
        self.by_group.clear();
        self.by_network.clear();
        self.crowded_networks = 0;
        self.here.clear();
        self.v4.clear();
        self.v6.clear();
        self.v4_ids.clear();
        self.v6_ids.clear();
    }

    /// One more. Either all have a peer id or none has.
    pub fn push(&mut self, peer: PeerEntry) {
        let (ids, port) = (peer.peer_id, peer.address.port().to_be_bytes());
        match peer.address.ip() {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                self.v4.push([a, b, c, d, port[0], port[1]]);
                self.v4_ids.extend(ids);
            }
            IpAddr::V6(ip) => {
                let mut entry = [0; 18];
                entry[..16].copy_from_slice(&ip.octets());
                entry[16..].copy_from_slice(&port);
                self.v6.push(entry);
                self.v6_ids.extend(ids);
            }
        }
    }
}

/// Methods for the selection of peers.
impl Peers {
    /// Makes room for so many more that are wanted of so many candidates, and so many to be put back.
    pub(crate) fn start(&mut self, candidates: usize, wanted: usize, others: usize) {
        self.others.clear();
        self.crowded_networks = 0;
        self.v4.reserve(wanted.min(candidates));
        self.v6.reserve(wanted.min(candidates));
        self.others.reserve(others);
    }

    /// Makes room for so many more peers of crowded addresses and networks.
    pub(crate) fn expect_crowd(&mut self, peers: usize) {
        self.crowd.reserve(peers);
    }

    /// Starts to draw from so many candidates, so many times.
    pub(crate) fn draw_from(&mut self, candidates: usize, draws: usize) {
        self.sample.start(candidates, draws);
    }

    /// Starts to draw from so many candidates, so many times, neighbours together.
    pub(crate) fn draw_runs_from(&mut self, candidates: usize, draws: usize, rng: &mut impl Rng) {
        self.sample.start_in_runs(candidates, draws, rng);
    }

    /// The number of a candidate that was not drawn before.
    pub(crate) fn draw(&mut self, rng: &mut impl Rng) -> Option<usize> {
        self.sample.draw(rng)
    }

    pub(crate) fn push_v4(&mut self, compact: [u8; 6]) {
        self.v4.push(compact);
    }

    pub(crate) fn push_v6(&mut self, compact: [u8; 18]) {
        self.v6.push(compact);
    }

    /// Returns `true` if no other peer on this machine was handed out under this address.
    pub(crate) fn is_first_here(&mut self, address: SocketAddr) -> bool {
        self.here.insert(address)
    }

    /// Returns `true` if there is a peer at this address, handed out or put back.
    pub(crate) fn contains(&self, address: SocketAddr) -> bool {
        let mut all = self.iter().chain(self.others.iter().copied()).chain(self.crowd.iter().copied());
        all.any(|peer| peer.address == address)
    }

    /// Counts one more of a group. Returns `false` instead if there are as many as `most`.
    pub(crate) fn count_of_group(&mut self, group: AddressGroup, most: usize) -> bool {
        let count = self.by_group.entry(group).or_default();
        let is_allowed = *count < most;
        *count += usize::from(is_allowed);
        is_allowed
    }

    /// Counts one more of the own network of this number. Returns `false` instead if there are as many as `most`.
    /// Those that were handed out before the first is counted are counted then.
    pub(crate) fn count_of_network(&mut self, network: usize, most: usize, own: &OwnNetworks) -> bool {
        if self.by_network.is_empty() {
            self.by_network.resize(OwnNetworks::MOST, 0);
            for [ip @ .., _, _] in &self.v6 {
                if let Some(network) = own.number_of(Ipv6Addr::from(*ip)) {
                    self.by_network[network] += 1;
                }
            }
        }
        let is_allowed = self.by_network[network] < most;
        self.by_network[network] += usize::from(is_allowed);
        self.crowded_networks += usize::from(!is_allowed);
        is_allowed
    }

    /// The number of peers that were counted in the own network of this number.
    pub(crate) fn of_network(&self, network: usize) -> usize {
        self.by_network.get(network).copied().unwrap_or(0)
    }

    /// The number of peers that were put back since the start, because there were enough of their network.
    pub(crate) fn crowded_networks(&self) -> usize {
        self.crowded_networks
    }

    /// Keeps a peer for when there are not enough others.
    pub(crate) fn put_back(&mut self, peer: PeerEntry) {
        self.others.push(peer);
    }

    /// Keeps a peer for when there is nobody else.
    pub(crate) fn put_back_crowd(&mut self, peer: PeerEntry) {
        self.crowd.push(peer);
    }

    /// Takes one of those that were put back.
    pub(crate) fn next_other(&mut self) -> Option<PeerEntry> {
        self.others.pop()
    }

    /// The number of peers that were kept for the end.
    pub(crate) fn in_crowd(&self) -> usize {
        self.crowd.len()
    }

    /// Adds those of crowded addresses, until there are as many as wanted.
    pub(crate) fn fill_up_with_crowd(&mut self, wanted: usize) {
        let missing = wanted.saturating_sub(self.len()).min(self.crowd.len());
        for position in 0..missing {
            self.push(self.crowd[position]);
        }
    }
}

impl Extend<PeerEntry> for Peers {
    fn extend<T: IntoIterator<Item = PeerEntry>>(&mut self, peers: T) {
        peers.into_iter().for_each(|peer| self.push(peer));
    }
}
