//! Decides what the tracker's own peer does.

mod action;
mod attempts;
mod capacity;
mod connections;
mod endpoints;
mod event;
mod evidence;
mod introductions;
mod metadata;
mod neighbours;
mod network;
mod occupancy;
mod peer;
mod rate;
mod schedule;
mod sighting;
mod swarm;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peer_wire::PexFlags;
use rand::{Rng, RngExt};
use tracker_core::{InfoHash, Reachability};

use self::attempts::Attempt;
use self::capacity::{Capacity, Rank, Scope};
use self::connections::Connection;
use self::endpoints::Endpoints;
use self::metadata::MetadataQueue;
use self::neighbours::Neighbours;
use self::peer::{Peer, PeerNumber};
use self::schedule::Schedule;
use self::swarm::Swarm;
pub use action::{Action, CloseReason, ConnectionId, Encryption};
pub use event::{Announced, ConnectionEvent, DialOutcome, Incoming, ProbeOutcome, Refusal, Torrent, UtpOutcome};
pub use network::{Network, Sharing, Source};
pub use sighting::{Edge, Progress, Reason, Sighting};

/// Connections in all, also those that are being dialled. Each takes a socket and up to 8 KiB.
const CONNECTIONS: usize = 2000;

/// Peers that are known at a time, of at most 1 KiB each but for their neighbours. Of those that announce when there are as many
/// nothing is known.
pub(crate) const PEERS: usize = 5_000;

/// Neighbours of all peers together, of about 100 bytes each: as many as those can have that are connected.
const NEIGHBOURS: usize = CONNECTIONS * Neighbours::MOST;

/// The time between two looks at the peers that wait for a connection.
const FILL_INTERVAL: Duration = Duration::from_secs(1);

/// Pairs of peers that cannot reach each other, in one swarm. Nobody reads more.
const PAIRS: usize = 100;

/// Pairs of unreachable peers that are looked at to find those: all of 200 peers, which takes a few milliseconds.
const PAIRS_LOOKED_AT: usize = 20_000;

/// Decides whom the tracker's own peer dials, from which address, by which way and when, what it closes, and whom it introduces to
/// whom. Keeps what is known of each peer.
///
/// It does no I/O and reads no clock. Methods that take `now` take the time since any fixed moment, the same for all. Time that
/// goes back counts as standing still. There are three kinds of method:
///
/// - Inputs change the state: `set_*`, `handle_*`. Any order of them is legal. What is reported of a connection that was closed,
///   or of a peer that left, is ignored.
/// - Outputs say what to do: [`poll_action`](Self::poll_action) after each input until there is none, and
///   [`poll_timeout`](Self::poll_timeout) after that.
/// - Queries: [`sighting`](Self::sighting), [`edges`](Self::edges), [`unreachable_pairs`](Self::unreachable_pairs),
///   [`addresses`](Self::addresses), [`room`](Self::room), [`is_incomplete`](Self::is_incomplete).
///
/// # Never in the way
///
/// Clients keep one connection per address and torrent. If the tracker's own peer were connected to a client from an address under
/// which a client on this machine is handed out, these two could never connect. So in each swarm it uses no address under
/// which a peer on this machine is handed out. Where that leaves no address to dial from, it only connects and closes again, at most
/// once a minute. Peers on this machine are dialled over loopback.
///
/// The planner is told of a peer on this machine as of any other, by [`handle_announce`](Self::handle_announce), and then closes
/// what has to be closed. That comes after the tracker's answer left, so that the adapter has to do three things itself: close all
/// connections of a swarm but those over loopback and from [exclusive](Sharing::Exclusive) addresses when a peer on this machine
/// joins it or moves, before the answer leaves; look before each dial that says so ([`Action::Dial`]), and before it accepts a
/// connection; and note each connection where the first finds it, and then tell of the peers that have announced, before it opens
/// the connection.
///
/// So nothing is in the way of a peer on this machine when it has its answer: a connection was noted before that closed all, or
/// the planner is told of the peer before the connection is opened, and gives it up. For the second peer on this machine in a swarm
/// this holds as long as the planner is told of each that comes: not while there are too many to be known, or too many that come
/// at the same time.
/// Left is a handshake by uTP ([`Action::ProbeUtp`]) that began before the announce, which takes a client with the torrent 20 ms,
/// and 1 s at most.
///
/// # Limits
///
/// 2,000 connections, of them 200 in one swarm; 100 attempts to connect in a second, 50 at once and one to each address; 5,000 peers
/// in all. Where there are more peers than connections, a random sample of them has one, and each newcomer for its first minute.
///
/// Four info dictionaries are fetched at the same time, one in a swarm, and each for a minute at most; the other swarms wait for
/// their turn. Of each peer 200 are kept to which it says that it is connected, and 400,000 in all: when there are more, what was
/// said by those that are not connected is forgotten.
#[derive(Debug)]
pub struct Planner {
    now: Duration,
    network: Network,
    swarms: BTreeMap<InfoHash, Swarm>,
    /// Each in a box: the map's nodes are half empty, since numbers only grow.
    peers: BTreeMap<PeerNumber, Box<Peer>>,
    /// The number of the neighbours of all peers.
    neighbours: usize,
    /// The last number given to a peer, a connection or an attempt.
    last_number: u64,
    /// Attempts by TCP that are under way.
    attempts: BTreeMap<ConnectionId, Attempt>,
    /// Attempts by uTP that are under way.
    utp_probes: BTreeMap<ConnectionId, PeerNumber>,
    /// Established connections.
    connections: BTreeMap<ConnectionId, Connection>,
    /// Those of newcomers, with the time at which they are none any more.
    newcomers: BTreeSet<(Duration, ConnectionId)>,
    /// Those whose peers are told of others later, with the time.
    told_later: BTreeSet<(Duration, ConnectionId)>,
    endpoints: Endpoints,
    schedule: Schedule,
    capacity: Capacity,
    metadata: MetadataQueue,
    /// Swarms in which peers wait for room for a connection.
    crowded: BTreeSet<InfoHash>,
    /// The next look at those.
    fill_at: Option<Duration>,
    /// `true` if a peer on this machine may not be known because there were too many. Then all swarms may have one.
    has_missed_peers_here: bool,
    actions: VecDeque<Action>,
}

