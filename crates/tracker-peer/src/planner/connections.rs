//! Established connections.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peer_wire::{PexFlags, PexPeer};
use tracker_core::{InfoHash, PeerId};

use super::neighbours::Neighbours;
use super::network::Location;
use super::peer::{Peer, PeerNumber};
use super::schedule::Urgency;
use super::{
    Action, CloseReason, ConnectionEvent, ConnectionId, Encryption, Incoming, NEIGHBOURS, Planner, Refusal, Torrent,
};

/// The time that a connection lasts which ended as usual: aria2 closes an idle one after 30 s, Transmission after 240 s.
const USUAL: Duration = Duration::from_secs(20);

/// The time after which a peer is dialled again whose connection ended as usual.
const REDIAL: Duration = Duration::from_secs(2);

/// An established connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connection {
    pub(super) peer: PeerNumber,
    /// The address of this machine.
    pub(super) local: IpAddr,
    pub(super) since: Duration,
    /// When its peer is told of others.
    pub(super) tell_at: Option<Duration>,
}

impl Planner {
    /// A peer connected to this machine and shook hands. Report the tracker's events before, so that a peer which connects as soon as
    /// it has its answer is known.
    ///
    /// # Errors
    ///
    /// The connection is to be closed, and why. Nothing more is to be reported of it.
    pub fn handle_accepted(&mut self, now: Duration, incoming: &Incoming) -> Result<ConnectionId, Refusal> {
        self.advance(now);
        let accepted = self.accept(incoming);
        self.dispatch();
        accepted
    }

    /// Something happened on an established connection.
    pub fn handle_event(&mut self, now: Duration, connection: ConnectionId, event: ConnectionEvent<'_>) {
        self.advance(now);
        if let Some(&Connection { peer: number, .. }) = self.connections.get(&connection) {
            self.handle_event_of(number, connection, event);
        }
        self.dispatch();
    }

    /// Refuses an address from which no connection is accepted, whatever its handshake says: for the time before it.
    pub(crate) fn check_remote(&self, remote: IpAddr) -> Result<(), Refusal> {
        if self.network.location_of(remote) == Location::Here {
            return Err(Refusal::SameMachine);
        }
        if self.network.admits(remote) { Ok(()) } else { Err(Refusal::Stranger) }
    }

    /// Returns `true` if a connection from or to this address of the machine must not be opened while the tracker has a peer on this
    /// machine in the swarm: then it is one of which this was not told yet, so that nobody knows whether the address is free.
    pub(crate) fn needs_nobody_here(&self, info_hash: &InfoHash, local: IpAddr) -> bool {
        let swarm = self.swarms.get(info_hash);
        let knows_all_here = swarm.is_some_and(|swarm| !swarm.occupancy.is_empty()) && !self.has_missed_peers_here;
        !local.is_loopback() && !knows_all_here
    }

    /// There is a connection to a peer.
    pub(super) fn connect(
        &mut self,
        connection: ConnectionId,
        number: PeerNumber,
        local: IpAddr,
        encryption: Encryption,
        peer_id: PeerId,
    ) {
        let since = self.now;
        self.connections.insert(connection, Connection { peer: number, local, since, tell_at: None });
        self.swarm_of(number).connections.insert(connection);
        let peer = self.peers.get_mut(&number).expect("a connection's peer is known");
        peer.connection = Some(connection);
        peer.shook_hands = Some(peer_id);
        peer.is_encrypted = encryption == Encryption::Mse;
        self.newcomers.insert((peer.newcomer_until(), connection));
        self.change_neighbours(number, |neighbours| neighbours.expire(since));
        self.introduce_others(connection);
        self.update(number);
    }

    /// Closes a connection.
    pub(super) fn close(&mut self, connection: ConnectionId, reason: CloseReason) {
        self.actions.push_back(Action::Close { connection, reason });
        let number = self.connections[&connection].peer;
        self.disconnect(connection);
        if reason != CloseReason::Left {
            self.tell_tracker(number);
        }
    }

