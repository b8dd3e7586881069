//! What the planner is told of the tracker's swarms: who is there, who came and who left.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use tracker_core::{EventKind, InfoHash, Peer, Walk};

use super::Driver;
use crate::TorrentFacts;
use crate::planner::{Announced, PEERS};

/// The shortest time between two looks at all swarms, which take some hundredths of a second when there are many peers.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Newcomers for which memory is kept after a burst.
const USUAL_NEWCOMERS: usize = 100;

/// Swarms that are listed at once, for which a shard is locked for a fraction of a millisecond.
const SWARMS_AT_ONCE: usize = 1000;

impl Driver {
    pub(super) fn take_newcomers(&mut self) {
        let mut newcomers = std::mem::take(&mut self.newcomers);
        self.is_behind |= !self.context.announces.take(&mut newcomers);
        for (info_hash, address) in newcomers.drain(..) {
            // With a million peers there is room for few, and this is all that the others cost.
            if !self.planner().pass_over(&info_hash, address) {
                self.look_at(info_hash, address);
            }
        }
        // Another burst is as large, but a large one is rare.
        newcomers.shrink_to(USUAL_NEWCOMERS);
        self.newcomers = newcomers;
    }

    /// Takes the tracker's events, of which only the addresses count: who is there now may be another peer already.
    pub(super) fn take_events(&mut self) {
        let mut events = Vec::new();
        let lost = self.events.take(&mut events);
        for event in events {
            let info_hash = event.info_hash;
            match event.kind {
                EventKind::PeerCompleted(peer) | EventKind::PeerLeft(peer) | EventKind::PeerExpired(peer) => {
                    self.look_at(info_hash, peer.address)
                }
                EventKind::PeerUpdated { peer, moved_from } => {
                    moved_from.into_iter().chain([peer.address]).for_each(|address| self.look_at(info_hash, address));
                }
                EventKind::SwarmDropped => self.look_at_known(info_hash),
                _ => {}
            }
        }
        // Beside those that this listener lost there are those that nobody was told of.
        let totals = self.context.shards.totals();
        let dropped = totals.dropped_events;
        self.is_behind |= lost > 0 || dropped != self.dropped_events;
        self.dropped_events = dropped;
        // There is room for all again.
        self.is_behind |= totals.peers() <= PEERS as u64 && self.planner().is_incomplete();
        let now = self.now();
        if self.is_behind && now >= self.next_look {
            self.look_at_all();
            self.next_look = now + LOOK_INTERVAL;
        }
    }

    fn peer_at(&self, info_hash: &InfoHash, address: SocketAddr) -> Option<Peer> {
        self.context.shards.with_swarm(info_hash, |swarm| swarm.peer(address)).flatten()
    }

    /// Looks who is at an address, and tells the planner: a peer, or nobody any more.
    pub(super) fn look_at(&mut self, info_hash: InfoHash, address: SocketAddr) {
        match self.peer_at(&info_hash, address) {
            Some(peer) => self.announced(info_hash, &peer),
            None => {
                let now = self.now();
                self.planner().handle_left(now, &info_hash, address);
                self.forget_unless_known(info_hash);
            }
        }
    }

    /// Forgets a swarm in which the planner knows nobody.
    fn forget_unless_known(&mut self, info_hash: InfoHash) {
        if !self.planner().has_swarm(&info_hash) {
            self.swarms.remove(&info_hash);
            self.context.swarm_keys.remove(&info_hash);
            self.uploads.set_content(self.now(), info_hash, None);
        }
    }

    /// Looks at the addresses of a swarm that the planner knows.
    fn look_at_known(&mut self, info_hash: InfoHash) {
        let shards = &self.context.shards;
        if shards.with_swarm(&info_hash, |swarm| !swarm.is_empty()).unwrap_or(false) {
            let addresses = self.planner().addresses(&info_hash);
            addresses.into_iter().for_each(|address| self.look_at(info_hash, address));
        } else {
            let now = self.now();
            self.planner().handle_swarm_dropped(now, &info_hash);
            self.forget_unless_known(info_hash);
        }
    }

    /// Looks at all swarms, one at a time: first at the peers that are known, since those that have left make room, and then for
    /// others, until there is no more room.
    pub(super) fn look_at_all(&mut self) {
        self.is_behind = false;
        let known: Vec<_> = self.swarms.keys().copied().collect();
        known.into_iter().for_each(|info_hash| self.look_at_known(info_hash));
        let (mut walk, mut swarms, mut has_more) = (Walk::by_swarm(), Vec::new(), true);
        while has_more {
            has_more = self.context.shards.walk(&mut walk, SWARMS_AT_ONCE, |slice| swarms.push(slice.info_hash));
            for info_hash in swarms.drain(..) {
                if !self.look_for_others(info_hash) {
                    self.planner().set_incomplete(true);
                    return;
                }
            }
        }
        self.planner().set_incomplete(false);
    }

    /// Looks for peers of a swarm that the planner does not know. Returns `false` if it has no room for all of them.
    fn look_for_others(&mut self, info_hash: InfoHash) -> bool {
        let (room, known) = {
            let planner = self.planner();
            (planner.room(), planner.addresses(&info_hash))
        };
        let known: HashSet<_> = known.into_iter().collect();
        let found = self.context.shards.with_swarm(&info_hash, |swarm| {
            let others = swarm.peers().filter(|peer| !known.contains(&peer.address));
            others.take(room + 1).collect::<Vec<_>>()
        });
        let found = found.unwrap_or_default();
        found.iter().take(room).for_each(|peer| self.announced(info_hash, peer));
        found.len() <= room
    }

    fn announced(&mut self, info_hash: InfoHash, peer: &Peer) {
        // Of a lean tracker's peers too little is known.
        let Some(detail) = &peer.detail else { return };
        let facts = self.torrents.facts(&info_hash);
        let announced = Announced {
            address: peer.address,
            peer_id: detail.peer_id,
            key: detail.key,
            state: peer.state,
            is_claimed: detail.is_claimed,
            reachability: peer.reachability,
        };
        let (now, torrent) = (self.now(), TorrentFacts::for_planner(facts));
        let mut planner = self.context.planner();
        planner.handle_announce(now, &mut self.rng, info_hash, torrent, announced);
        // The tracker may have many more swarms than the planner has room for peers.
        let is_known = planner.has_swarm(&info_hash);
        drop(planner);
        if is_known && self.swarms.insert(info_hash, facts.is_some()).is_none() {
            self.context.swarm_keys.insert(&info_hash);
            self.look_up_content(info_hash);
        }
    }
}