impl Planner {
    /// A planner that knows of no peer.
    pub fn new(network: Network) -> Self {
        Self {
            now: Duration::ZERO,
            network,
            swarms: BTreeMap::new(),
            peers: BTreeMap::new(),
            neighbours: 0,
            last_number: 0,
            attempts: BTreeMap::new(),
            utp_probes: BTreeMap::new(),
            connections: BTreeMap::new(),
            newcomers: BTreeSet::new(),
            told_later: BTreeSet::new(),
            endpoints: Endpoints::default(),
            schedule: Schedule::default(),
            capacity: Capacity::new(CONNECTIONS),
            metadata: MetadataQueue::default(),
            crowded: BTreeSet::new(),
            fill_at: None,
            has_missed_peers_here: false,
            actions: VecDeque::new(),
        }
    }

    /// Replaces the machine's addresses. Looks at every peer.
    pub fn set_network(&mut self, now: Duration, network: Network) {
        self.advance(now);
        self.network = network;
        for swarm in self.swarms.values_mut() {
            swarm.occupancy = occupancy::Occupancy::default();
        }
        let numbers: Vec<_> = self.peers.keys().copied().collect();
        for &number in &numbers {
            let peer = self.peers.get_mut(&number).expect("no peer leaves meanwhile");
            let ip = peer.announced.address.ip();
            peer.location = self.network.location_of(ip);
            if peer.location.is_on_this_machine() {
                self.swarms.get_mut(&peer.info_hash).expect("a peer's swarm is known").occupancy.insert(ip);
            }
        }
        for &number in &numbers {
            let peer = &self.peers[&number];
            if peer.is_dialable(&self.network) {
                self.schedule_soon(number);
            } else if !self.network.admits(peer.announced.address.ip()) {
                self.give_up(number, CloseReason::NetworkChanged);
            }
            self.update(number);
        }
        for info_hash in self.swarms.keys().copied().collect::<Vec<_>>() {
            self.clear_the_way(&info_hash);
        }
        self.dispatch();
    }

    /// A peer announced: it joined, is still there, or changed. `torrent` is what is known of the swarm's torrent.
    ///
    /// A peer that moved to another address is told of as one that [left](Self::handle_left) and one that joined.
    pub fn handle_announce(
        &mut self,
        now: Duration,
        rng: &mut impl Rng,
        info_hash: InfoHash,
        torrent: Torrent,
        announced: Announced,
    ) {
        self.advance(now);
        match self.number_of(&info_hash, announced.address) {
            Some(number) if self.peers[&number].is_same_peer(&announced) => {
                let peer = self.peers.get_mut(&number).expect("a peer of a swarm is known");
                peer.announced = announced;
                peer.told = announced.reachability;
                self.update(number);
            }
            other_client => {
                if let Some(number) = other_client {
                    self.remove(number);
                }
                self.insert(Rank(rng.random()), info_hash, announced);
            }
        }
        self.learn(&info_hash, torrent);
        self.dispatch();
    }

