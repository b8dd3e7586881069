//! How many leechers have each piece, as leechers know it.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::pieces::PieceSet;

/// As many copies, or more, are told apart by their power of two only.
const EXACT: u32 = 16;

/// How many leechers have each piece. All leechers share one view, which is exact where each is connected to all others.
pub(crate) struct Rarity {
    copies: Vec<u32>,
    levels: Vec<PieceSet>,
}

impl Rarity {
    pub(crate) fn new(count: u32) -> Self {
        let mut levels = vec![PieceSet::new(count); level(u32::MAX) + 1];
        levels[0] = PieceSet::full(count);
        Self { copies: vec![0; count as usize], levels }
    }

    pub(crate) fn add(&mut self, piece: u32) {
        self.change(piece, self.copies[piece as usize] + 1);
    }

    pub(crate) fn remove(&mut self, piece: u32) {
        self.change(piece, self.copies[piece as usize] - 1);
    }

    /// A random one of the rarest pieces that are `offered`, and in neither of the others.
    pub(crate) fn rarest(&self, rng: &mut StdRng, offered: &PieceSet, except: [&PieceSet; 2]) -> Option<u32> {
        let words = offered.words.len();
        let first = rng.random_range(0..words);
        for level in self.levels.iter().filter(|level| level.len() > 0) {
            for index in (first..words).chain(0..first) {
                let mut word = level.words[index] & offered.words[index];
                word &= !except[0].words[index] & !except[1].words[index];
                if word != 0 {
                    for _ in 0..rng.random_range(0..word.count_ones()) {
                        word &= word - 1;
                    }
                    return Some(index as u32 * 64 + word.trailing_zeros());
                }
            }
        }
        None
    }

    fn change(&mut self, piece: u32, copies: u32) {
        let before = std::mem::replace(&mut self.copies[piece as usize], copies);
        if level(before) != level(copies) {
            self.levels[level(before)].remove(piece);
            self.levels[level(copies)].insert(piece);
        }
    }
}

fn level(copies: u32) -> usize {
    if copies < EXACT { copies as usize } else { (EXACT + (copies / EXACT).ilog2()) as usize }
}
