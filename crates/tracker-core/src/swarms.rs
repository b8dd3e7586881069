//! All swarms of a tracker, found by their info-hashes.

use std::ops::{Index, IndexMut};

use hashbrown::HashTable;

use crate::InfoHash;
use crate::rules::Rules;
use crate::swarm::Swarm;

/// All swarms of a tracker.
///
/// They stand in arrays of one length, so that none ever moves, and a table of four bytes for each finds them.
#[derive(Debug, Default)]
pub(crate) struct Swarms {
    blocks: Vec<Vec<Option<Swarm>>>,
    /// Places that became free.
    free: Vec<SwarmId>,
    by_info_hash: HashTable<SwarmId>,
}

/// Swarms in one array: about 26 KB.
const BLOCK: usize = 256;

/// Where a swarm is, as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SwarmId(u32);

impl Swarms {
    pub(crate) fn len(&self) -> usize {
        self.by_info_hash.len()
    }

    pub(crate) fn find(&self, rules: &Rules, info_hash: &InfoHash) -> Option<SwarmId> {
        self.by_info_hash.find(rules.hash(info_hash), |&id| self[id].info_hash == *info_hash).copied()
    }

    /// Adds a swarm whose info-hash is not there yet.
    pub(crate) fn insert(&mut self, rules: &Rules, swarm: Swarm) -> SwarmId {
        self.make_room(rules);
        let hash = rules.hash(swarm.info_hash);
        let id = match self.free.pop() {
            Some(id) => {
                *self.place(id) = Some(swarm);
                id
            }
            None => self.append(swarm),
        };
        self.by_info_hash.insert_unique(hash, id, |_| unreachable!("there is room"));
        id
    }

    pub(crate) fn remove(&mut self, rules: &Rules, id: SwarmId) -> Option<Swarm> {
        let swarm = self.place(id).take()?;
        if let Ok(entry) = self.by_info_hash.find_entry(rules.hash(swarm.info_hash), |&found| found == id) {
            entry.remove();
        }
        self.free.push(id);
        Some(swarm)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Swarm> {
        self.blocks.iter().flatten().flatten()
    }

    /// What is at a place, if there is such a place. Some are free.
    pub(crate) fn at(&self, place: usize) -> Option<Option<&Swarm>> {
        self.blocks.get(place / BLOCK)?.get(place % BLOCK).map(Option::as_ref)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = SwarmId> {
        self.by_info_hash.iter().copied()
    }

    fn place(&mut self, id: SwarmId) -> &mut Option<Swarm> {
        &mut self.blocks[id.block()][id.within()]
    }

    /// Puts a swarm behind all others.
    fn append(&mut self, swarm: Swarm) -> SwarmId {
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let (before, last) = ((self.blocks.len() - 1) * BLOCK, self.blocks.last_mut().expect("there is one"));
        last.push(Some(swarm));
        SwarmId(u32::try_from(before + last.len() - 1).expect("Config::validate bounds the swarms"))
    }

    /// Makes the table larger when it is full. It is filled in the order of the places: following its own order would look at
    /// them here and there, which takes many times as long where there are many.
    fn make_room(&mut self, rules: &Rules) {
        if self.by_info_hash.len() < self.by_info_hash.capacity() {
            return;
        }
        self.by_info_hash = HashTable::with_capacity(2 * self.len() + 1);
        for (id, swarm) in (0..).map(SwarmId).zip(self.blocks.iter().flatten()) {
            if let Some(swarm) = swarm {
                self.by_info_hash.insert_unique(rules.hash(swarm.info_hash), id, |_| unreachable!("there is room"));
            }
        }
    }
}

impl SwarmId {
    fn block(self) -> usize {
        self.0 as usize / BLOCK
    }

    fn within(self) -> usize {
        self.0 as usize % BLOCK
    }
}

impl Index<SwarmId> for Swarms {
    type Output = Swarm;

    fn index(&self, id: SwarmId) -> &Swarm {
        self.blocks[id.block()][id.within()].as_ref().expect("an id is used as long as its swarm is there")
    }
}

impl IndexMut<SwarmId> for Swarms {
    fn index_mut(&mut self, id: SwarmId) -> &mut Swarm {
        self.place(id).as_mut().expect("an id is used as long as its swarm is there")
    }
}