    /// Skips a peer that announced when there is no [`room`](Self::room) for it. Returns `false` if there
    /// is room, or one at this address is known already: then tell of it by [`handle_announce`](Self::handle_announce) or
    /// [`handle_left`](Self::handle_left).
    pub fn pass_over(&mut self, info_hash: &InfoHash, address: SocketAddr) -> bool {
        if self.peers.len() < PEERS || self.number_of(info_hash, address).is_some() {
            return false;
        }
        self.has_missed_peers_here |= self.network.location_of(address.ip()).is_on_this_machine();
        true
    }

    /// The peer that was kept under this address left the swarm, or was silent for too long.
    pub fn handle_left(&mut self, now: Duration, info_hash: &InfoHash, address: SocketAddr) {
        self.advance(now);
        if let Some(number) = self.number_of(info_hash, address) {
            self.remove(number);
        }
        self.dispatch();
    }

    /// The tracker forgot the swarm, with all of its peers.
    pub fn handle_swarm_dropped(&mut self, now: Duration, info_hash: &InfoHash) {
        self.advance(now);
        let swarm = self.swarms.get(info_hash);
        let peers: Vec<_> = swarm.into_iter().flat_map(|swarm| swarm.peers.values()).copied().collect();
        // All first, so that nobody is told that the others have gone.
        for &number in &peers {
            self.give_up(number, CloseReason::Left);
        }
        for number in peers {
            self.remove(number);
        }
        self.dispatch();
    }

    /// Sets whether the tracker has peers that it does not tell of, since there is no [`room`](Self::room). Some may be on this machine.
    pub fn set_incomplete(&mut self, is_incomplete: bool) {
        self.has_missed_peers_here = is_incomplete;
    }

    /// Returns `true` if a peer on this machine may not be known, since there was no [`room`](Self::room) for it. It stays so until
    /// the adapter has told of all peers, and [says so](Self::set_incomplete).
    pub fn is_incomplete(&self) -> bool {
        self.has_missed_peers_here
    }

    /// More is known of the torrent of a swarm. What is known already is not forgotten.
    pub fn set_torrent(&mut self, now: Duration, info_hash: &InfoHash, torrent: Torrent) {
        self.advance(now);
        self.learn(info_hash, torrent);
        self.dispatch();
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come, or any other.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.advance(now);
        while let Some(&(end, connection)) = self.newcomers.first()
            && end <= self.now
        {
            self.newcomers.pop_first();
            self.make_evictable(connection);
        }
        if self.fill_at.is_some_and(|at| at <= self.now) {
            self.fill();
        }
        self.end_slow_metadata();
        self.tell_those_due();
        self.dispatch();
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The time at which to call [`handle_timeout`](Self::handle_timeout); `None` if nothing is due at any time.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let newcomer = self.newcomers.first().map(|&(end, _)| end);
        let told = self.told_later.first().map(|&(at, _)| at);
        let timers = [self.schedule.next_time(), newcomer, told, self.fill_at, self.metadata.next_timeout()];
        timers.into_iter().flatten().min()
    }

    /// Returns `true` if a peer of this swarm is known.
    pub fn has_swarm(&self, info_hash: &InfoHash) -> bool {
        self.swarms.contains_key(info_hash)
    }

    /// The addresses under which the known peers of a swarm are kept.
    pub fn addresses(&self, info_hash: &InfoHash) -> Vec<SocketAddr> {
        self.swarms.get(info_hash).into_iter().flat_map(|swarm| swarm.peers.keys()).copied().collect()
    }

    /// The number of peers that can become known. If there is no room, those that announce are ignored.
    pub fn room(&self) -> usize {
        PEERS - self.peers.len()
    }

    /// The number of connections to peers.
    pub fn open_connections(&self) -> usize {
        self.connections.len()
    }