    /// The first minute of a connection's peer is over.
    pub(super) fn make_evictable(&mut self, connection: ConnectionId) {
        let number = self.connections[&connection].peer;
        let rank = self.peers[&number].rank;
        self.swarm_of(number).capacity.make_evictable(rank, connection);
        self.capacity.make_evictable(rank, connection);
    }

    /// The peers of a swarm that are the same client as one of them, which is among them.
    pub(super) fn client_of(&self, peer: &Peer) -> impl Iterator<Item = &Peer> {
        let with_its_id = self.swarms[&peer.info_hash].peers_with_id(peer.announced.peer_id);
        with_its_id.map(|other| &*self.peers[&other]).filter(|other| other.is_same_client(peer))
    }

    /// When the connection to a peer was established, if there is one.
    pub(super) fn connected_at(&self, peer: &Peer) -> Option<Duration> {
        peer.connection.map(|connection| self.connections[&connection].since)
    }

    /// Learns what the torrent of a swarm is.
    pub(super) fn learn(&mut self, info_hash: &InfoHash, torrent: Torrent) {
        if let Some(swarm) = self.swarms.get_mut(info_hash)
            && torrent != Torrent::Unknown
        {
            let has_changed = swarm.torrent != torrent;
            swarm.torrent = torrent;
            self.end_metadata_requests(info_hash);
            if has_changed {
                let connections: Vec<_> = self.swarms[info_hash].connections.iter().copied().collect();
                connections.iter().for_each(|connection| self.tell_tracker(self.connections[connection].peer));
            }
        }
    }

    fn accept(&mut self, incoming: &Incoming) -> Result<ConnectionId, Refusal> {
        let (remote, local) = (incoming.remote.to_canonical(), incoming.local.to_canonical());
        self.check_remote(remote)?;
        let number = self.peer_at(incoming, remote)?;
        let peer = &self.peers[&number];
        if self.is_occupied(&self.swarms[&incoming.info_hash], local, peer) {
            return Err(Refusal::PeerHere);
        }
        self.make_room(number).map_err(|_| Refusal::Full)?;
        self.stop_waiting(number);
        self.take_room(number);
        let connection = ConnectionId(self.next_number());
        self.peers.get_mut(&number).expect("it is known").evidence.meet();
        self.connect(connection, number, local, incoming.encryption, incoming.peer_id);
        if !self.schedule.has(number) && self.peers[&number].attempt.is_none() {
            self.schedule.set(number, self.now, Urgency::Again);
        }
        Ok(connection)
    }

    /// The peer that connected: the one that it says, or else one of its address that has no connection. libtorrent's anonymous mode
    /// has another peer id on each connection.
    fn peer_at(&self, incoming: &Incoming, remote: IpAddr) -> Result<PeerNumber, Refusal> {
        let swarm = self.swarms.get(&incoming.info_hash).ok_or(Refusal::Stranger)?;
        let client_is_connected =
            |number: &PeerNumber| self.client_of(&self.peers[number]).any(|other| other.connection.is_some());
        let mut at_address: Vec<_> =
            swarm.peers_at(remote).filter(|number| !self.peers[number].announced.is_claimed).collect();
        if at_address.is_empty() {
            return Err(Refusal::Stranger);
        }
        let has_its_id = |number: &PeerNumber| self.peers[number].announced.peer_id == incoming.peer_id;
        if at_address.iter().any(has_its_id) {
            at_address.retain(has_its_id);
        }
        at_address.into_iter().find(|number| !client_is_connected(number)).ok_or(Refusal::AlreadyConnected)
    }

