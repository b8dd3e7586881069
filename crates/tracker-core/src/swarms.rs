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
    blocks: Vec<Block>,
    /// Places that became free.
    free: Vec<SwarmId>,
    by_info_hash: HashTable<SwarmId>,
}

#[derive(Debug, Default)]
struct Block {
    /// Empty when its memory was given back: all its places are free then.
    places: Vec<Option<Swarm>>,
    /// The number of places in use.
    taken: usize,
}

/// Swarms in one array: about 26 KB.
const BLOCK: usize = 256;

/// The table is not made smaller than this while there are swarms.
const KEPT: usize = 2 * BLOCK;

/// The place of a swarm, valid as long as the swarm exists.
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
                let block = &mut self.blocks[id.block()];
                if block.places.len() <= id.within() {
                    // All between were given back, too. What is behind may never have been a place: it stays for `append`.
                    block.places.reserve_exact(BLOCK - block.places.len());
                    block.places.resize_with(id.within() + 1, || None);
                }
                block.places[id.within()] = Some(swarm);
                block.taken += 1;
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
        let is_only_block = self.blocks.len() == 1;
        let block = &mut self.blocks[id.block()];
        block.taken -= 1;
        if block.taken == 0 && !is_only_block {
            block.places = Vec::new();
        }
        self.free.push(id);
        self.give_back(rules);
        Some(swarm)
    }

    /// The number of places, free ones included, for [`at`](Self::at).
    pub(crate) fn places(&self) -> usize {
        self.blocks.last().map_or(0, |last| (self.blocks.len() - 1) * BLOCK + last.places.len())
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Swarm> {
        self.blocks.iter_mut().flat_map(|block| block.places.iter_mut().flatten())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Swarm> {
        self.blocks.iter().flat_map(|block| block.places.iter().flatten())
    }

    /// The content of a place, if there is such a place. Some are free.
    pub(crate) fn at(&self, place: usize) -> Option<Option<&Swarm>> {
        let block = self.blocks.get(place / BLOCK)?;
        match block.places.get(place % BLOCK) {
            Some(swarm) => Some(swarm.as_ref()),
            // What was given back is free, and what is behind the last was never a place.
            None => (place / BLOCK + 1 < self.blocks.len()).then_some(None),
        }
    }

    /// The id of the swarm at a place, if there is such a place. Some are free.
    pub(crate) fn id_at(&self, place: usize) -> Option<Option<SwarmId>> {
        // A place is the number in the id of its swarm.
        self.at(place).map(|swarm| swarm.map(|_| SwarmId(place as u32)))
    }

    fn place(&mut self, id: SwarmId) -> &mut Option<Swarm> {
        &mut self.blocks[id.block()].places[id.within()]
    }

    /// Puts a swarm behind all others: no place before is free.
    fn append(&mut self, swarm: Swarm) -> SwarmId {
        if self.blocks.last().is_none_or(|block| block.places.len() == BLOCK) {
            self.blocks.push(Block { places: Vec::with_capacity(BLOCK), taken: 0 });
        }
        let (before, last) = ((self.blocks.len() - 1) * BLOCK, self.blocks.last_mut().expect("there is one"));
        last.places.push(Some(swarm));
        last.taken += 1;
        SwarmId(u32::try_from(before + last.places.len() - 1).expect("Config::validate bounds the swarms"))
    }

    /// Makes the table larger when it is full.
    fn make_room(&mut self, rules: &Rules) {
        if self.by_info_hash.len() == self.by_info_hash.capacity() {
            self.make_table(rules);
        }
    }

    /// Makes the table and the list of free places smaller when they are for many times as many swarms as there are.
    fn give_back(&mut self, rules: &Rules) {
        let capacity = self.by_info_hash.capacity();
        let is_too_large = capacity > KEPT && self.len() < capacity / 8;
        let is_all_free = self.len() == 0 && self.blocks.len() > 1;
        if !(is_too_large || is_all_free) {
            return;
        }
        self.make_table(rules);
        let used = self.blocks.iter().rposition(|block| block.taken > 0).map_or(0, |last| last + 1);
        self.blocks.truncate(used);
        self.blocks.shrink_to_fit();
        self.free.retain(|id| id.block() < used);
        self.free.shrink_to_fit();
    }

    /// Makes a table for twice as many swarms as there are. It is filled in the order of the places: following its own order
    /// would look at them here and there, which takes many times as long where there are many.
    fn make_table(&mut self, rules: &Rules) {
        self.by_info_hash = HashTable::with_capacity(2 * self.len() + 1);
        for (first, block) in (0..).step_by(BLOCK).zip(&self.blocks) {
            for (id, swarm) in (first..).map(SwarmId).zip(&block.places) {
                if let Some(swarm) = swarm {
                    self.by_info_hash.insert_unique(rules.hash(swarm.info_hash), id, |_| unreachable!("there is room"));
                }
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
        self.blocks[id.block()].places[id.within()].as_ref().expect("an id is used as long as its swarm is there")
    }
}

impl IndexMut<SwarmId> for Swarms {
    fn index_mut(&mut self, id: SwarmId) -> &mut Swarm {
        self.place(id).as_mut().expect("an id is used as long as its swarm is there")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::{Config, Instant};

    #[test]
    fn swarms_are_found_whatever_came_and_went_and_memory_is_given_back() {
        let mut rng = StdRng::seed_from_u64(1);
        let rules = Rules::new(&Config::default(), &mut rng);
        let (mut swarms, mut known) = (Swarms::default(), BTreeMap::new());
        // Up to thousands and down to few, again and again.
        for (steps, leaving) in [(10_000, 10), (8000, 90), (3000, 50), (10_000, 20), (8000, 99)] {
            for _ in 0..steps {
                if rng.random_range(0..100) < leaving {
                    let number = rng.random_range(0..known.len().max(1));
                    let Some((&info_hash, &id)) = known.iter().nth(number) else { continue };
                    known.remove(&info_hash);
                    assert_eq!(swarms.remove(&rules, id).map(|swarm| swarm.info_hash), Some(info_hash));
                } else {
                    let info_hash = InfoHash::new(rng.random());
                    known.insert(info_hash, swarms.insert(&rules, Swarm::new(info_hash, Instant::ZERO)));
                }
            }
            assert_eq!((swarms.len(), swarms.iter().count()), (known.len(), known.len()));
            let ids = (0..).map_while(|place| swarms.id_at(place)).flatten();
            assert!(ids.clone().all(|id| known.get(&swarms[id].info_hash) == Some(&id)));
            assert_eq!(ids.count(), known.len());
            let places = swarms.blocks.iter().filter(|block| !block.places.is_empty());
            assert!(places.clone().count() <= known.len().max(1));
            assert_eq!(places.map(|block| block.taken).sum::<usize>(), known.len());
            for (info_hash, &id) in &known {
                assert_eq!((swarms.find(&rules, info_hash), swarms[id].info_hash), (Some(id), *info_hash));
            }
        }
        for (info_hash, id) in known {
            swarms.remove(&rules, id);
            assert_eq!(swarms.find(&rules, &info_hash), None);
        }
        assert!(swarms.blocks.len() <= 1 && swarms.free.capacity() <= 2 * BLOCK);
        assert!(swarms.by_info_hash.capacity() <= KEPT);
    }

    #[test]
    fn no_place_is_lost_when_the_last_come_and_go() {
        let mut rng = StdRng::seed_from_u64(1);
        let rules = Rules::new(&Config::default(), &mut rng);
        let mut swarms = Swarms::default();
        let mut insert =
            |swarms: &mut Swarms| swarms.insert(&rules, Swarm::new(InfoHash::new(rng.random()), Instant::ZERO));
        for _ in 0..4 * BLOCK {
            let id = insert(&mut swarms);
            swarms.remove(&rules, id);
            insert(&mut swarms);
        }
        assert_eq!((swarms.len(), swarms.blocks.len()), (4 * BLOCK, 4));
    }
}
