//! The peers of one torrent.

mod check;
mod view;

pub use view::SwarmView;

use std::net::{IpAddr, SocketAddr};

use crate::detail::Detail;
use crate::entry::{Download, EntryV4, EntryV6};
use crate::peer::{Identity, Member};
use crate::pool::{MOST_OF_ONE_ADDRESS, Pool};
use crate::rules::Rules;
use crate::{InfoHash, Instant, Memory, PeerId, PeerKey, PeerState, Reachability, SwarmCounts, address};

/// The peers of one torrent.
///
/// They stand in an array for each family, sorted by what they are good for: leeching, holding data, known to be unreachable, and
/// not to be handed out (to most). A selection is then a draw of array positions, and what is drawn goes into the answer as it stands.
#[derive(Debug)]
pub(crate) struct Swarm {
    pub(crate) info_hash: InfoHash,
    v4: Pool<EntryV4>,
    /// Most swarms have none.
    v6: Option<Box<Pool<EntryV6>>>,
    seeders: u32,
    partial_seeds: u32,
    completed: u32,
    /// The number of peers on the tracker's machine.
    here: u32,
    /// The time of the next search for peers to drop, never later than the first one is due; or, while there are none, the
    /// time at which the swarm is forgotten.
    pub(crate) deadline: Instant,
}

/// The position of a peer, valid until any peer of the swarm is removed or added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    V4(usize),
    V6(usize),
}

/// The outcome of a [`Swarm::upsert`].
#[derive(Debug)]
pub(crate) struct Upserted {
    /// The peer that gave up its place.
    pub(crate) left: Option<Member>,
    /// The change of the sender's peer.
    pub(crate) change: Change,
}

/// Why a swarm does not take in a new peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// The swarm has as many peers as it may.
    InSwarm,
    /// All swarms together have.
    InTracker,
}

/// A change of the peer that announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is new in the swarm.
    Joined,
    /// It was there before.
    Updated {
        /// Its address before, if that is another.
        moved_from: Option<SocketAddr>,
        /// `true` if its download has just been completed.
        completed: bool,
    },
}

impl Change {
    /// Returns `true` if the peer's download has just been completed.
    pub(crate) fn is_completion(self) -> bool {
        matches!(self, Self::Updated { completed: true, .. })
    }
}

/// The outcome of a [`Swarm::expire`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    /// It is to be called again.
    Partly,
    /// All peers were looked at, and the first is due not before this; `None` when no peer is left.
    Wholly { next: Option<Instant> },
}

impl Swarm {
    pub(crate) fn new(info_hash: InfoHash, deadline: Instant) -> Self {
        Self { info_hash, v4: Pool::default(), v6: None, seeders: 0, partial_seeds: 0, completed: 0, here: 0, deadline }
    }

    /// Its counts, peers that are not handed out included.
    pub(crate) fn counts(&self) -> SwarmCounts {
        SwarmCounts {
            seeders: self.seeders,
            leechers: u32::try_from(self.len()).unwrap_or(u32::MAX).saturating_sub(self.seeders),
            partial_seeds: self.partial_seeds,
            completed: self.completed,
        }
    }

    /// Number of peers.
    pub(crate) fn len(&self) -> usize {
        self.v4.len() + self.v6.as_ref().map_or(0, |v6| v6.len())
    }

    /// Returns `true` if it has no peers: it is remembered for its completed downloads only.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns `true` if it has peers that are known to be unreachable.
    pub(crate) fn has_unreachable(&self) -> bool {
        self.v4.has_unreachable() || self.v6.as_ref().is_some_and(|v6| v6.has_unreachable())
    }

    /// Returns `true` if it has peers on the tracker's machine, as far as is known.
    pub(crate) fn has_peer_here(&self) -> bool {
        self.here > 0
    }

    pub(crate) fn v4(&self) -> &Pool<EntryV4> {
        &self.v4
    }

