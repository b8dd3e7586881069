//! Numbers drawn at random, each by itself.

use rand::{Rng, RngExt};

/// Up to this many numbers are drawn from an array of them, which is put in order again afterwards.
const FEW: u32 = 4096;

/// Draws that can be made of one sample: as many as the selection makes for the largest numwant, with room to spare.
const MOST_DRAWS: u32 = (u16::MAX as u32 + 1) / 4;

/// Draws numbers without repetition, each order of them equally likely. What it takes depends on how many are drawn, not on
/// how many there are.
#[derive(Debug, Default)]
pub(super) struct Singles {
    /// The numbers are those below.
    n: u32,
    /// The number of draws left.
    draws: u32,
    /// The numbers in order, but for those that were drawn: the first of them stand at the beginning.
    numbers: Vec<u16>,
    /// With which position each of the first positions was exchanged.
    exchanged: Vec<u16>,
    drawn: Drawn,
    are_few: bool,
}

impl Singles {
    /// Starts again with the numbers below `n`, of which as many as `draws` can be drawn.
    pub(super) fn start(&mut self, n: usize, draws: usize) {
        self.n = u32::try_from(n).expect(super::FITS);
        let draws = u32::try_from(draws).unwrap_or(u32::MAX).min(self.n).min(MOST_DRAWS);
        self.draws = draws;
        for (position, other) in self.exchanged.drain(..).enumerate().rev() {
            self.numbers.swap(position, other.into());
        }
        self.are_few = self.n <= FEW.max(4 * draws);
        if self.are_few {
            let known = self.numbers.len() as u32;
            // At most 2^16 of them, so the highest fits.
            self.numbers.extend((known..self.n.max(known)).map(|number| number as u16));
        } else {
            self.drawn.start(draws);
        }
    }

    /// The next number, until as many were drawn as requested at the start.
    #[inline]
    pub(super) fn draw(&mut self, rng: &mut impl Rng) -> Option<usize> {
        self.draws = self.draws.checked_sub(1)?;
        if self.are_few {
            let position = self.exchanged.len();
            let other = rng.random_range(position as u32..self.n);
            self.numbers.swap(position, other as usize);
            self.exchanged.push(other as u16);
            return Some(self.numbers[position].into());
        }
        // At most a quarter is ever drawn, so a new number comes soon.
        loop {
            let number = rng.random_range(0..self.n);
            if self.drawn.insert(number) {
                return Some(number as usize);
            }
        }
    }
}

/// The numbers that were drawn: a table of open addressing in which each slot tells in which round it was filled, so that it
/// need not be emptied.
#[derive(Debug, Default)]
struct Drawn {
    /// Rounds and numbers; a power of two of them.
    slots: Vec<(u32, u32)>,
    round: u32,
}

impl Drawn {
    fn start(&mut self, draws: u32) {
        let slots = (2 * draws as usize).next_power_of_two();
        self.round = self.round.wrapping_add(1);
        if self.slots.len() < slots || self.round == 0 {
            self.slots = vec![(0, 0); slots.max(self.slots.len())];
            self.round = 1;
        }
    }

    /// Adds a number. Returns `true` if it is new.
    fn insert(&mut self, number: u32) -> bool {
        let mask = self.slots.len() - 1;
        let mut slot = number as usize & mask;
        while self.slots[slot].0 == self.round {
            if self.slots[slot].1 == number {
                return false;
            }
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = (self.round, number);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn drawn(sample: &mut Singles, rng: &mut StdRng, n: usize, draws: usize) -> Vec<usize> {
        sample.start(n, draws);
        std::iter::from_fn(|| sample.draw(rng)).collect()
    }

    /// Also after other samples were taken with the same memory.
    #[test]
    fn a_sample_repeats_nothing_and_misses_nothing() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut sample = Singles::default();
        for (n, draws) in
            [(100, 100), (1, 1), (0, 0), (4096, 50), (100_000, 80), (3, 2), (20_000, 8000), (4097, 200), (5000, 5000)]
        {
            for _ in 0..3 {
                let drawn = drawn(&mut sample, &mut rng, n, draws);
                let distinct: BTreeSet<_> = drawn.iter().collect();
                assert_eq!((distinct.len(), drawn.len()), (draws, draws), "{draws} of {n}");
                assert!(drawn.iter().all(|&number| number < n));
            }
        }
    }

    #[test]
    fn every_number_comes() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut sample = Singles::default();
        for n in [10, 10_000] {
            let mut seen = BTreeSet::new();
            while seen.len() < n {
                seen.extend(drawn(&mut sample, &mut rng, n, 5));
            }
        }
    }

    #[test]
    fn rounds_may_begin_again() {
        let mut drawn = Drawn::default();
        drawn.start(4);
        assert!(drawn.insert(1) && !drawn.insert(1));
        drawn.round = u32::MAX;
        drawn.start(4);
        assert!(drawn.insert(1) && !drawn.insert(1));
    }
}
