//! How many peers have each piece.

use rand::{Rng, RngExt};

use super::bits::{Bits, ones};

/// Pieces with as many copies or more are alike.
const LEVELS: usize = 16;

/// How many of the connected peers have each piece, or are about to.
///
/// A set of pieces for each number of copies, so that the least available piece is found by looking at a bit for each piece,
/// and mostly at a few words only.
///
/// Memory: a little more than 3 bytes for each piece.
#[derive(Debug)]
pub(super) struct Copies {
    /// At most one for each receiver.
    counts: Box<[u8]>,
    /// The pieces with so many copies, and in the last one those with more.
    levels: [Bits; LEVELS],
    /// The number of pieces in each of these.
    sizes: [u32; LEVELS],
}

impl Copies {
    /// No copies of so many pieces.
    pub(super) fn new(count: u32) -> Self {
        let mut levels = std::array::from_fn(|_| Bits::new(count));
        (0..count).for_each(|piece| _ = levels[0].insert(piece));
        let mut sizes = [0; LEVELS];
        sizes[0] = count;
        Self { counts: vec![0; count as usize].into(), levels, sizes }
    }

    /// One more peer has the piece.
    pub(super) fn add(&mut self, piece: u32) {
        self.change(piece, self.counts[piece as usize] + 1);
    }

    /// One peer less has it.
    pub(super) fn remove(&mut self, piece: u32) {
        self.change(piece, self.counts[piece as usize] - 1);
    }

    pub(super) fn of(&self, piece: u32) -> u8 {
        self.counts[piece as usize]
    }

    /// The number of pieces that nobody has.
    pub(super) fn without(&self) -> u32 {
        self.sizes[0]
    }

    /// One of the least available pieces that are in neither set, at random.
    pub(super) fn rarest(&self, rng: &mut impl Rng, except: [&Bits; 2]) -> Option<u32> {
        let words = except[0].word_count();
        // It begins anywhere, and takes any piece of the first word that has one.
        let first = rng.random_range(0..words);
        let filled = self.levels.iter().zip(&self.sizes).filter(|&(_, &size)| size > 0);
        filled.map(|(level, _)| level).find_map(|level| {
            let candidates = |index: &usize| level.word(*index) & !except[0].word(*index) & !except[1].word(*index);
            let index = (first..words).chain(0..first).find(|index| candidates(index) != 0)?;
            let word = candidates(&index);
            ones(index, word).nth(rng.random_range(0..word.count_ones()) as usize)
        })
    }

    /// One of the most available pieces that are in neither set, if somebody has it.
    pub(super) fn commonest(&self, except: [&Bits; 2]) -> Option<u32> {
        let filled = self.levels.iter().zip(&self.sizes).skip(1).rev().filter(|&(_, &size)| size > 0);
        filled.map(|(level, _)| level).find_map(|level| {
            let candidates = |index| level.word(index) & !except[0].word(index) & !except[1].word(index);
            (0..level.word_count()).find_map(|index| ones(index, candidates(index)).next())
        })
    }

    fn change(&mut self, piece: u32, copies: u8) {
        let before = std::mem::replace(&mut self.counts[piece as usize], copies);
        let (before, after) = (level(before), level(copies));
        if before != after {
            self.levels[before].remove(piece);
            self.levels[after].insert(piece);
            self.sizes[before] -= 1;
            self.sizes[after] += 1;
        }
    }
}

fn level(copies: u8) -> usize {
    usize::from(copies).min(LEVELS - 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn the_rarest_piece_that_is_not_excepted_is_found() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut copies = Copies::new(200);
        for piece in 0..200 {
            (0..piece % 20).for_each(|_| copies.add(piece));
        }
        let (mut has, mut revealed) = (Bits::new(200), Bits::new(200));
        let mut order = Vec::new();
        while let Some(piece) = copies.rarest(&mut rng, [&has, &revealed]) {
            order.push(copies.of(piece).min(15));
            let except = if piece % 2 == 0 { &mut has } else { &mut revealed };
            except.insert(piece);
        }
        assert_eq!(order.len(), 200);
        assert!(order.is_sorted(), "{order:?}");
    }

    #[test]
    fn the_commonest_piece_that_is_not_excepted_is_found() {
        let mut copies = Copies::new(200);
        copies.add(7);
        (0..3).for_each(|_| copies.add(150));
        let (mut has, none) = (Bits::new(200), Bits::new(200));
        assert_eq!(copies.commonest([&has, &none]), Some(150));
        has.insert(150);
        assert_eq!(copies.commonest([&none, &has]), Some(7));
        (0..200).for_each(|piece| _ = has.insert(piece));
        assert_eq!(copies.commonest([&has, &none]), None);
    }

    #[test]
    fn each_of_the_rarest_is_found_at_times() {
        let mut rng = StdRng::seed_from_u64(1);
        let copies = Copies::new(130);
        let none = Bits::new(130);
        let found: BTreeSet<_> = (0..3000).filter_map(|_| copies.rarest(&mut rng, [&none, &none])).collect();
        assert_eq!(found.len(), 130);
    }
}