    pub(crate) fn v6(&self) -> Option<&Pool<EntryV6>> {
        self.v6.as_deref()
    }

    /// Takes in the peer that an announce makes of its sender: as a new one, or in the place of what was known of it, from
    /// which `member` carries over what it has to. `may_grow` says whether all swarms together may have one more peer.
    ///
    /// A peer is recognised by its place (address and port), or else by its client (peer id and key at this address), which
    /// has moved to another port then. Up to two entries can match, of which one has to go:
    ///
    /// - another client's at this place: two cannot listen there, so that one is gone;
    /// - the sender's own at its earlier port, if the place has its peer id with another key.
    ///
    /// Otherwise one goes only when its address (its [group](crate::AddressGroup)) has as many peers as it may: the one that was
    /// silent for longest. So at most
    /// one entry goes, and where one does there is room for the newcomer.
    ///
    /// # Errors
    ///
    /// There is no room for a new peer. Nothing is changed then.
    pub(crate) fn upsert(
        &mut self,
        rules: &Rules,
        sender: &Identity,
        member: &mut Member,
        may_grow: bool,
    ) -> Result<Upserted, NoRoom> {
        let &Identity { ip, port, peer_id, key } = sender;
        let mut here = self.find(rules, ip, port);
        let stale = here.and_then(|slot| match self.member(slot) {
            earlier if !earlier.may_be(peer_id) => Some(slot),
            earlier if !earlier.may_have(key) => self.find_client(rules, ip, peer_id, key),
            _ => None,
        });
        let mut left = stale.map(|slot| self.remove(rules, slot));
        if left.is_some() {
            // The others may have moved.
            here = self.find(rules, ip, port);
        }
        if let Some(slot) = here.or_else(|| self.find_client(rules, ip, peer_id, key)) {
            return Ok(Upserted { left, change: self.refresh(rules, slot, member) });
        }

        let mut is_crowd = false;
        if left.is_none() {
            let (at_address, stalest) = self.in_group(rules, ip);
            let evicted = stalest.filter(|_| at_address >= rules.max_peers_per_address);
            left = evicted.map(|slot| self.remove(rules, slot));
            is_crowd = at_address >= MOST_OF_ONE_ADDRESS;
        }
        if left.is_none() {
            if self.len() >= rules.max_peers_per_swarm {
                return Err(NoRoom::InSwarm);
            }
            if !may_grow {
                return Err(NoRoom::InTracker);
            }
        }
        self.insert(rules, member);
        if is_crowd {
            self.crowd(ip);
        }
        Ok(Upserted { left, change: Change::Joined })
    }

    /// Takes in a peer that was here before. Returns `false` if it is here, or if there is no room for it.
    pub(crate) fn restore(&mut self, rules: &Rules, member: &Member) -> bool {
        let ip = member.ip;
        let client = member.detail.and_then(|detail| self.find_client(rules, ip, detail.peer_id, detail.key));
        let (at_address, _) = self.in_group(rules, ip);
        let has_room = self.len() < rules.max_peers_per_swarm && at_address < rules.max_peers_per_address;
        if client.is_some() || self.find(rules, ip, member.port).is_some() || !has_room {
            return false;
        }
        self.insert(rules, member);
        if at_address >= MOST_OF_ONE_ADDRESS {
            self.crowd(ip);
        }
        let due = member.due(rules).unwrap_or(rules.now);
        match ip {
            IpAddr::V4(_) => self.v4.see_due(due),
            IpAddr::V6(_) => self.v6.iter_mut().for_each(|v6| v6.see_due(due)),
        }
        true
    }

    /// At least so many downloads have completed.
    pub(crate) fn restore_completed(&mut self, completed: u32) {
        self.completed = self.completed.max(completed);
    }

