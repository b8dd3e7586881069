//! A swarm to look at.

use std::net::SocketAddr;
use std::ops::Range;

use super::Swarm;
use crate::peer::Member;
use crate::rules::Rules;
use crate::{Instant, Peer, SwarmCounts, SwarmImage, address};

/// The peers of one torrent, to look at.
#[derive(Debug, Clone, Copy)]
pub struct SwarmView<'t> {
    swarm: &'t Swarm,
    rules: &'t Rules,
}

impl<'t> SwarmView<'t> {
    pub(crate) fn new(swarm: &'t Swarm, rules: &'t Rules) -> Self {
        Self { swarm, rules }
    }

    /// Its counts, peers that are not handed out included.
    pub fn counts(&self) -> SwarmCounts {
        self.swarm.counts()
    }

    /// Number of peers.
    pub fn len(&self) -> usize {
        self.swarm.len()
    }

    /// Returns `true` if it has no peers: it is remembered for its completed downloads only.
    pub fn is_empty(&self) -> bool {
        self.swarm.is_empty()
    }

    /// The peer at this [address](Peer::address). Of those that do not [listen](Peer::is_listening) there may be several; it is one
    /// of them then.
    pub fn peer(&self, address: SocketAddr) -> Option<Peer> {
        self.member(address).map(|member| member.peer(&self.rules.lifetimes))
    }

    fn member(&self, address: SocketAddr) -> Option<Member> {
        let Self { swarm, rules } = *self;
        let (ip, port) = (address.ip(), address.port());
        let slot = if address::is_listening(port) {
            swarm.find(rules, ip, port)
        } else {
            swarm.find_at(rules, ip, |slot| swarm.member(slot).port == port)
        };
        slot.map(|slot| swarm.member(slot))
    }

    /// Returns `true` if there is a peer on the tracker's machine, or in a container on it: others get it under the address by which
    /// they reach this machine. Always `false` in a [lean](crate::Memory::Lean) tracker.
    pub fn has_peer_here(&self) -> bool {
        self.swarm.has_peer_here()
    }

    /// Returns `true` if the client of a peer of another swarm is in this one, too: at the same address and port or, as when it
    /// listens nowhere, at the same address with the same peer id and key.
    ///
    /// Most clients of a hybrid torrent are in both its swarms.
    pub fn has_client(&self, peer: &Peer) -> bool {
        let Self { swarm, rules } = *self;
        let ip = peer.address.ip();
        let client = || peer.detail.as_ref().and_then(|it| swarm.find_client(rules, ip, it.peer_id, it.key));
        swarm.find(rules, ip, peer.address.port()).or_else(client).is_some()
    }

    /// The peers, in no particular order.
    pub fn peers(&self) -> impl Iterator<Item = Peer> + use<'t> {
        self.peers_at(0..self.len())
    }

    /// The peers at these places, out of those from 0 to the number of peers; fewer where there are not so many. With this a
    /// large swarm is read a part at a time. Peers change their places when others come and go.
    pub fn peers_at(&self, places: Range<usize>) -> impl Iterator<Item = Peer> + use<'t> {
        let rules = self.rules;
        self.members_at(places).map(|member| member.peer(&rules.lifetimes))
    }

    /// A copy of the swarm with the peers at [these places](Self::peers_at), which can be [taken in](crate::Tracker::restore) later.
    /// Ages are as of `now`, or of the latest time that the tracker has seen.
    pub fn image_at(&self, places: Range<usize>, now: Instant) -> SwarmImage {
        let now = now.max(self.rules.now);
        SwarmImage {
            info_hash: self.swarm.info_hash,
            completed: self.swarm.completed,
            peers: self.members_at(places).map(|member| member.image(now, self.rules)).collect(),
        }
    }

    /// Does what [`image_at`](Self::image_at) does, with the peer at this [address](Self::peer), if there is one.
    pub fn image_of(&self, address: SocketAddr, now: Instant) -> SwarmImage {
        let now = now.max(self.rules.now);
        let peers = self.member(address).map(|member| member.image(now, self.rules)).into_iter().collect();
        SwarmImage { peers, ..self.image_at(0..0, now) }
    }

    fn members_at(&self, places: Range<usize>) -> impl Iterator<Item = Member> + use<'t> {
        let swarm = self.swarm;
        let v4_len = swarm.v4.len();
        let v4 = places.start.min(v4_len)..places.end.min(v4_len);
        let v6 = swarm.v6.iter().flat_map(move |v6| {
            let place = |place: usize| place.saturating_sub(v4_len).min(v6.len());
            v6.members(place(places.start)..place(places.end))
        });
        swarm.v4.members(v4).chain(v6)
    }
}
