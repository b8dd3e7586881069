//! Who is connected to whom, and who cannot be.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use torrent_library::ContentKey;
use tracker_core::InfoHash;

use super::{Computers, Look};
use crate::ComputerName;
use crate::lesson::{Copy, FileRecord};

/// The connections between the computers that have a file in their BitTorrent clients, as these tell of them.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct ConnectionGraph {
    /// The computers, by address: those with most connections, if there are more than fit.
    pub computers: Vec<ConnectedComputer>,
    /// Pairs of them that are connected, each once, by their places in `computers`, the smaller one first.
    pub connections: Vec<(usize, usize)>,
    /// The number of computers that are left out.
    pub more: usize,
}

/// A computer in a [`ConnectionGraph`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConnectedComputer {
    /// Its address.
    pub address: IpAddr,
    /// Its name, if it has one.
    pub name: Option<ComputerName>,
    /// `true` for this machine.
    pub is_this_machine: bool,
    /// `false` if others are connected to it, and it never announced the file to this tracker.
    pub has_announced: bool,
    /// Its completion, from 0 to 1; `None` if it is not known.
    pub completion: Option<f64>,
    /// The number of computers that it is connected to, those that are left out included.
    pub connections: usize,
}

impl Computers {
    /// Who is connected to whom with the file with this key: at most `limit` computers. A BitTorrent client tells of its
    /// connections once a minute, and some never do. `None` if there is nobody who tells of any.
    ///
    /// Connections to clients that never announced to this tracker are among them, and those to the tracker's own peer are not.
    pub fn connections(&self, key: ContentKey, limit: usize) -> Option<ConnectionGraph> {
        let told = self.told_connections(key);
        let mut graph = self.look(|look| {
            let file = look.file(key)?;
            let is_here = |copy: &Copy| copy.torrent.as_ref().is_some_and(|torrent| torrent.is_here(look.round));
            let clients: BTreeSet<_> =
                file.copies.iter().filter(|(_, copy)| is_here(copy)).map(|(address, _)| *address).collect();
            // This machine has several addresses. Without a client with the file it is the tracker's own peer, which clients may
            // tell of like any other.
            let own_client = clients.iter().copied().find(|&address| look.roster.is_own(address));
            let computer = |address: IpAddr| {
                if look.roster.is_own(address) { own_client } else { Some(look.lesson.known_address(address)) }
            };
            let mut neighbours: BTreeMap<IpAddr, BTreeSet<IpAddr>> = BTreeMap::new();
            for (from, to) in told {
                let computer = |address: SocketAddr| computer(address.ip().to_canonical());
                let (Some(from), Some(to)) = (computer(from), computer(to)) else { continue };
                if from != to {
                    neighbours.entry(from).or_default().insert(to);
                    neighbours.entry(to).or_default().insert(from);
                }
            }
            let is_any = !neighbours.is_empty();
            clients.into_iter().filter_map(computer).for_each(|address| _ = neighbours.entry(address).or_default());
            is_any.then(|| ConnectionGraph::of(look, file, &neighbours, limit))
        })?;
        // Not under the lock: there may be many.
        graph.computers.iter_mut().for_each(|computer| computer.name = self.name(computer.address));
        Some(graph)
    }

    /// Pairs of computers with the file with this key neither of which can connect to the other, each once, by their addresses.
    pub fn unreachable_pairs(&self, key: ContentKey) -> BTreeSet<(IpAddr, IpAddr)> {
        self.swarms(key).iter().flat_map(|info_hash| self.pairs_of_swarm(info_hash)).collect()
    }

    /// Pairs of computers neither of which can connect to the other in a swarm, each once.
    pub(crate) fn pairs_of_swarm(&self, info_hash: &InfoHash) -> BTreeSet<(IpAddr, IpAddr)> {
        let pairs = self.sightings().map(|sightings| sightings.unreachable_pairs(info_hash)).unwrap_or_default();
        let lesson = &self.state().lesson;
        let computer = |address: SocketAddr| lesson.known_address(address.ip().to_canonical());
        let pairs = pairs.into_iter().map(|(a, b)| (computer(a), computer(b)));
        pairs.filter(|(a, b)| a != b).map(|(a, b)| (a.min(b), a.max(b))).collect()
    }

    fn told_connections(&self, key: ContentKey) -> Vec<(SocketAddr, SocketAddr)> {
        let Some(sightings) = self.sightings() else { return Vec::new() };
        let connections = self.swarms(key).into_iter().flat_map(|info_hash| sightings.connections(&info_hash));
        connections.map(|connection| (connection.from, connection.to)).collect()
    }

    /// The swarms of a file.
    fn swarms(&self, key: ContentKey) -> Vec<InfoHash> {
        let info_hash = match key {
            ContentKey::Swarm(info_hash) => Some(info_hash),
            ContentKey::Id(id) => self.contents().info_hash_of(id),
        };
        let Some(info_hash) = info_hash else { return Vec::new() };
        let known = self.library().get(&info_hash);
        let first = known.as_ref().map_or(info_hash, |known| known.info_hash);
        [Some(first), known.and_then(|known| known.second_swarm())].into_iter().flatten().collect()
    }
}

impl ConnectedComputer {
    /// A computer of which nothing more is known.
    pub fn new(address: IpAddr, connections: usize) -> Self {
        Self { address, name: None, is_this_machine: false, has_announced: false, completion: None, connections }
    }
}

impl ConnectionGraph {
    /// The graph of these computers, and of pairs of their places, of which so many more are left out.
    pub fn new(computers: Vec<ConnectedComputer>, connections: Vec<(usize, usize)>, more: usize) -> Self {
        Self { computers, connections, more }
    }

    fn of(look: &Look<'_>, file: &FileRecord, neighbours: &BTreeMap<IpAddr, BTreeSet<IpAddr>>, limit: usize) -> Self {
        let mut shown: Vec<_> = neighbours.iter().collect();
        shown.sort_by_key(|(_, others)| Reverse(others.len()));
        shown.truncate(limit);
        shown.sort_unstable_by_key(|(address, _)| **address);
        let places: BTreeMap<_, _> = shown.iter().enumerate().map(|(place, (address, _))| (**address, place)).collect();
        let of_place = |(place, (_, others)): (usize, &(&IpAddr, &BTreeSet<IpAddr>))| {
            let others = others.iter().filter_map(|other| places.get(other).copied());
            others.filter(|&other| place < other).map(|other| (place, other)).collect::<Vec<_>>()
        };
        let computers = shown.iter().map(|&(&address, others)| {
            let copy = file.copies.get(&address);
            ConnectedComputer {
                is_this_machine: look.roster.is_own(address),
                has_announced: copy.is_some_and(|copy| copy.torrent.is_some()),
                completion: copy.and_then(|copy| copy.completion(file.size)),
                ..ConnectedComputer::new(address, others.len())
            }
        });
        Self {
            computers: computers.collect(),
            connections: shown.iter().enumerate().flat_map(of_place).collect(),
            more: neighbours.len() - shown.len(),
        }
    }
}
