//! The peers of one torrent.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::peer::Entry;
use crate::{Instant, Peer, PeerId, PeerKey, PeerState, SwarmCounts, address};

/// The peers of one torrent, to look at.
///
/// Inside, the peers stand in arrays by what they are good for: leeching, holding data, and not to be handed out (to most).
/// A selection is then a draw of array positions. An index by address finds a peer again.
#[derive(Debug)]
pub struct Swarm {
    pools: [Vec<Entry>; 4],
    /// Slots by the hash of the address without its port, so that all peers of one address are found together.
    index: HashTable<Slot>,
    counts: SwarmCounts,
    /// When the tracker looks next for peers to drop, never later than the first one is due; or, while there are none, when
    /// the swarm is forgotten.
    pub(crate) deadline: Instant,
    sweep: Option<Sweep>,
}

/// A look through all peers for those that are due, as far as it has come.
///
/// It goes through each pool from the end, so that the peer which takes a removed one's place was looked at already.
#[derive(Debug)]
struct Sweep {
    began: Instant,
    pool: usize,
    /// How many peers of the pool, from its beginning, are left to look at.
    left: usize,
    /// When the first of the peers is due that were looked at.
    next: Option<Instant>,
}

/// What a [`Swarm::expire`] came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Swept {
    /// It is to be called again.
    Partly,
    /// All peers were looked at, and the first is due not before this; `None` when no peer is left.
    Wholly { next: Option<Instant> },
}

/// Which array a peer stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pool {
    /// Downloading.
    Leeching,
    /// Not downloading, with something to give: seeders and partial seeds.
    Holding,
    /// In 169.254/16, where those in it can dial it.
    Nearby,
    /// Nobody can dial it.
    Hidden,
}

const POOLS: [Pool; 4] = [Pool::Leeching, Pool::Holding, Pool::Nearby, Pool::Hidden];

impl Pool {
    fn of(entry: &Entry) -> Self {
        match entry.state {
            _ if !address::is_dialable(entry.ip, entry.port) => Self::Hidden,
            _ if address::is_v4_link_local(entry.ip) => Self::Nearby,
            PeerState::Leecher => Self::Leeching,
            PeerState::Seeder | PeerState::PartialSeed => Self::Holding,
        }
    }
}

/// Where in a swarm a peer stands, until the swarm changes: the pool in the upper two bits, the position in the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(u32);

impl Slot {
    fn new(pool: Pool, position: usize) -> Self {
        let position = u32::try_from(position).expect("Config::validate bounds a swarm to 2^30 peers");
        Self((pool as u32) << 30 | position)
    }

    fn pool(self) -> usize {
        (self.0 >> 30) as usize
    }

    fn position(self) -> usize {
        (self.0 & ((1 << 30) - 1)) as usize
    }
}

impl Swarm {
    pub(crate) fn new(deadline: Instant) -> Self {
        Self {
            pools: Default::default(),
            index: HashTable::new(),
            counts: SwarmCounts::default(),
            deadline,
            sweep: None,
        }
    }

    /// A swarm without peers, which is kept for its count of completed downloads.
    pub(crate) fn remembered(counts: SwarmCounts, deadline: Instant) -> Self {
        Self { counts, ..Self::new(deadline) }
    }

    /// Its counts, peers that are not handed out included.
    pub fn counts(&self) -> SwarmCounts {
        self.counts
    }

    /// Number of peers.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether it has no peers: it is remembered for its completed downloads only.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The peers, in no particular order.
    pub fn peers(&self) -> impl Iterator<Item = Peer> {
        self.pools.iter().flatten().map(Entry::peer)
    }

    /// The peers that are downloading and can be dialled by everybody.
    pub(crate) fn leeching(&self) -> &[Entry] {
        &self.pools[Pool::Leeching as usize]
    }

    /// The peers that have data, are not downloading, and can be dialled by everybody.
    pub(crate) fn holding(&self) -> &[Entry] {
        &self.pools[Pool::Holding as usize]
    }

    /// The peers, downloading or not, that can be dialled by those in 169.254/16.
    pub(crate) fn nearby(&self) -> &[Entry] {
        &self.pools[Pool::Nearby as usize]
    }

    pub(crate) fn entry(&self, slot: Slot) -> &Entry {
        &self.pools[slot.pool()][slot.position()]
    }

    /// The peer at this address and port. A port of 0 is no place, so that two clients that listen nowhere are two.
    pub(crate) fn find(&self, hasher: &FixedState, ip: IpAddr, port: u16) -> Option<Slot> {
        if port == 0 {
            return None;
        }
        self.find_by(hasher, ip, |entry| entry.ip == ip && entry.port == port)
    }

    /// The peer at this address that is this client, whatever its port.
    pub(crate) fn find_client(&self, hasher: &FixedState, ip: IpAddr, peer_id: PeerId, key: PeerKey) -> Option<Slot> {
        self.find_by(hasher, ip, |entry| entry.is_client(ip, peer_id, key))
    }

    /// A peer at this address with this peer id, whatever its port and key.
    pub(crate) fn find_peer_id(&self, hasher: &FixedState, ip: IpAddr, peer_id: PeerId) -> Option<Slot> {
        self.find_by(hasher, ip, |entry| entry.ip == ip && entry.peer_id == peer_id)
    }

