//! An index of the positions of peers in their array, by the hash of their address.

/// Positions in an array, found again by a hash.
///
/// Tables of open addressing with linear probing, filled to at most five sixths: one with two bytes a slot while positions fit, else
/// [`TABLES`] with three, of which one at a time is made larger. The hash of what stands at a position is not kept; the caller
/// passes it.
#[derive(Debug)]
pub(crate) enum Index {
    Narrow(Table<u16>),
    Wide(Box<[Table<[u8; 3]>; TABLES]>),
}

/// The number of tables for many positions. With the most peers that a swarm has by default, making one larger takes about 0.3 ms; a single
/// one for all of them takes 2.5 ms, in which nobody else gets an answer.
const TABLES: usize = 16;

impl Index {
    /// An index of the positions below the number of `hashes`, with room to grow by a ninth.
    pub(crate) fn new(hashes: impl ExactSizeIterator<Item = u64> + Clone) -> Self {
        // It is full before a position is as large as this.
        if room_for(hashes.len()) * 5 / 6 < usize::from(u16::MAX) {
            return Self::Narrow(Table::new(hashes.len(), hashes.enumerate()));
        }
        let mut counts = [0; TABLES];
        hashes.clone().for_each(|hash| counts[number(hash)] += 1);
        let mut tables = Box::new(counts.map(Table::with_room_for));
        hashes.enumerate().for_each(|(position, hash)| tables[number(hash)].insert(hash, position));
        Self::Wide(tables)
    }

    /// Number of slots.
    pub(crate) fn slots(&self) -> usize {
        match self {
            Self::Narrow(table) => table.slots.len(),
            Self::Wide(tables) => tables.iter().map(|table| table.slots.len()).sum(),
        }
    }

    /// The first of the positions under this hash, or one that shares its place, that `is_it`.
    pub(crate) fn find(&self, hash: u64, is_it: impl FnMut(usize) -> bool) -> Option<usize> {
        match self {
            Self::Narrow(table) => table.find(hash, is_it),
            Self::Wide(tables) => tables[number(hash)].find(hash, is_it),
        }
    }

    /// Adds a position, behind all others. `hash_of` tells the hash of each of these.
    pub(crate) fn insert(&mut self, hash: u64, position: usize, hash_of: impl Fn(usize) -> u64 + Clone) {
        match self {
            Self::Narrow(table) if table.is_full() => {
                // The old one first, so that there are never two.
                *table = Table::default();
                *self = Self::new((0..position).map(hash_of.clone()));
                self.insert(hash, position, hash_of);
            }
            Self::Narrow(table) => table.insert(hash, position),
            Self::Wide(tables) => {
                let table = &mut tables[number(hash)];
                if table.is_full() {
                    let positions = table.slots.iter().filter(|&&slot| slot != <[u8; 3]>::NONE);
                    *table = Table::new(table.used, positions.map(|slot| (slot.get(), hash_of(slot.get()))));
                }
                table.insert(hash, position);
            }
        }
    }

    /// Swaps the entries of two positions with the given hashes.
    pub(crate) fn swap(&mut self, a: (u64, usize), b: (u64, usize)) {
        match self {
            Self::Narrow(table) => {
                let (slot_a, slot_b) = (table.slot_of(a.0, a.1), table.slot_of(b.0, b.1));
                table.slots.swap(slot_a, slot_b);
            }
            Self::Wide(tables) => {
                let slot_a = tables[number(a.0)].slot_of(a.0, a.1);
                let slot_b = tables[number(b.0)].slot_of(b.0, b.1);
                tables[number(a.0)].slots[slot_a] = Position::new(b.1);
                tables[number(b.0)].slots[slot_b] = Position::new(a.1);
            }
        }
    }

    /// Takes a position out. `hash_of` tells the hash of any position that is still in.
    pub(crate) fn remove(&mut self, hash: u64, position: usize, hash_of: impl Fn(usize) -> u64) {
        match self {
            Self::Narrow(table) => table.remove(hash, position, hash_of),
            Self::Wide(tables) => tables[number(hash)].remove(hash, position, hash_of),
        }
    }
}

/// The table for a hash: by its lower half, of which [`Table::home`] knows nothing.
fn number(hash: u64) -> usize {
    hash as usize % TABLES
}

/// The number of slots for so many positions, and a ninth more.
const fn room_for(positions: usize) -> usize {
    positions + positions / 3 + 2
}

/// A position, as narrow as it may be. The largest number is no position.
pub(crate) trait Position: Copy + PartialEq {
    const NONE: Self;

    fn new(position: usize) -> Self;

    fn get(self) -> usize;
}

impl Position for u16 {
    const NONE: Self = Self::MAX;

    fn new(position: usize) -> Self {
        Self::try_from(position).expect("an index is made wide before positions need it")
    }

    fn get(self) -> usize {
        self.into()
    }
}

impl Position for [u8; 3] {
    const NONE: Self = [u8::MAX; 3];

    fn new(position: usize) -> Self {
        let [low @ .., high] = u32::try_from(position).expect(FITS).to_le_bytes();
        assert!(high == 0 && low != Self::NONE, "{FITS}");
        low
    }

    fn get(self) -> usize {
        let [a, b, c] = self;
        u32::from_le_bytes([a, b, c, 0]) as usize
    }
}

const FITS: &str = "Config::validate bounds a swarm to fewer than 2^24 peers";

#[derive(Debug)]
pub(crate) struct Table<P> {
    slots: Box<[P]>,
    /// The number of slots that have a position.
    used: usize,
}

impl<P> Default for Table<P> {
    fn default() -> Self {
        Self { slots: Box::default(), used: 0 }
    }
}

