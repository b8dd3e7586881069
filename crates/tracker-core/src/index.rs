//! An index of the positions of peers in their array, by the hash of their address.

/// Positions in an array, found again by a hash.
///
/// A table of open addressing with linear probing, filled to at most five sixths: two bytes a slot while positions fit, else
/// three. The hash of what stands at a position is not kept; the caller passes it.
#[derive(Debug)]
pub(crate) enum Index {
    Narrow(Table<u16>),
    Wide(Table<[u8; 3]>),
}

impl Index {
    /// An index of the positions below the number of `hashes`, with room to grow by a ninth.
    pub(crate) fn new(hashes: impl ExactSizeIterator<Item = u64>) -> Self {
        let slots = hashes.len() + hashes.len() / 3 + 2;
        // It is full before a position is as large as this.
        if slots * 5 / 6 < usize::from(u16::MAX) {
            Self::Narrow(Table::new(slots, hashes))
        } else {
            Self::Wide(Table::new(slots, hashes))
        }
    }

    /// Returns `true` if one more position makes it too full, so that a larger one must be made.
    pub(crate) fn is_full(&self, positions: usize) -> bool {
        (positions + 1) * 6 > self.slots() * 5
    }

    /// Number of slots.
    pub(crate) fn slots(&self) -> usize {
        match self {
            Self::Narrow(table) => table.slots.len(),
            Self::Wide(table) => table.slots.len(),
        }
    }

    /// The first of the positions under this hash, or one that shares its place, that `is_it`.
    pub(crate) fn find(&self, hash: u64, is_it: impl FnMut(usize) -> bool) -> Option<usize> {
        match self {
            Self::Narrow(table) => table.find(hash, is_it),
            Self::Wide(table) => table.find(hash, is_it),
        }
    }

    /// Adds a position. The index must not be [full](Self::is_full).
    pub(crate) fn insert(&mut self, hash: u64, position: usize) {
        match self {
            Self::Narrow(table) => table.insert(hash, position),
            Self::Wide(table) => table.insert(hash, position),
        }
    }

    /// Swaps the entries of two positions with the given hashes.
    pub(crate) fn swap(&mut self, a: (u64, usize), b: (u64, usize)) {
        match self {
            Self::Narrow(table) => table.swap(a, b),
            Self::Wide(table) => table.swap(a, b),
        }
    }

    /// Takes a position out. `hash_of` tells the hash of any position that is still in.
    pub(crate) fn remove(&mut self, hash: u64, position: usize, hash_of: impl Fn(usize) -> u64) {
        match self {
            Self::Narrow(table) => table.remove(hash, position, hash_of),
            Self::Wide(table) => table.remove(hash, position, hash_of),
        }
    }
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
}

impl<P: Position> Table<P> {
    fn new(slots: usize, hashes: impl Iterator<Item = u64>) -> Self {
        let mut table = Self { slots: vec![P::NONE; slots].into() };
        hashes.enumerate().for_each(|(position, hash)| table.insert(hash, position));
        table
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
    }

    fn swap(&mut self, a: (u64, usize), b: (u64, usize)) {
        let (a, b) = (self.slot_of(a.0, a.1), self.slot_of(b.0, b.1));
        self.slots.swap(a, b);
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
                    if index.is_full(keys.len()) {
                        index = Index::new(keys.iter().map(|&key| hash_of(key)));
                    }
                    index.insert(hash_of(key), keys.len());
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
}
