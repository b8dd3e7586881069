//! A set of pieces.

/// A set of pieces, one bit for each, in the order of a bitfield on the wire.
#[derive(Debug, Clone)]
pub(super) struct Bits {
    words: Box<[u64]>,
}

impl Bits {
    /// An empty set, for pieces below `count`.
    pub(super) fn new(count: u32) -> Self {
        Self { words: vec![0; count.div_ceil(u64::BITS) as usize].into() }
    }

    pub(super) fn contains(&self, piece: u32) -> bool {
        self.words[word(piece)] & bit(piece) != 0
    }

    /// Returns `true` if the piece was not in it.
    pub(super) fn insert(&mut self, piece: u32) -> bool {
        let was_absent = !self.contains(piece);
        self.words[word(piece)] |= bit(piece);
        was_absent
    }

    pub(super) fn remove(&mut self, piece: u32) {
        self.words[word(piece)] &= !bit(piece);
    }

    /// The pieces from `64 * index` on, the highest bit first.
    pub(super) fn word(&self, index: usize) -> u64 {
        self.words[index]
    }

    pub(super) fn word_count(&self) -> usize {
        self.words.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.words.iter().enumerate().flat_map(|(index, &word)| ones(index, word))
    }

    /// The pieces of a bitfield that are not in it. What the bitfield has too much does not count.
    pub(super) fn new_in(&self, bitfield: &[u8]) -> Vec<u32> {
        let words = self.words.iter().zip(bitfield.chunks(8)).enumerate();
        let new = words.flat_map(|(index, (word, chunk))| {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            ones(index, u64::from_be_bytes(bytes) & !word)
        });
        new.collect()
    }
}

/// The pieces of a word.
pub(super) fn ones(index: usize, mut word: u64) -> impl Iterator<Item = u32> {
    let first = index as u32 * u64::BITS;
    std::iter::from_fn(move || {
        let next = word.leading_zeros();
        (next < u64::BITS).then(|| {
            word &= !(HIGHEST >> next);
            first + next
        })
    })
}

const HIGHEST: u64 = 1 << (u64::BITS - 1);

fn word(piece: u32) -> usize {
    (piece / u64::BITS) as usize
}

fn bit(piece: u32) -> u64 {
    HIGHEST >> (piece % u64::BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitfield_tells_what_is_new() {
        let mut bits = Bits::new(75);
        bits.insert(0);
        bits.insert(70);
        // The last byte has three bits to spare, which are pieces to nobody.
        let mut bitfield = [0; 10];
        (bitfield[0], bitfield[8], bitfield[9]) = (0b1010_0001, 0b0000_0011, 0b0010_0000);
        assert_eq!(bits.new_in(&bitfield), [2, 7, 71, 74]);
        assert_eq!(bits.new_in(&bitfield[..1]), [2, 7]);
        assert_eq!(Bits::new(8).new_in(&[0; 100]), []);
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 70]);
    }
}