    /// Takes in that the sender of a last announce has everything, if it was seen downloading and was not counted as completed.
    pub(crate) fn finish(&mut self, rules: &Rules, sender: &Identity, member: &mut Member) -> Option<Change> {
        let slot = self.find_leaving(rules, sender)?;
        let earlier = self.member(slot);
        // Its place stays: at another one, which it gives up anyway, there may be another client by now. So does its key, which it
        // may have forgotten.
        member.port = earlier.port;
        if let (Some(detail), Some(known)) = (&mut member.detail, earlier.detail) {
            detail.key = known.key;
        }
        (earlier.tag.download == Download::Begun).then(|| self.refresh(rules, slot, member))
    }

    /// Takes out the peer of a client that says it leaves, and returns it.
    pub(crate) fn leave(&mut self, rules: &Rules, sender: &Identity) -> Option<Member> {
        let slot = self.find_leaving(rules, sender)?;
        Some(self.remove(rules, slot))
    }

    /// The peer of a client that says it leaves.
    fn find_leaving(&self, rules: &Rules, sender: &Identity) -> Option<Slot> {
        let &Identity { ip, port, peer_id, key } = sender;
        // Another client's place is not given up: a late `stopped` of the one that had it before changes nothing.
        let here = self.find(rules, ip, port).filter(|&slot| self.member(slot).may_be(peer_id));
        here.or_else(|| self.find_client(rules, ip, peer_id, key))
            // Some clients forget their port, and their key, when they leave.
            .or_else(|| self.find_peer_id(rules, ip, peer_id).filter(|_| sender.is_nameless()))
    }

    /// The peer at this position, below the number of peers.
    pub(crate) fn member_at(&self, position: usize) -> Member {
        match position.checked_sub(self.v4.len()) {
            None => self.member(Slot::V4(position)),
            Some(position) => self.member(Slot::V6(position)),
        }
    }

    /// Sets the reachability of the peer at this address and port, if it has this peer id. Returns `true` if there is one of
    /// which it can be known.
    pub(crate) fn set_reachability(
        &mut self,
        rules: &Rules,
        address: SocketAddr,
        peer_id: PeerId,
        reachability: Reachability,
    ) -> bool {
        let Some(slot) = self.find(rules, address.ip(), address.port()) else { return false };
        let earlier = self.member(slot);
        let mut member = earlier;
        let Some(detail) = member.detail.as_mut().filter(|detail| detail.peer_id == peer_id && !detail.is_claimed())
        else {
            return false;
        };
        detail.set_reachability(reachability);
        self.replace(rules, slot, &earlier, &member);
        true
    }

    /// Takes out the peer of this identity, if it is still there.
    pub(crate) fn evict(&mut self, rules: &Rules, identity: &Identity) -> Option<Member> {
        let is_it = |member: Member| {
            member.port == identity.port && member.may_be(identity.peer_id) && member.may_have(identity.key)
        };
        let slot = self.find_at(rules, identity.ip, |slot| is_it(self.member(slot)))?;
        Some(self.remove(rules, slot))
    }

    /// Returns `true` if several peers are at this address.
    pub(crate) fn shares_address(&self, rules: &Rules, ip: IpAddr) -> bool {
        let mut count = 0;
        self.find_at(rules, ip, |_| {
            count += 1;
            count > 1
        })
        .is_some()
    }

    /// Rebuilds the indexes after the own networks changed.
    pub(crate) fn regroup(&mut self, rules: &Rules) {
        self.v6.iter_mut().for_each(|v6| v6.rebuild_index(rules));
    }

    /// Notes of peers at addresses of which it holds that they are on the tracker's machine.
    pub(crate) fn mark_here(&mut self, is_on_machine: impl Fn(IpAddr) -> bool) {
        let marked = self.v4.mark_here(&is_on_machine) + self.v6.as_mut().map_or(0, |v6| v6.mark_here(&is_on_machine));
        self.here += marked as u32;
    }

    /// Forgets everything but its completed downloads, until `deadline`.
    pub(crate) fn remember(&mut self, deadline: Instant) {
        *self = Self { completed: self.completed, ..Self::new(self.info_hash, deadline) };
    }

