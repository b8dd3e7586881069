//! A set of pieces.

/// A set of pieces, one bit for each.
#[derive(Debug, Clone)]
pub(crate) struct PieceSet {
    pub(crate) words: Vec<u64>,
    len: u32,
}

impl PieceSet {
    pub(crate) fn new(count: u32) -> Self {
        Self { words: vec![0; count.div_ceil(64) as usize], len: 0 }
    }

    pub(crate) fn full(count: u32) -> Self {
        let mut set = Self::new(count);
        (0..count).for_each(|piece| _ = set.insert(piece));
        set
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn contains(&self, piece: u32) -> bool {
        self.words[piece as usize / 64] >> (piece % 64) & 1 == 1
    }

    /// Returns `true` if it was not in it.
    pub(crate) fn insert(&mut self, piece: u32) -> bool {
        let is_new = !self.contains(piece);
        self.words[piece as usize / 64] |= 1 << (piece % 64);
        self.len += u32::from(is_new);
        is_new
    }

    pub(crate) fn remove(&mut self, piece: u32) {
        self.len -= u32::from(self.contains(piece));
        self.words[piece as usize / 64] &= !(1 << (piece % 64));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        (0..self.words.len() as u32 * 64).filter(|&piece| self.contains(piece))
    }

    /// Returns `true` if the other one has a piece that this one has not.
    pub(crate) fn lacks_some_of(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(mine, theirs)| theirs & !mine != 0)
    }
}