    /// What is known of the peer that is kept under this address.
    pub fn sighting(&self, now: Duration, info_hash: &InfoHash, address: SocketAddr) -> Option<Sighting> {
        let now = now.max(self.now);
        let peer = &self.peers[&self.number_of(info_hash, address)?];
        let (reachability, reason) = peer.verdict(now);
        let is_connected = peer.connection.is_some();
        let connected_until = if is_connected { Some(now) } else { peer.connected_until };
        Some(Sighting {
            reachability,
            reason,
            is_connected,
            age: connected_until.map(|until| now - until),
            peer_id: peer.shook_hands,
            client: peer.client.clone(),
            is_encrypted: peer.is_encrypted,
            speaks_utp: peer.evidence.speaks_utp(),
            progress: peer.progress,
            rate: peer.rate.per_second(now),
        })
    }

    /// The address that the peer of an established connection is kept under.
    pub(crate) fn address_of(&self, connection: ConnectionId) -> Option<SocketAddr> {
        let connection = self.connections.get(&connection)?;
        self.peers.get(&connection.peer).map(|peer| peer.announced.address)
    }

    /// The connections between peers of a swarm, as they told of them in the last ten minutes, and over connections that there are.
    /// For operators only: also names peers that never announced here.
    pub fn edges(&self, now: Duration, info_hash: &InfoHash) -> Vec<Edge> {
        let now = now.max(self.now);
        let peers = self.swarms.get(info_hash).into_iter().flat_map(|swarm| swarm.peers.values());
        let edges = peers.map(|number| &*self.peers[number]).flat_map(|peer| {
            peer.neighbours.iter(now, self.connected_at(peer)).map(|(to, flags)| Edge {
                from: peer.announced.address,
                to,
                is_to_seed: flags.contains(PexFlags::SEED),
            })
        });
        edges.collect()
    }

    /// Pairs of peers of a swarm neither of which can connect to the other, since both are unreachable, and which are not known to
    /// be connected. Those who both have everything do not count. At most 100, and not all of them if there are more than 200 peers
    /// that are unreachable.
    pub fn unreachable_pairs(&self, now: Duration, info_hash: &InfoHash) -> Vec<(SocketAddr, SocketAddr)> {
        let now = now.max(self.now);
        let peers = self.swarms.get(info_hash).into_iter().flat_map(|swarm| swarm.peers.values());
        let is_unreachable = |peer: &&Peer| matches!(peer.verdict(now).1, Some(Reason::Refused | Reason::NoAnswer));
        let unreachable: Vec<_> = peers.map(|number| &*self.peers[number]).filter(is_unreachable).collect();
        let are_connected = |a: &Peer, b: &Peer| a.neighbours.has(now, self.connected_at(a), b.announced.address);
        let pairs = unreachable.iter().enumerate().flat_map(|(index, &one)| {
            let others = &unreachable[index + 1..];
            others.iter().map(move |&other| (one, other))
        });
        let apart = pairs.take(PAIRS_LOOKED_AT).filter(|(one, other)| {
            let have_everything = one.is_complete() && other.is_complete();
            let is_of_use = !have_everything && !one.is_same_client(other);
            is_of_use && !are_connected(one, other) && !are_connected(other, one)
        });
        apart.take(PAIRS).map(|(one, other)| (one.announced.address, other.announced.address)).collect()
    }

    fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
    }

    /// Returns `true` if there are peers of a swarm under this IP address, and a connection to each of them.
    pub fn is_connected_to_all_at(&self, info_hash: &InfoHash, ip: IpAddr) -> bool {
        let Some(swarm) = self.swarms.get(info_hash) else { return false };
        let mut peers = swarm.peers_at(ip).map(|number| &self.peers[&number]).peekable();
        peers.peek().is_some() && peers.all(|peer| peer.connection.is_some())
    }

    fn number_of(&self, info_hash: &InfoHash, address: SocketAddr) -> Option<PeerNumber> {
        self.swarms.get(info_hash)?.peers.get(&address).copied()
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// The peer's swarm.
    fn swarm_of(&mut self, number: PeerNumber) -> &mut Swarm {
        let info_hash = &self.peers[&number].info_hash;
        self.swarms.get_mut(info_hash).expect("a peer's swarm is known")
    }

    fn insert(&mut self, rank: Rank, info_hash: InfoHash, announced: Announced) {
        let address = announced.address;
        if self.pass_over(&info_hash, address) {
            return;
        }
        let location = self.network.location_of(address.ip());
        let number = PeerNumber(self.next_number());
        let peer = Peer::new(self.now, info_hash, announced, location, rank);
        let is_dialable = peer.is_dialable(&self.network);
        self.peers.insert(number, Box::new(peer));
        self.endpoints.insert(address);
        let swarm = self.swarms.entry(info_hash).or_insert_with(|| Swarm::new(Torrent::Unknown));
        swarm.peers.insert(address, number);
        swarm.by_peer_id.insert((announced.peer_id, number));
        self.update(number);
        if location.is_on_this_machine() {
            let is_source = self.network.is_source(address.ip());
            let occupancy = &mut self.swarm_of(number).occupancy;
            let changes_nothing = occupancy.is_crowded(address.ip(), is_source);
            occupancy.insert(address.ip());
            if !changes_nothing {
                self.clear_the_way(&info_hash);
            }
        }
        if is_dialable {
            self.schedule_soon(number);
        }
    }

    fn remove(&mut self, number: PeerNumber) {
        self.give_up(number, CloseReason::Left);
        self.withdraw(number);
        let peer = self.peers.remove(&number).expect("it is removed once");
        self.neighbours -= peer.neighbours.len();
        let (info_hash, address) = (peer.info_hash, peer.announced.address);
        if let Some(probe) = peer.utp_probe {
            self.utp_probes.remove(&probe);
        }
        self.endpoints.remove(address);
        let is_source = self.network.is_source(address.ip());
        let swarm = self.swarms.get_mut(&info_hash).expect("a peer's swarm is known");
        swarm.peers.remove(&address);
        swarm.by_peer_id.remove(&(peer.announced.peer_id, number));
        if swarm.peers.is_empty() {
            self.swarms.remove(&info_hash);
        } else if peer.location.is_on_this_machine() {
            swarm.occupancy.remove(address.ip());
            if !swarm.occupancy.is_crowded(address.ip(), is_source) {
                self.clear_the_way(&info_hash);
            }
        }
    }

    /// Ends all that has to do with connecting to a peer.
    fn give_up(&mut self, number: PeerNumber, reason: CloseReason) {
        self.schedule.cancel(number);
        self.stop_waiting(number);
        if let Some(attempt) = self.peers[&number].attempt {
            self.abandon(attempt, reason);
        }
        if let Some(connection) = self.peers[&number].connection {
            self.close(connection, reason);
        }
    }

    /// The peer does not wait for room for a connection any more.
    fn stop_waiting(&mut self, number: PeerNumber) {
        match self.peers.get_mut(&number).expect("it is known").waiting.take() {
            Some((Scope::Swarm, applicant)) => self.swarm_of(number).capacity.forget(applicant),
            Some((Scope::All, applicant)) => self.capacity.forget(applicant),
            None => {}
        }
    }

    /// Closes what is in the way of peers on this machine, and looks again at all peers of the swarm that can be dialled in another
    /// way than before, since one on this machine joined or left.
    fn clear_the_way(&mut self, info_hash: &InfoHash) {
        let swarm = &self.swarms[info_hash];
        let is_in_the_way = |number: &PeerNumber, local| self.is_occupied(swarm, local, &self.peers[number]);
        let connections = swarm.connections.iter().filter(|connection| {
            let Connection { peer, local, .. } = &self.connections[connection];
            is_in_the_way(peer, *local)
        });
        let connections: Vec<_> = connections.copied().collect();
        let dials = swarm.dials.iter().filter(|dial| {
            let attempt = &self.attempts[dial];
            is_in_the_way(&attempt.peer, attempt.from)
        });
        let dials: Vec<_> = dials.copied().collect();
        let peers: Vec<_> = swarm.peers.values().copied().collect();
        for connection in connections {
            self.close(connection, CloseReason::PeerHere);
        }
        for dial in dials {
            self.abandon(dial, CloseReason::PeerHere);
        }
        for number in peers {
            let peer = &self.peers[&number];
            if !peer.evidence.has_failed() && peer.is_dialable(&self.network) {
                self.schedule_soon(number);
            }
        }
    }

    /// Returns `true` if a peer of the swarm on this machine, beside the one that is dialled, goes out under an address of this machine.
    fn is_occupied(&self, swarm: &Swarm, local: IpAddr, dialled: &Peer) -> bool {
        let except = dialled.address_here();
        let occupancy = &swarm.occupancy;
        if local.is_loopback() {
            // Loopback addresses go out only where there is nothing better.
            !self.network.has_lan_address() && occupancy.has(local, except)
        } else {
            occupancy.has(local, except)
                || self.network.is_shared(local) && occupancy.goes_out_in_family_of(local, except)
        }
    }
}