    /// Removes the peers that are due. Looks at `budget` peers at most, and takes those it looks at from it; the next call
    /// goes on from there. At the end memory is given back.
    ///
    /// No peer that announces is due before the shortest timeout is over, and one that is restored meanwhile tells when it is.
    pub(crate) fn expire(&mut self, rules: &Rules, budget: &mut usize, mut expired: impl FnMut(&Member)) -> Expired {
        let (mut seeders, mut partial_seeds, mut here) = (0, 0, 0);
        let mut expired = |member: &Member| {
            seeders += u32::from(member.tag.state == PeerState::Seeder);
            partial_seeds += u32::from(member.tag.state == PeerState::PartialSeed);
            here += u32::from(member.is_here());
            expired(member);
        };
        let mut v4 = self.v4.resume_sweep(rules);
        self.v4.sweep(rules, &mut v4, budget, &mut expired);
        let mut v6 = None;
        if let Some(pool) = &mut self.v6 {
            let sweep = v6.insert(pool.resume_sweep(rules));
            pool.sweep(rules, sweep, budget, &mut expired);
        }
        self.seeders -= seeders;
        self.partial_seeds -= partial_seeds;
        self.here -= here;
        if v4.left > 0 || v6.is_some_and(|v6| v6.left > 0) {
            self.v4.interrupt_sweep(v4);
            if let (Some(pool), Some(v6)) = (&mut self.v6, v6) {
                pool.interrupt_sweep(v6);
            }
            return Expired::Partly;
        }
        self.v4.shrink(rules);
        self.v6.take_if(|v6| v6.len() == 0);
        self.v6.iter_mut().for_each(|v6| v6.shrink(rules));
        if self.is_empty() {
            return Expired::Wholly { next: None };
        }
        // Peers that came in, or announced, since the sweep began are due later than this.
        let latest = v4.began + rules.lifetimes.shortest();
        let next = [v4.next, v6.and_then(|v6| v6.next)].into_iter().flatten().fold(latest, Instant::min);
        Expired::Wholly { next: Some(next) }
    }

    /// Replaces what is known of the peer in `slot` by `member`, which is the same peer.
    fn refresh(&mut self, rules: &Rules, slot: Slot, member: &mut Member) -> Change {
        let earlier = self.member(slot);
        let completed = member.continue_from(&earlier);
        let moved_from = Some(earlier.address()).filter(|&address| address != member.address());
        self.replace(rules, slot, &earlier, member);
        self.completed = self.completed.saturating_add(u32::from(completed));
        Change::Updated { moved_from, completed }
    }

    fn member(&self, slot: Slot) -> Member {
        match slot {
            Slot::V4(position) => self.v4.member(position),
            Slot::V6(position) => self.v6.as_ref().expect(V6_IS_THERE).member(position),
        }
    }

    /// The peer at this address and port. A port of 0 or 1 is no place, so that two clients that listen nowhere are two, unless
    /// there is nothing else to tell them apart by.
    fn find(&self, rules: &Rules, ip: IpAddr, port: u16) -> Option<Slot> {
        if !address::is_listening(port) && rules.memory == Memory::Full {
            return None;
        }
        match ip {
            IpAddr::V4(ip) => self.v4.find(rules, ip, port).map(Slot::V4),
            IpAddr::V6(ip) => self.v6.as_ref()?.find(rules, ip, port).map(Slot::V6),
        }
    }

    /// The peer at this address that is this client, whatever its port.
    fn find_client(&self, rules: &Rules, ip: IpAddr, peer_id: PeerId, key: PeerKey) -> Option<Slot> {
        self.find_at(rules, ip, |slot| self.detail(slot).is_some_and(|detail| detail.is_client(peer_id, key)))
    }

    /// A peer at this address with this peer id, whatever its port and key.
    fn find_peer_id(&self, rules: &Rules, ip: IpAddr, peer_id: PeerId) -> Option<Slot> {
        self.find_at(rules, ip, |slot| self.detail(slot).is_some_and(|detail| detail.peer_id == peer_id))
    }

