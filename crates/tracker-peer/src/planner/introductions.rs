//! Who is told of whom.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::Duration;

use peer_wire::{PexFlags, PexPeer};

use super::connections::Connection;
use super::peer::{Peer, PeerNumber};
use super::{Action, ConnectionId, Planner, Reachability, Reason, Torrent};

/// Peers that one is told of which were there before it was connected. The tracker's answer has named others, and all that come later
/// are told of.
const AT_FIRST: usize = 20;

/// The time until a peer that others may be able to dial is told of one that can be introduced, or of the others when it is connected
/// itself. By then the newcomer has connected to those that its answer named. If one of them dialled the newcomer at the same moment,
/// libtorrent would close both connections and try again after a minute. A peer that nobody can dial is told at once.
const DELAY: Duration = Duration::from_secs(2);

/// A peer can be introduced to others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Introduction {
    /// Its number among the introductions in the swarm, in the order in which they came.
    number: u64,
    /// When it came.
    at: Duration,
}

impl Planner {
    /// Draws the conclusions when something changed that says whether others can connect to a peer: tells the tracker, and tells the
    /// others of the peer.
    ///
    /// Each peer that can be introduced has a number, in the order in which they could be. A connected peer is told of those with a
    /// higher number than the last of which it was told, also if it was not connected when they came. So each is told of each other
    /// once, with one number to remember. A peer that was unreachable for a while gets a new number.
    pub(super) fn update(&mut self, number: PeerNumber) {
        self.tell_tracker(number);
        let peer = &self.peers[&number];
        let (reachability, _) = peer.verdict(self.now);
        let is_introducible = peer.is_dialable(&self.network)
            && match reachability {
                Reachability::Yes => true,
                // A client that is bound to another address does not answer over loopback.
                Reachability::Unknown => peer.location.is_on_this_machine() && peer.is_tried,
                Reachability::No | Reachability::Introduced => false,
            };
        match (is_introducible, peer.introduction) {
            (true, None) => self.introduce(number),
            (false, Some(introduction)) => {
                self.swarm_of(number).introductions.remove(&introduction.number);
                self.peers.get_mut(&number).expect("it is known").introduction = None;
            }
            _ => {}
        }
    }

    /// Tells the tracker whether others can connect to a peer, if that has changed.
    pub(super) fn tell_tracker(&mut self, number: PeerNumber) {
        let reachability = self.told_reachability(&self.peers[&number]);
        let peer = self.peers.get_mut(&number).expect("it is known");
        if peer.told != reachability {
            peer.told = reachability;
            self.actions.push_back(Action::SetReachability {
                info_hash: peer.info_hash,
                address: peer.announced.address,
                peer_id: peer.announced.peer_id,
                reachability,
            });
        }
    }

    /// The reachability of a peer that the tracker is told.
    ///
    /// One that nobody can dial and that is connected is told of each newcomer at once, and connects to it. Meanwhile the newcomer must
    /// not try in vain to dial it, or libtorrent may keep that attempt, refuse the connection, and wait for a minute. That is
    /// certain only of a peer in a network of this machine: to another one a router may be in the way of this machine alone.
    fn told_reachability(&self, peer: &Peer) -> Reachability {
        let is_told_of_newcomers =
            || peer.connection.is_some() && self.swarms[&peer.info_hash].torrent == Torrent::Public;
        match peer.verdict(self.now) {
            (Reachability::No, Some(Reason::Refused | Reason::NoAnswer))
                if is_told_of_newcomers() && self.network.is_adjacent(peer.announced.address.ip()) =>
            {
                Reachability::Introduced
            }
            (reachability, _) => reachability,
        }
    }

    /// Tells a connected peer of those of which it was not told yet: at once if nobody can dial it, since nobody but it can make the
    /// connection, or else when they have had time to dial it.
    pub(super) fn introduce_others(&mut self, connection: ConnectionId) {
        let Connection { peer, tell_at, .. } = self.connections[&connection];
        if self.peers[&peer].verdict(self.now).0 == Reachability::No {
            self.tell_of_others(connection, self.now);
        } else if tell_at.is_none() {
            self.tell_at(connection, Some(self.now + DELAY));
        }
    }

    /// Tells the connected peers for which the time has come.
    pub(super) fn tell_those_due(&mut self) {
        while let Some(&(due, connection)) = self.told_later.first()
            && due <= self.now
        {
            self.tell_of_others(connection, self.now - DELAY);
        }
    }

    /// Sets the time at which a connected peer is told of others, instead of the one that was set before.
    pub(super) fn tell_at(&mut self, connection: ConnectionId, at: Option<Duration>) {
        let tell_at = &mut self.connections.get_mut(&connection).expect("it is connected").tell_at;
        if let Some(before) = std::mem::replace(tell_at, at) {
            self.told_later.remove(&(before, connection));
        }
        self.told_later.extend(at.map(|at| (at, connection)));
    }

    /// Tells a connected peer of those that came until a time and of which it was not told yet, those with everything first, and then in
    /// an order that is another one for each receiver. Of those that come after that time it is told later.
    fn tell_of_others(&mut self, connection: ConnectionId, until: Duration) {
        let Connection { peer: number, since, .. } = self.connections[&connection];
        let receiver = &self.peers[&number];
        let swarm = &self.swarms[&receiver.info_hash];
        let mut told_up_to = receiver.told_up_to;
        let mut next = None;
        // With `true` for those that were there before it was connected.
        let mut others = Vec::new();
        for (&introduction, other) in swarm.introductions.range(told_up_to + 1..) {
            let other = &self.peers[other];
            let at = other.introduction.expect("it is introduced").at;
            if at > until {
                next = Some(at + DELAY);
                break;
            }
            told_up_to = introduction;
            if is_of_use(receiver, other)
                && let Some(pex_peer) = self.pex_peer(receiver, other)
            {
                let order = (Reverse(other.is_complete()), other.rank.0 ^ receiver.rank.0);
                others.push((order, at <= since, pex_peer));
            }
        }
        others.sort_by_key(|&(order, ..)| order);
        let mut at_first = 0..AT_FIRST;
        others.retain(|&(_, was_there, _)| !was_there || at_first.next().is_some());
        let added = others.into_iter().map(|(.., pex_peer)| pex_peer).collect();
        self.peers.get_mut(&number).expect("a connection's peer is known").told_up_to = told_up_to;
        self.tell_at(connection, next);
        self.tell(connection, added, Vec::new());
    }

    /// A peer leaves: those who may have been told of it are told so.
    pub(super) fn withdraw(&mut self, number: PeerNumber) {
        let Some(introduction) = self.peers.get_mut(&number).expect("it is known").introduction.take() else { return };
        self.swarm_of(number).introductions.remove(&introduction.number);
        for (connection, receiver) in self.receivers(number) {
            let address = self.address_for(&self.peers[&receiver], &self.peers[&number]);
            self.tell(connection, Vec::new(), address.into_iter().collect());
        }
    }

    /// A peer can be introduced: tells all who are connected of it.
    fn introduce(&mut self, number: PeerNumber) {
        let at = self.now;
        let swarm = self.swarm_of(number);
        swarm.last_introduction += 1;
        let introduction = Introduction { number: swarm.last_introduction, at };
        swarm.introductions.insert(introduction.number, number);
        self.peers.get_mut(&number).expect("it is known").introduction = Some(introduction);
        for (connection, _) in self.receivers(number) {
            self.introduce_others(connection);
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
            (PexFlags::UTP, peer.evidence.speaks_utp() == Some(true)),
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
