//! Established connections.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peer_wire::{PexFlags, PexPeer};
use tracker_core::{InfoHash, PeerId};

use super::network::Location;
use super::peer::{Peer, PeerNumber};
use super::schedule::Urgency;
use super::swarm::MetadataRequests;
use super::{Action, CloseReason, ConnectionEvent, ConnectionId, Encryption, Incoming, Planner, Refusal, Torrent};

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
    since: Duration,
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
        self.connections.insert(connection, Connection { peer: number, local, since });
        self.swarm_of(number).connections.insert(connection);
        let peer = self.peers.get_mut(&number).expect("a connection's peer is known");
        peer.connection = Some(connection);
        peer.shook_hands = Some(peer_id);
        peer.is_encrypted = encryption == Encryption::Mse;
        peer.neighbours.expire(since);
        self.newcomers.insert((peer.newcomer_until(), connection));
        self.introduce_others(connection);
        self.update(number);
        self.mark_changed(number);
    }

    /// Closes a connection.
    pub(super) fn close(&mut self, connection: ConnectionId, reason: CloseReason) {
        self.actions.push_back(Action::Close { connection, reason });
        self.disconnect(connection);
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
        with_its_id.map(|other| &self.peers[&other]).filter(|other| other.is_same_client(peer))
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
            swarm.torrent = torrent;
            swarm.metadata = MetadataRequests::default();
        }
    }

    fn accept(&mut self, incoming: &Incoming) -> Result<ConnectionId, Refusal> {
        let (remote, local) = (incoming.remote.to_canonical(), incoming.local.to_canonical());
        if self.network.location_of(remote) == Location::Here {
            return Err(Refusal::SameMachine);
        }
        if !self.network.admits(remote) {
            return Err(Refusal::Stranger);
        }
        let number = self.peer_at(incoming, remote)?;
        let peer = &self.peers[&number];
        if self.is_occupied(&self.swarms[&incoming.info_hash], local, peer) {
            return Err(Refusal::PeerHere);
        }
        self.make_room(number).map_err(|_| Refusal::Full)?;
        self.stop_waiting(number);
        self.take_room(number);
        let connection = ConnectionId(self.next_number());
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
                let failures = peer.metadata_failures;
                let swarm = self.swarm_of(number);
                if swarm.torrent == Torrent::Unknown {
                    swarm.metadata.offer(failures, connection);
                }
                self.request_metadata(number);
                return;
            }
            ConnectionEvent::MetadataFailed => {
                if self.swarm_of(number).metadata.fail(connection) {
                    self.metadata_failed(number);
                }
                return;
            }
            ConnectionEvent::Closed => return self.closed_by_peer(connection),
        }
        self.mark_changed(number);
    }

    fn learn_neighbours(&mut self, number: PeerNumber, added: &[PexPeer], dropped: &[SocketAddr]) {
        let now = self.now;
        let peer = self.peers.get_mut(&number).expect("a connection's peer is known");
        for &address in dropped {
            peer.neighbours.remove(address);
        }
        for &neighbour in added {
            peer.neighbours.insert(now, neighbour);
        }
        let info_hash = peer.info_hash;
        for neighbour in added.iter().filter(|neighbour| neighbour.flags.contains(PexFlags::REACHABLE)) {
            if let Some(other) = self.number_of(&info_hash, neighbour.address).filter(|&other| other != number) {
                self.peers.get_mut(&other).expect("a peer of a swarm is known").evidence.vouch(now);
                self.update(other);
            }
        }
    }

    fn metadata_failed(&mut self, number: PeerNumber) {
        let peer = self.peers.get_mut(&number).expect("a connection's peer is known");
        peer.metadata_failures = peer.metadata_failures.saturating_add(1);
        self.request_metadata(number);
    }

    /// Asks the next peer of the swarm for the info dictionary, unless one is being asked.
    fn request_metadata(&mut self, number: PeerNumber) {
        if let Some(connection) = self.swarm_of(number).metadata.next() {
            self.actions.push_back(Action::RequestMetadata { connection });
        }
    }

    /// The connection ended by itself: the peer is dialled again soon if it had lasted, or else later each time.
    fn closed_by_peer(&mut self, connection: ConnectionId) {
        let Connection { peer: number, since, .. } = self.connections[&connection];
        self.disconnect(connection);
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
        let Connection { peer: number, .. } = self.connections.remove(&connection).expect("it is closed once");
        self.release(number, connection);
        let now = self.now;
        let peer = self.peers.get_mut(&number).expect("a connection's peer is known");
        peer.connection = None;
        peer.connected_until = Some(now);
        peer.neighbours.expire(now);
        let (newcomer_until, failures) = (peer.newcomer_until(), peer.metadata_failures);
        self.newcomers.remove(&(newcomer_until, connection));
        let swarm = self.swarm_of(number);
        swarm.connections.remove(&connection);
        if swarm.metadata.forget(failures, connection) {
            self.metadata_failed(number);
        }
        self.look_at_other_addresses(number);
        self.mark_changed(number);
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