    fn handle_event_of(&mut self, number: PeerNumber, connection: ConnectionId, event: ConnectionEvent<'_>) {
        let now = self.now;
        let peer = self.peers.get_mut(&number).expect("a connection's peer is known");
        match event {
            ConnectionEvent::Client { name } => peer.client = Some(name.into()),
            ConnectionEvent::Progress(progress) => {
                peer.rate.update(now, progress.pieces);
                peer.progress = Some(progress);
            }
            ConnectionEvent::Pex { added, dropped } => self.learn_neighbours(number, added, dropped),
            ConnectionEvent::MetadataOffered => {
                if self.swarm_of(number).torrent == Torrent::Unknown {
                    self.metadata_offered(number, connection);
                }
            }
            ConnectionEvent::MetadataFailed => self.metadata_failed(number, connection),
            ConnectionEvent::Closed => self.closed_by_peer(connection),
        }
    }

    fn learn_neighbours(&mut self, number: PeerNumber, added: &[PexPeer], dropped: &[SocketAddr]) {
        let now = self.now;
        // A client tells of as many at most, and what is beyond costs nothing.
        let added = &added[..added.len().min(Neighbours::MOST)];
        self.change_neighbours(number, |neighbours| neighbours.update(now, added, dropped));
        if self.neighbours > NEIGHBOURS {
            for peer in self.peers.values_mut().filter(|peer| peer.connection.is_none()) {
                self.neighbours -= std::mem::take(&mut peer.neighbours).len();
            }
        }
        let info_hash = self.peers[&number].info_hash;
        for neighbour in added.iter().filter(|neighbour| neighbour.flags.contains(PexFlags::REACHABLE)) {
            if let Some(other) = self.number_of(&info_hash, neighbour.address).filter(|&other| other != number) {
                self.peers.get_mut(&other).expect("a peer of a swarm is known").evidence.vouch(now);
                self.update(other);
            }
        }
    }

    fn change_neighbours(&mut self, number: PeerNumber, change: impl FnOnce(&mut Neighbours)) {
        let neighbours = &mut self.peers.get_mut(&number).expect("a connection's peer is known").neighbours;
        self.neighbours -= neighbours.len();
        change(neighbours);
        self.neighbours += neighbours.len();
    }

    /// The connection ended by itself: the peer is dialled again soon if it had lasted, or else later each time.
    fn closed_by_peer(&mut self, connection: ConnectionId) {
        let Connection { peer: number, since, .. } = self.connections[&connection];
        self.disconnect(connection);
        self.tell_tracker(number);
        let peer = self.peers.get_mut(&number).expect("a connection's peer is known");
        let delay = if self.now >= since + USUAL {
            peer.back_off.reset();
            REDIAL
        } else {
            peer.back_off.next()
        };
        self.schedule.set(number, self.now + delay, Urgency::Again);
    }

    fn disconnect(&mut self, connection: ConnectionId) {
        self.tell_at(connection, None);
        let Connection { peer: number, .. } = self.connections.remove(&connection).expect("it is closed once");
        self.release(number, connection);
        let now = self.now;
        let peer = self.peers.get_mut(&number).expect("a connection's peer is known");
        peer.connection = None;
        peer.connected_until = Some(now);
        let newcomer_until = peer.newcomer_until();
        self.change_neighbours(number, |neighbours| neighbours.expire(now));
        self.newcomers.remove(&(newcomer_until, connection));
        self.swarm_of(number).connections.remove(&connection);
        self.forget_metadata(number, connection);
        self.look_at_other_addresses(number);
    }

    /// Looks at the other addresses of a client, which is not connected any more.
    fn look_at_other_addresses(&mut self, number: PeerNumber) {
        let peer = &self.peers[&number];
        let swarm = &self.swarms[&peer.info_hash];
        let others = swarm
            .peers_with_id(peer.announced.peer_id)
            .filter(|other| *other != number && self.peers[other].is_same_client(peer) && !self.schedule.has(*other));
        for other in others.collect::<Vec<_>>() {
            if self.peers[&other].connection.is_none() && self.peers[&other].attempt.is_none() {
                self.schedule.set(other, self.now + REDIAL, Urgency::Again);
            }
        }
    }
}
