//! Taking swarms in that were taken out of a tracker.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{OtherShards, Tracker};
use crate::peer::Member;
use crate::swarms::SwarmId;
use crate::{InfoHash, Instant, PeerImage, SwarmImage, Verdict, address};

/// What was taken in.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    pub(crate) peers: Vec<SocketAddr>,
    /// `true` if the swarm has a peer on the tracker's machine now, and had none before.
    pub(crate) is_newly_here: bool,
}

impl Tracker {
    /// Takes in a swarm, or a part of one, that was [taken out](crate::SwarmSlice::image) of a tracker `age` ago. Returns how many
    /// peers came in.
    ///
    /// They live until their own deadline, and not longer; for that the clock must be later than they have been known for. Of two
    /// numbers of completed downloads the larger one holds. There are no events of the peers, and they are not counted as announces.
    /// These are left out:
    ///
    /// - what is not served or admitted now, which includes [claimed](crate::PeerDetail::is_claimed) addresses if no network is
    ///   [trusted](crate::Config::trusted_networks);
    /// - peers for which there is no room: none is evicted for them;
    /// - peers that are here, by their address and port or by their client: what is taken in twice counts once;
    /// - peers without details, except in a [lean](crate::Memory::Lean) tracker.
    ///
    /// It takes time in proportion to the number of peers in the image.
    pub fn restore(&mut self, now: Instant, image: &SwarmImage, age: Duration) -> usize {
        let SwarmImage { info_hash, completed, peers } = image;
        self.restore_beside(OtherShards::default(), now, *info_hash, *completed, peers, age).peers.len()
    }

    pub(crate) fn restore_beside(
        &mut self,
        others: OtherShards,
        now: Instant,
        info_hash: InfoHash,
        completed: u32,
        peers: &[PeerImage],
        age: Duration,
    ) -> Restored {
        self.advance(now);
        if self.config.torrents.verdict(&info_hash) != Verdict::Served {
            return Restored::default();
        }
        let mut restored = Restored::default();
        for image in peers {
            let (ip, bits) = (image.address.ip().to_canonical(), self.rules.address_bits);
            let is_claimed = image.detail.as_ref().is_some_and(|detail| detail.is_claimed);
            let is_admitted = if is_claimed { self.may_be_claimed(ip) } else { self.config.access.admits(ip) };
            let is_here = address::is_own(ip, &self.config, bits);
            let Some(member) = Member::restored(image, is_here, age, &self.rules).filter(|_| is_admitted) else {
                continue;
            };
            if !self.config.clients.admits_member(&member) {
                continue;
            }
            if others.peers + self.peers() >= self.config.max_peers {
                break;
            }
            let Some(id) = self.swarm_to_restore(others, info_hash) else { break };
            self.restore_member(id, &member, &mut restored);
        }
        self.restore_completed(info_hash, completed);
        restored
    }

    /// Returns `true` if some client could announce this address as its own now. Which one it was is not known.
    fn may_be_claimed(&self, ip: IpAddr) -> bool {
        address::is_claimable(ip) && !self.config.trusted_networks.is_empty()
    }

    /// A swarm with this info-hash that has peers, or is about to. `None` if there is no room for one.
    fn swarm_to_restore(&mut self, others: OtherShards, info_hash: InfoHash) -> Option<SwarmId> {
        let known = self.swarms.find(&self.rules, &info_hash);
        if let Some(id) = known.filter(|&id| !self.swarms[id].is_empty()) {
            return Some(id);
        }
        let has_room = others.swarms + self.deadlines.len() < self.config.max_swarms;
        has_room.then(|| self.populate(known, info_hash))
    }

    fn restore_member(&mut self, id: SwarmId, member: &Member, restored: &mut Restored) {
        let swarm = &mut self.swarms[id];
        let (before, had_peer_here) = (swarm.counts(), swarm.has_peer_here());
        if !swarm.restore(&self.rules, member) {
            return;
        }
        self.totals.swarm_changed(before, swarm.counts());
        restored.peers.push(member.address());
        restored.is_newly_here |= swarm.has_peer_here() && !had_peer_here;
        // Unlike a peer that announces, it may be due before all others.
        let deadline = member.due(&self.rules).unwrap_or(self.rules.now);
        if deadline < swarm.deadline {
            self.deadlines.remove(&(swarm.deadline, id));
            self.deadlines.insert((deadline, id));
            swarm.deadline = deadline;
        }
    }

    fn restore_completed(&mut self, info_hash: InfoHash, completed: u32) {
        if completed == 0 {
            return;
        }
        match self.swarms.find(&self.rules, &info_hash) {
            Some(id) => self.swarms[id].restore_completed(completed),
            None => {
                let id = self.populate(None, info_hash);
                self.swarms[id].restore_completed(completed);
                self.emptied(id);
            }
        }
    }
}
