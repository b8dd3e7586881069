//! All swarms of a tracker, found by their info-hashes.

use std::ops::{Index, IndexMut};

use hashbrown::HashTable;

use crate::InfoHash;
use crate::rules::Rules;
use crate::swarm::Swarm;

/// All swarms of a tracker.
///
/// They stand in one array, and a table of four bytes for each finds them. An id is half as long as an info-hash.
#[derive(Debug, Default)]
pub(crate) struct Swarms {
    places: Vec<Option<Swarm>>,
    /// Places that became free.
    free: Vec<SwarmId>,
    by_info_hash: HashTable<SwarmId>,
}

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
                self.places[id.place()] = Some(swarm);
                id
            }
            None => {
                self.places.push(Some(swarm));
                SwarmId(u32::try_from(self.places.len() - 1).expect("Config::validate bounds the swarms to 2^31"))
            }
        };
        self.by_info_hash.insert_unique(hash, id, |_| unreachable!("there is room"));
        id
    }

    pub(crate) fn remove(&mut self, rules: &Rules, id: SwarmId) -> Option<Swarm> {
        let swarm = self.places[id.place()].take()?;
        if let Ok(entry) = self.by_info_hash.find_entry(rules.hash(swarm.info_hash), |&found| found == id) {
            entry.remove();
        }
        self.free.push(id);
        Some(swarm)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Swarm> {
        self.places.iter().flatten()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = SwarmId> {
        self.by_info_hash.iter().copied()
    }

    /// Makes the table larger when it is full. It is filled in the order of the places: following its own order would look at
    /// them here and there, which takes many times as long where there are many.
    fn make_room(&mut self, rules: &Rules) {
        if self.by_info_hash.len() < self.by_info_hash.capacity() {
            return;
        }
        self.by_info_hash = HashTable::with_capacity(2 * self.len() + 1);
        for (place, swarm) in self.places.iter().enumerate() {
            if let Some(swarm) = swarm {
                let id = SwarmId(place as u32);
                self.by_info_hash.insert_unique(rules.hash(swarm.info_hash), id, |_| unreachable!("there is room"));
            }
        }
    }
}

impl SwarmId {
    fn place(self) -> usize {
        self.0 as usize
    }
}

impl Index<SwarmId> for Swarms {
    type Output = Swarm;

    fn index(&self, id: SwarmId) -> &Swarm {
        self.places[id.place()].as_ref().expect("an id is used as long as its swarm is there")
    }
}

impl IndexMut<SwarmId> for Swarms {
    fn index_mut(&mut self, id: SwarmId) -> &mut Swarm {
        self.places[id.place()].as_mut().expect("an id is used as long as its swarm is there")
    }
}