impl<P: Position> Table<P> {
    fn with_room_for(positions: usize) -> Self {
        Self { slots: vec![P::NONE; room_for(positions)].into(), used: 0 }
    }

    /// A table of as many positions, each with its hash.
    fn new(count: usize, positions: impl Iterator<Item = (usize, u64)>) -> Self {
        let mut table = Self::with_room_for(count);
        positions.for_each(|(position, hash)| table.insert(hash, position));
        table
    }

    /// Returns `true` if one more position makes it too full, so that a larger one must be made.
    fn is_full(&self) -> bool {
        (self.used + 1) * 6 > self.slots.len() * 5
    }

    /// The slot where the search for a hash begins: its upper half, scaled to the number of slots.
    fn home(&self, hash: u64) -> usize {
        (((hash >> 32) * self.slots.len() as u64) >> 32) as usize
    }

    fn after(&self, slot: usize) -> usize {
        if slot + 1 == self.slots.len() { 0 } else { slot + 1 }
    }

    fn find(&self, hash: u64, mut predicate: impl FnMut(usize) -> bool) -> Option<usize> {
        let mut slot = self.home(hash);
        while self.slots[slot] != P::NONE {
            let position = self.slots[slot].get();
            if predicate(position) {
                return Some(position);
            }
            slot = self.after(slot);
        }
        None
    }

    fn insert(&mut self, hash: u64, position: usize) {
        let mut slot = self.home(hash);
        while self.slots[slot] != P::NONE {
            slot = self.after(slot);
        }
        self.slots[slot] = P::new(position);
        self.used += 1;
    }

    fn remove(&mut self, hash: u64, position: usize, hash_of: impl Fn(usize) -> u64) {
        let mut hole = self.slot_of(hash, position);
        let mut slot = self.after(hole);
        // What follows moves up, so that no search ends at the hole too early.
        while self.slots[slot] != P::NONE {
            let home = self.home(hash_of(self.slots[slot].get()));
            if self.distance(home, slot) >= self.distance(hole, slot) {
                self.slots[hole] = self.slots[slot];
                hole = slot;
            }
            slot = self.after(slot);
        }
        self.slots[hole] = P::NONE;
        self.used -= 1;
    }

    fn slot_of(&self, hash: u64, position: usize) -> usize {
        let mut slot = self.home(hash);
        while self.slots[slot] != P::new(position) {
            assert!(self.slots[slot] != P::NONE, "every peer stands in the index");
            slot = self.after(slot);
        }
        slot
    }

    /// The number of slots from `from` to `to`, wrapping around at the end.
    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.slots.len() - from }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Few homes, so that everything collides, also around the end.
    fn hash_of(key: u8) -> u64 {
        u64::from(key % 5) << 62 | 0x3fff_ffff_0000_0000
    }

    proptest! {
        #[test]
        fn what_is_in_is_found_and_nothing_else(operations: Vec<(u8, bool)>) {
            // Keys by position, as an array with swap_remove has them.
            let mut keys: Vec<u8> = Vec::new();
            let mut index = Index::new(std::iter::empty());
            for (key, insert) in operations {
                if insert {
                    index.insert(hash_of(key), keys.len(), |position| hash_of(keys[position]));
                    keys.push(key);
                } else if let Some(position) = keys.iter().position(|&other| other == key) {
                    let last = keys.len() - 1;
                    if position != last {
                        index.swap((hash_of(key), position), (hash_of(keys[last]), last));
                        keys.swap(position, last);
                    }
                    index.remove(hash_of(key), last, |position| hash_of(keys[position]));
                    keys.pop();
                }
                let mut expected: BTreeMap<u8, usize> = BTreeMap::new();
                keys.iter().for_each(|&key| *expected.entry(key).or_default() += 1);
                for key in 0..=u8::MAX {
                    let mut found = 0;
                    index.find(hash_of(key), |position| { found += usize::from(keys[position] == key); false });
                    prop_assert_eq!(found, expected.get(&key).copied().unwrap_or(0));
                }
            }
        }
    }

    #[test]
    fn positions_that_do_not_fit_two_bytes_make_it_wide() {
        let hash = |position: usize| (position as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        assert!(matches!(Index::new((0..50_000).map(hash)), Index::Narrow(_)));
        let index = Index::new((0..70_000).map(hash));
        assert!(matches!(index, Index::Wide(_)));
        assert_eq!(index.find(hash(69_999), |position| position == 69_999), Some(69_999));
    }

    #[test]
    fn it_grows_table_by_table_and_keeps_all_that_is_in() {
        let hash = |position: usize| (position as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(20);
        let mut index = Index::new((0..0).map(hash));
        (0..100_000).for_each(|position| index.insert(hash(position), position, hash));
        let Index::Wide(tables) = &index else { panic!("{} slots", index.slots()) };
        assert!(tables.iter().all(|table| table.used * 6 <= table.slots.len() * 5));
        assert_eq!(tables.iter().map(|table| table.used).sum::<usize>(), 100_000);
        assert!(index.slots() < 160_000, "{} slots", index.slots());
        // Those of other tables, too, change places.
        for (a, b) in (0..50_000).zip(50_000..) {
            index.swap((hash(a), a), (hash(b), b));
        }
        let after = |position: usize| hash(if position < 50_000 { position + 50_000 } else { position - 50_000 });
        for position in 0..100_000 {
            assert_eq!(index.find(after(position), |found| found == position), Some(position));
        }
        for position in (60_000..100_000).rev() {
            index.remove(after(position), position, after);
            assert_eq!(index.find(after(position), |found| found == position), None);
        }
        assert!((0..60_000).all(|position| index.find(after(position), |found| found == position).is_some()));
    }
}
