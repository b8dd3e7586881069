//! The peers of one torrent.

use std::net::IpAddr;
use std::ops::Range;

use crate::detail::Detail;
use crate::entry::{EntryV4, EntryV6};
use crate::peer::Member;
use crate::pool::Pool;
use crate::rules::Rules;
use crate::{InfoHash, Instant, Memory, Peer, PeerId, PeerKey, PeerState, SwarmCounts};

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

    /// Whether it has no peers: it is remembered for its completed downloads only.
    pub fn is_empty(&self) -> bool {
        self.swarm.is_empty()
    }

    /// The peers, in no particular order.
    pub fn peers(&self) -> impl Iterator<Item = Peer> + use<'t> {
        self.peers_at(0..self.len())
    }

    /// The peers at these places, out of those from 0 to the number of peers; fewer where there are not so many. For those who
    /// do not want to look at a large swarm at once. Peers change their places when others come and go.
    pub fn peers_at(&self, places: Range<usize>) -> impl Iterator<Item = Peer> + use<'t> {
        let Self { swarm, rules } = *self;
        let v4_len = swarm.v4.len();
        let v4 = places.start.min(v4_len)..places.end.min(v4_len);
        let v6 = swarm.v6.iter().flat_map(move |v6| {
            let place = |place: usize| place.saturating_sub(v4_len).min(v6.len());
            v6.members(place(places.start)..place(places.end))
        });
        swarm.v4.members(v4).chain(v6).map(|member| member.peer(&rules.lifetimes))
    }
}

/// The peers of one torrent.
///
/// They stand in an array for each family, sorted by what they are good for: leeching, holding data, and not to be
/// handed out (to most). A selection is then a draw of array positions, and what is drawn goes into the answer as it stands.
#[derive(Debug)]
pub(crate) struct Swarm {
    pub(crate) info_hash: InfoHash,
    v4: Pool<EntryV4>,
    /// Most swarms have none.
    v6: Option<Box<Pool<EntryV6>>>,
    seeders: u32,
    partial_seeds: u32,
    completed: u32,
    /// When the tracker looks next for peers to drop, never later than the first one is due; or, while there are none, when
    /// the swarm is forgotten.
    pub(crate) deadline: Instant,
}

/// Where a peer stands, until any peer of the swarm is taken out or put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    V4(usize),
    V6(usize),
}

/// What a [`Swarm::expire`] came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    /// It is to be called again.
    Partly,
    /// All peers were looked at, and the first is due not before this; `None` when no peer is left.
    Wholly { next: Option<Instant> },
}

impl Swarm {
    pub(crate) fn new(info_hash: InfoHash, deadline: Instant) -> Self {
        Self { info_hash, v4: Pool::default(), v6: None, seeders: 0, partial_seeds: 0, completed: 0, deadline }
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

    /// Whether it has no peers: it is remembered for its completed downloads only.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn v4(&self) -> &Pool<EntryV4> {
        &self.v4
    }

    pub(crate) fn v6(&self) -> Option<&Pool<EntryV6>> {
        self.v6.as_deref()
    }

    pub(crate) fn member(&self, slot: Slot) -> Member {
        match slot {
            Slot::V4(position) => self.v4.member(position),
            Slot::V6(position) => self.v6.as_ref().expect(V6_IS_THERE).member(position),
        }
    }

    /// The peer at this address and port. A port of 0 is no place, so that two clients that listen nowhere are two, unless
    /// there is nothing else to tell them apart by.
    pub(crate) fn find(&self, rules: &Rules, ip: IpAddr, port: u16) -> Option<Slot> {
        if port == 0 && rules.memory == Memory::Full {
            return None;
        }
        match ip {
            IpAddr::V4(ip) => self.v4.find(rules, ip, port).map(Slot::V4),
            IpAddr::V6(ip) => self.v6.as_ref()?.find(rules, ip, port).map(Slot::V6),
        }
    }