    /// How many peers are at this address, and the one of them that was silent for longest.
    pub(crate) fn at_address(&self, hasher: &FixedState, ip: IpAddr) -> (usize, Option<Slot>) {
        let slots = || self.index.iter_hash(hasher.hash_one(ip)).copied().filter(|&slot| self.entry(slot).ip == ip);
        (slots().count(), slots().min_by_key(|&slot| self.entry(slot).last_seen()))
    }

    pub(crate) fn insert(&mut self, hasher: &FixedState, entry: Entry) -> Slot {
        let pool = Pool::of(&entry);
        let slot = Slot::new(pool, self.pools[pool as usize].len());
        self.count(entry.state, u32::wrapping_add);
        let hash = hasher.hash_one(entry.ip);
        self.pools[pool as usize].push(entry);
        let pools = &self.pools;
        self.index.insert_unique(hash, slot, |slot| hasher.hash_one(pools[slot.pool()][slot.position()].ip));
        slot
    }

    pub(crate) fn remove(&mut self, hasher: &FixedState, slot: Slot) -> Entry {
        let hash = hasher.hash_one(self.entry(slot).ip);
        self.index.find_entry(hash, |&found| found == slot).expect("every peer stands in the index").remove();
        let pool = &mut self.pools[slot.pool()];
        let removed = pool.swap_remove(slot.position());
        if let Some(moved) = pool.get(slot.position()) {
            // The pool's last peer stands here now.
            let was = Slot::new(POOLS[slot.pool()], pool.len());
            let hash = hasher.hash_one(moved.ip);
            *self.index.find_mut(hash, |&found| found == was).expect("every peer stands in the index") = slot;
        }
        self.count(removed.state, u32::wrapping_sub);
        removed
    }

    /// Puts `entry` in the place of the peer in `slot`, which is the same peer.
    pub(crate) fn replace(&mut self, hasher: &FixedState, slot: Slot, entry: Entry) -> Slot {
        if slot.pool() != Pool::of(&entry) as usize || self.entry(slot).ip != entry.ip {
            self.remove(hasher, slot);
            return self.insert(hasher, entry);
        }
        self.count(self.entry(slot).state, u32::wrapping_sub);
        self.count(entry.state, u32::wrapping_add);
        self.pools[slot.pool()][slot.position()] = entry;
        slot
    }

    /// One more completed download.
    pub(crate) fn complete(&mut self) {
        self.counts.completed = self.counts.completed.saturating_add(1);
    }

    /// Removes the peers that are due. Looks at `budget` peers at most, and takes those it looks at from it; the next call
    /// goes on from there. At the end memory is given back.
    ///
    /// No peer may come in that is due before `shortest_timeout` is over.
    pub(crate) fn expire(
        &mut self,
        hasher: &FixedState,
        now: Instant,
        shortest_timeout: Duration,
        budget: &mut usize,
        mut expired: impl FnMut(&Entry),
    ) -> Swept {
        let start = || Sweep { began: now, pool: 0, left: usize::MAX, next: None };
        let mut sweep = self.sweep.take().unwrap_or_else(start);
        while let Some(pool) = POOLS.get(sweep.pool) {
            sweep.left = sweep.left.min(self.pools[sweep.pool].len());
            while sweep.left > 0 {
                if *budget == 0 {
                    self.sweep = Some(sweep);
                    return Swept::Partly;
                }
                *budget -= 1;
                sweep.left -= 1;
                let expires = self.pools[sweep.pool][sweep.left].expires;
                if expires <= now {
                    expired(&self.remove(hasher, Slot::new(*pool, sweep.left)));
                } else {
                    sweep.next = Some(sweep.next.map_or(expires, |next| next.min(expires)));
                }
            }
            sweep = Sweep { pool: sweep.pool + 1, left: usize::MAX, ..sweep };
        }
        self.shrink(hasher);
        if self.is_empty() {
            return Swept::Wholly { next: None };
        }
        // Peers that came in, or announced, since the sweep began are due later than this.
        let latest = sweep.began + shortest_timeout;
        Swept::Wholly { next: Some(sweep.next.map_or(latest, |next| next.min(latest))) }
    }

    fn find_by(&self, hasher: &FixedState, ip: IpAddr, is_it: impl Fn(&Entry) -> bool) -> Option<Slot> {
        self.index.find(hasher.hash_one(ip), |&slot| is_it(self.entry(slot))).copied()
    }

    fn count(&mut self, state: PeerState, change: impl Fn(u32, u32) -> u32) {
        let counts = &mut self.counts;
        match state {
            PeerState::Seeder => counts.seeders = change(counts.seeders, 1),
            PeerState::Leecher => counts.leechers = change(counts.leechers, 1),
            PeerState::PartialSeed => {
                counts.leechers = change(counts.leechers, 1);
                counts.partial_seeds = change(counts.partial_seeds, 1);
            }
        }
    }

    /// Gives memory back where most of it is unused: a class has gone home.
    fn shrink(&mut self, hasher: &FixedState) {
        for pool in &mut self.pools {
            if pool.capacity() > 64 && pool.len() < pool.capacity() / 4 {
                pool.shrink_to(pool.len() * 2);
            }
        }
        if self.index.capacity() > 64 && self.index.len() < self.index.capacity() / 4 {
            let pools = &self.pools;
            self.index.shrink_to(pools.iter().map(Vec::len).sum::<usize>() * 2, |slot| {
                hasher.hash_one(pools[slot.pool()][slot.position()].ip)
            });
        }
    }
}
