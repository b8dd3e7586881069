//! The peers of one torrent.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::peer::Entry;
use crate::{Instant, Peer, PeerId, PeerKey, PeerState, SwarmCounts, address};

/// The peers of one torrent, to look at.
///
/// Inside, the peers stand in three arrays by what they are good for: leeching, holding data, and not to be handed out. A
/// selection is then a draw of array positions. An index by address finds a peer again.
#[derive(Debug)]
pub struct Swarm {
    pools: [Vec<Entry>; 3],
    /// Slots by the hash of the address without its port, so that all peers of one address are found together.
    index: HashTable<Slot>,
    counts: SwarmCounts,
    /// When the tracker looks next for peers to drop. Never later than the first one is due.
    pub(crate) deadline: Instant,
}

/// Which array a peer stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pool {
    /// Downloading.
    Leeching,
    /// Not downloading, with something to give: seeders and partial seeds.
    Holding,
    /// Nobody can dial it.
    Hidden,
}

const POOLS: [Pool; 3] = [Pool::Leeching, Pool::Holding, Pool::Hidden];

impl Pool {
    fn of(entry: &Entry) -> Self {
        match entry.state {
            _ if !address::is_dialable(entry.ip, entry.port) => Self::Hidden,
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
        Self { pools: Default::default(), index: HashTable::new(), counts: SwarmCounts::default(), deadline }
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

    /// The peers that are downloading and can be dialled.
    pub(crate) fn leeching(&self) -> &[Entry] {
        &self.pools[Pool::Leeching as usize]
    }

    /// The peers that have data, are not downloading, and can be dialled.
    pub(crate) fn holding(&self) -> &[Entry] {
        &self.pools[Pool::Holding as usize]
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

    /// Removes the peers that are due, and gives memory back. Returns when the next one is due, `None` for an empty swarm.
    pub(crate) fn expire(
        &mut self,
        hasher: &FixedState,
        now: Instant,
        mut expired: impl FnMut(&Entry),
    ) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for pool in POOLS {
            let mut position = 0;
            while let Some(entry) = self.pools[pool as usize].get(position) {
                if entry.expires <= now {
                    expired(&self.remove(hasher, Slot::new(pool, position)));
                } else {
                    next = Some(next.map_or(entry.expires, |next| next.min(entry.expires)));
                    position += 1;
                }
            }
        }
        self.shrink(hasher);
        next
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
