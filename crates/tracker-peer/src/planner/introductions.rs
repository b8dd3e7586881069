//! Who is told of whom.

use std::cmp::Reverse;
use std::net::SocketAddr;

use peer_wire::{PexFlags, PexPeer};

use super::peer::{Peer, PeerNumber};
use super::{Action, ConnectionId, Planner, Reachability, Torrent};

/// Peers that one is told of when it is connected. The tracker's answer has named others, and all that come later are told of.
const AT_FIRST: usize = 20;

impl Planner {
    /// Draws the conclusions when something changed that says whether others can connect to a peer: tells the tracker, and tells the
    /// others of the peer.
    ///
    /// Each peer that can be introduced has a number, in the order in which they could be. A connected peer is told of each that gets
    /// one. One that connects (again) is told of those with a higher number than the last of which it was told. So each is told of
    /// each other once, with one number to remember. A peer that was unreachable for a while gets a new number.
    pub(super) fn update(&mut self, number: PeerNumber) {
        let peer = self.peers.get_mut(&number).expect("it is known");
        let (reachability, _) = peer.verdict(self.now);
        if peer.told != reachability {
            peer.told = reachability;
            self.actions.push_back(Action::SetReachability {
                info_hash: peer.info_hash,
                address: peer.announced.address,
                peer_id: peer.announced.peer_id,
                reachability,
            });
        }
        let peer = &self.peers[&number];
        let is_introducible = peer.is_dialable(&self.network)
            && match reachability {
                Reachability::Yes => true,
                // A client that is bound to another address does not answer over loopback.
                Reachability::Unknown => peer.location.is_on_this_machine() && peer.is_tried,
                Reachability::No => false,
            };
        match (is_introducible, peer.introduction) {
            (true, None) => self.introduce(number),
            (false, Some(introduction)) => {
                self.swarm_of(number).introductions.remove(&introduction);
                self.peers.get_mut(&number).expect("it is known").introduction = None;
            }
            _ => {}
        }
        self.mark_changed(number);
    }

    /// Tells a peer that is connected now of the others, those with everything first, and then in an order that is another one for
    /// each receiver.
    pub(super) fn introduce_others(&mut self, connection: ConnectionId) {
        let receiver = &self.peers[&self.connections[&connection].peer];
        let swarm = &self.swarms[&receiver.info_hash];
        let others = swarm.introductions.range(receiver.told_up_to + 1..).map(|(_, other)| &self.peers[other]);
        let mut others: Vec<_> = others.filter(|other| is_of_use(receiver, other)).collect();
        others.sort_by_key(|other| (Reverse(other.is_complete()), other.rank.0 ^ receiver.rank.0));
        let added = others.into_iter().filter_map(|other| self.pex_peer(receiver, other)).take(AT_FIRST).collect();
        let number = self.connections[&connection].peer;
        let last = swarm.last_introduction;
        self.peers.get_mut(&number).expect("a connection's peer is known").told_up_to = last;
        self.tell(connection, added, Vec::new());
    }

    /// A peer leaves: those who may have been told of it are told so.
    pub(super) fn withdraw(&mut self, number: PeerNumber) {
        let Some(introduction) = self.peers.get_mut(&number).expect("it is known").introduction.take() else { return };
        self.swarm_of(number).introductions.remove(&introduction);
        for (connection, receiver) in self.receivers(number) {
            let address = self.address_for(&self.peers[&receiver], &self.peers[&number]);
            self.tell(connection, Vec::new(), address.into_iter().collect());
        }
    }

    /// Tells all who are connected of a peer.
    fn introduce(&mut self, number: PeerNumber) {
        let swarm = self.swarm_of(number);
        swarm.last_introduction += 1;
        let introduction = swarm.last_introduction;
        swarm.introductions.insert(introduction, number);
        self.peers.get_mut(&number).expect("it is known").introduction = Some(introduction);
        for (connection, receiver) in self.receivers(number) {
            self.peers.get_mut(&receiver).expect("a connection's peer is known").told_up_to = introduction;
            let (receiver, peer) = (&self.peers[&receiver], &self.peers[&number]);
            let added = self.pex_peer(receiver, peer).filter(|_| is_of_use(receiver, peer));
            self.tell(connection, added.into_iter().collect(), Vec::new());
        }
    }

    /// The connections of a swarm, with their peers, but that to this one.
    fn receivers(&self, number: PeerNumber) -> Vec<(ConnectionId, PeerNumber)> {
        let connections = self.swarms[&self.peers[&number].info_hash].connections.iter();
        let receivers = connections.map(|connection| (*connection, self.connections[connection].peer));
        receivers.filter(|(_, receiver)| *receiver != number).collect()
    }

    fn tell(&mut self, connection: ConnectionId, added: Vec<PexPeer>, dropped: Vec<SocketAddr>) {
        let is_empty = added.is_empty() && dropped.is_empty();
        if !is_empty && self.swarm_of(self.connections[&connection].peer).torrent != Torrent::Private {
            self.actions.push_back(Action::Introduce { connection, added, dropped });
        }
    }

    /// A peer as a receiver is told of it.
    fn pex_peer(&self, receiver: &Peer, peer: &Peer) -> Option<PexPeer> {
        let flags = [
            (PexFlags::ENCRYPTION, peer.evidence.prefers_encryption()),
            (PexFlags::SEED, peer.is_complete()),
            (PexFlags::UTP, peer.evidence.speaks_utp == Some(true)),
            (PexFlags::REACHABLE, peer.verdict(self.now).0 == Reachability::Yes),
        ];
        let set = flags.into_iter().filter(|&(_, is_set)| is_set);
        let flags = set.fold(PexFlags::default(), |flags, (flag, _)| flags.with(flag));
        self.address_for(receiver, peer).map(|address| PexPeer { address, flags })
    }

    fn address_for(&self, receiver: &Peer, peer: &Peer) -> Option<SocketAddr> {
        let address = peer.announced.address;
        let ip = self.network.address_for(receiver.announced.address.ip(), address.ip())?;
        Some(SocketAddr::new(ip, address.port()))
    }
}

/// Returns `true` if a receiver has any use for a peer: it is not the same client, and not both have everything. A client that has
/// only a magnet link announces as if it had, so that what was seen counts.
fn is_of_use(receiver: &Peer, peer: &Peer) -> bool {
    let have_everything = receiver.is_seen_complete() && peer.is_seen_complete();
    !have_everything && !receiver.is_same_client(peer)
}