    /// The number of peers in the group of this address, and the one of them that was silent for longest.
    fn in_group(&self, rules: &Rules, ip: IpAddr) -> (usize, Option<Slot>) {
        let (mut count, mut stalest) = (0, None);
        let mut see = |slot| {
            let heard = self.member(slot).order_of_silence(rules);
            if stalest.is_none_or(|(longest, _)| heard < longest) {
                stalest = Some((heard, slot));
            }
            count += 1;
            false
        };
        match ip {
            IpAddr::V4(ip) => _ = self.v4.find_in_group(rules, ip, |position| see(Slot::V4(position))),
            IpAddr::V6(ip) => {
                _ = self.v6.as_ref().and_then(|v6| v6.find_in_group(rules, ip, |position| see(Slot::V6(position))));
            }
        }
        (count, stalest.map(|(_, slot)| slot))
    }

    /// Notes that this address has more peers than an answer should hold of one.
    fn crowd(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(_) => self.v4.crowd(),
            IpAddr::V6(_) => self.v6.iter_mut().for_each(|v6| v6.crowd()),
        }
    }

    fn insert(&mut self, rules: &Rules, member: &Member) {
        self.count(member, u32::wrapping_add);
        match member.ip {
            IpAddr::V4(ip) => _ = self.v4.insert(rules, ip, member),
            IpAddr::V6(ip) => _ = self.v6.get_or_insert_default().insert(rules, ip, member),
        }
    }

    fn remove(&mut self, rules: &Rules, slot: Slot) -> Member {
        let removed = match slot {
            Slot::V4(position) => self.v4.remove(rules, position),
            Slot::V6(position) => self.v6.as_mut().expect(V6_IS_THERE).remove(rules, position),
        };
        self.count(&removed, u32::wrapping_sub);
        removed
    }

    /// Puts `member` in the place of `earlier`, which is the same peer and stands in `slot`.
    fn replace(&mut self, rules: &Rules, slot: Slot, earlier: &Member, member: &Member) {
        self.count(earlier, u32::wrapping_sub);
        self.count(member, u32::wrapping_add);
        match (slot, member.ip) {
            (Slot::V4(position), IpAddr::V4(ip)) => _ = self.v4.replace(rules, position, ip, member),
            (Slot::V6(position), IpAddr::V6(ip)) => {
                _ = self.v6.as_mut().expect(V6_IS_THERE).replace(rules, position, ip, member);
            }
            _ => unreachable!("a peer is known by its address"),
        }
    }

    /// The first peer at this address of which it holds.
    fn find_at(&self, rules: &Rules, ip: IpAddr, mut holds: impl FnMut(Slot) -> bool) -> Option<Slot> {
        match ip {
            IpAddr::V4(ip) => self.v4.find_at(rules, ip, |position| holds(Slot::V4(position))).map(Slot::V4),
            IpAddr::V6(ip) => self.v6.as_ref()?.find_at(rules, ip, |position| holds(Slot::V6(position))).map(Slot::V6),
        }
    }

    fn detail(&self, slot: Slot) -> Option<&Detail> {
        match slot {
            Slot::V4(position) => self.v4.detail(position),
            Slot::V6(position) => self.v6.as_ref().expect(V6_IS_THERE).detail(position),
        }
    }

    fn count(&mut self, member: &Member, change: impl Fn(u32, u32) -> u32) {
        self.here = change(self.here, member.is_here().into());
        match member.tag.state {
            PeerState::Seeder => self.seeders = change(self.seeders, 1),
            PeerState::PartialSeed => self.partial_seeds = change(self.partial_seeds, 1),
            PeerState::Leecher => {}
        }
    }
}

/// A slot was made by this swarm, and no peer was taken out since.
const V6_IS_THERE: &str = "a slot of IPv6 is one of a pool that is there";