    /// The peer at this address that is this client, whatever its port.
    pub(crate) fn find_client(&self, rules: &Rules, ip: IpAddr, peer_id: PeerId, key: PeerKey) -> Option<Slot> {
        self.find_at(rules, ip, |slot| self.detail(slot).is_some_and(|detail| detail.is_client(peer_id, key)))
    }

    /// A peer at this address with this peer id, whatever its port and key.
    pub(crate) fn find_peer_id(&self, rules: &Rules, ip: IpAddr, peer_id: PeerId) -> Option<Slot> {
        self.find_at(rules, ip, |slot| self.detail(slot).is_some_and(|detail| detail.peer_id == peer_id))
    }

    /// How many peers are at this address, and the one of them that was silent for longest.
    pub(crate) fn at_address(&self, rules: &Rules, ip: IpAddr) -> (usize, Option<Slot>) {
        let (mut count, mut stalest) = (0, None);
        _ = self.find_at(rules, ip, |slot| {
            let heard = self.member(slot).order_of_silence(rules);
            if stalest.is_none_or(|(longest, _)| heard < longest) {
                stalest = Some((heard, slot));
            }
            count += 1;
            false
        });
        (count, stalest.map(|(_, slot)| slot))
    }

    pub(crate) fn insert(&mut self, rules: &Rules, member: &Member) -> Slot {
        self.count(member.tag.state, u32::wrapping_add);
        match member.ip {
            IpAddr::V4(ip) => Slot::V4(self.v4.insert(rules, ip, member)),
            IpAddr::V6(ip) => Slot::V6(self.v6.get_or_insert_default().insert(rules, ip, member)),
        }
    }

    pub(crate) fn remove(&mut self, rules: &Rules, slot: Slot) -> Member {
        let removed = match slot {
            Slot::V4(position) => self.v4.remove(rules, position),
            Slot::V6(position) => self.v6.as_mut().expect(V6_IS_THERE).remove(rules, position),
        };
        self.count(removed.tag.state, u32::wrapping_sub);
        removed
    }

    /// Puts `member` in the place of the peer in `slot`, which is the same peer.
    pub(crate) fn replace(&mut self, rules: &Rules, slot: Slot, member: &Member) -> Slot {
        self.count(self.member(slot).tag.state, u32::wrapping_sub);
        self.count(member.tag.state, u32::wrapping_add);
        match (slot, member.ip) {
            (Slot::V4(position), IpAddr::V4(ip)) => Slot::V4(self.v4.replace(rules, position, ip, member)),
            (Slot::V6(position), IpAddr::V6(ip)) => {
                Slot::V6(self.v6.as_mut().expect(V6_IS_THERE).replace(rules, position, ip, member))
            }
            _ => unreachable!("a peer is known by its address"),
        }
    }

    /// One more completed download.
    pub(crate) fn complete(&mut self) {
        self.completed = self.completed.saturating_add(1);
    }

    /// Forgets everything but its completed downloads, until `deadline`.
    pub(crate) fn remember(&mut self, deadline: Instant) {
        *self = Self { completed: self.completed, ..Self::new(self.info_hash, deadline) };
    }

    /// Removes the peers that are due. Looks at `budget` peers at most, and takes those it looks at from it; the next call
    /// goes on from there. At the end memory is given back.
    ///
    /// No peer may come in that is due before the shortest timeout is over.
    pub(crate) fn expire(&mut self, rules: &Rules, budget: &mut usize, mut expired: impl FnMut(&Member)) -> Expired {
        let (mut seeders, mut partial_seeds) = (0, 0);
        let mut expired = |member: &Member| {
            seeders += u32::from(member.tag.state == PeerState::Seeder);
            partial_seeds += u32::from(member.tag.state == PeerState::PartialSeed);
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

    fn count(&mut self, state: PeerState, change: impl Fn(u32, u32) -> u32) {
        match state {
            PeerState::Seeder => self.seeders = change(self.seeders, 1),
            PeerState::PartialSeed => self.partial_seeds = change(self.partial_seeds, 1),
            PeerState::Leecher => {}
        }
    }
}

/// A slot was made by this swarm, and no peer was taken out since.
const V6_IS_THERE: &str = "a slot of IPv6 is one of a pool that is there";
