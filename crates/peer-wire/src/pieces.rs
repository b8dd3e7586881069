//! The pieces that a peer has.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

/// The most pieces of a torrent whose number of pieces is not known: as many as libtorrent loads by default. A bitfield has
/// 256 KiB then.
pub const MAX_UNKNOWN_PIECES: u32 = 2 * 1024 * 1024;

/// The pieces that a peer has, as it says.
///
/// The number of pieces of the torrent may be unknown, since a tracker may know no more of a torrent than its info-hash. A bitfield
/// does not tell it, since it has a multiple of eight bits. Then at most [`MAX_UNKNOWN_PIECES`] are kept.
///
/// What contradicts the number of pieces is an [error](PiecesError), as it is for clients: the peer lies, or has another torrent,
/// and nothing that it says of its pieces is of use.
///
/// Memory: a bit for each piece, and nothing while the peer has all or none.
#[derive(Clone)]
pub struct Pieces {
    /// The number of pieces of the torrent.
    count: Option<u32>,
    keep: Keep,
    had: Had,
}

/// What is kept of a peer that has some pieces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Bits,
    Count,
}

#[derive(Clone, PartialEq, Eq)]
enum Had {
    None,
    All,
    /// A bit for each piece, the highest bit of the first byte for the first piece, and the number of ones. Of a known number of
    /// pieces there are as many bytes as it takes, and the spare bits at the end are zeros.
    Bits {
        bits: Vec<u8>,
        ones: u32,
    },
    /// The number of pieces.
    Count(u32),
}

/// How much of the torrent a peer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Progress {
    /// The number of pieces that the peer has; 0 if it has all of an unknown number.
    pub had: u32,
    /// The number of pieces of the torrent, if it is known.
    pub of: Option<u32>,
    /// `true` if the peer has all of them. If their number is unknown, this is `true` only after the peer said "all".
    pub is_complete: bool,
}

impl Pieces {
    /// No pieces. `count` is the number of pieces of the torrent, if it is known.
    pub const fn new(count: Option<u32>) -> Self {
        Self { count, keep: Keep::Bits, had: Had::None }
    }

    /// The bitfield of a peer that has all of so many pieces.
    pub fn full_bitfield(count: u32) -> Vec<u8> {
        without_spare(vec![0xff; bytes(count)], spare_bits(count))
    }

    /// The number of pieces that the peer has.
    pub fn progress(&self) -> Progress {
        let had = match self.had {
            Had::None => 0,
            Had::All => self.count.unwrap_or(0),
            Had::Bits { ones, .. } | Had::Count(ones) => ones,
        };
        Progress { had, of: self.count, is_complete: self.had == Had::All }
    }

    /// Returns `true` if the peer has this piece. `false` if the torrent has no such piece, or if
    /// [only their number](Self::keep_only_count) is kept.
    pub fn contains(&self, piece: u32) -> bool {
        match &self.had {
            Had::None | Had::Count(_) => false,
            Had::All => self.count.is_none_or(|count| piece < count),
            Had::Bits { bits, .. } => bits.get(index(piece)).is_some_and(|byte| byte & bit(piece) != 0),
        }
    }

    /// The bitfield of the peer's pieces: a bit for each, the highest bit of the first byte for the first piece. `None` if
    /// [only their number](Self::keep_only_count) is kept, or if the peer has all of an unknown number.
    pub fn bitfield(&self) -> Option<Cow<'_, [u8]>> {
        match &self.had {
            Had::None => Some(Cow::Borrowed(&[])),
            Had::All => self.count.map(|count| Self::full_bitfield(count).into()),
            Had::Bits { bits, .. } => Some(bits.into()),
            Had::Count(_) => None,
        }
    }

    /// The peer has all pieces.
    pub fn set_all(&mut self) {
        self.had = Had::All;
    }

    /// The peer has no pieces.
    pub fn set_none(&mut self) {
        self.had = Had::None;
    }

    /// The peer has the pieces whose bits are set, and no others. Spare bits at the end do not matter.
    ///
    /// # Errors
    ///
    /// The bitfield does not have the length that the number of pieces demands, or is longer than that of
    /// [`MAX_UNKNOWN_PIECES`].
    pub fn set_bitfield(&mut self, bitfield: &[u8]) -> Result<(), PiecesError> {
        let is_possible = match self.count {
            Some(count) => bitfield.len() == bytes(count),
            None => bitfield.len() <= bytes(MAX_UNKNOWN_PIECES),
        };
        if !is_possible {
            return Err(PiecesError::BitfieldLength { length: bitfield.len(), piece_count: self.count });
        }
        let spare = self.count.map_or(0, spare_bits);
        let spare_ones = bitfield.last().map_or(0, |last| (last & spare).count_ones());
        let ones = ones(bitfield) - spare_ones;
        self.had = match self.keep {
            Keep::Count => Had::Count(ones),
            Keep::Bits => Had::Bits { bits: without_spare(bitfield.to_vec(), spare), ones },
        };
        self.settle();
        Ok(())
    }

    /// The peer has this piece.
    ///
    /// # Errors
    ///
    /// The torrent has no such piece, or it is beyond [`MAX_UNKNOWN_PIECES`].
    pub fn insert(&mut self, piece: u32) -> Result<(), PiecesError> {
        self.check(piece)?;
        if self.had == Had::None {
            self.had = match self.keep {
                Keep::Count => Had::Count(0),
                Keep::Bits => Had::Bits { bits: vec![0; self.count.map_or(0, bytes)], ones: 0 },
            };
        }
        match &mut self.had {
            Had::None | Had::All => {}
            Had::Count(ones) => *ones = ones.saturating_add(1),
            Had::Bits { bits, ones } => {
                if bits.len() <= index(piece) {
                    bits.resize(index(piece) + 1, 0);
                }
                let byte = &mut bits[index(piece)];
                *ones += u32::from(*byte & bit(piece) == 0);
                *byte |= bit(piece);
            }
        }
        self.settle();
        Ok(())
    }

    /// The peer does not have this piece any more. Ignored if it has all of an unknown number, of which none can be left out.
    ///
    /// # Errors
    ///
    /// The torrent has no such piece, or it is beyond [`MAX_UNKNOWN_PIECES`].
    pub fn remove(&mut self, piece: u32) -> Result<(), PiecesError> {
        self.check(piece)?;
        if let (Had::All, Some(count)) = (&self.had, self.count) {
            self.had = match self.keep {
                Keep::Count => Had::Count(count),
                Keep::Bits => {
                    Had::Bits { bits: without_spare(vec![0xff; bytes(count)], spare_bits(count)), ones: count }
                }
            };
        }
        match &mut self.had {
            Had::None | Had::All => {}
            Had::Count(ones) => *ones = ones.saturating_sub(1),
            Had::Bits { bits, ones } => {
                if let Some(byte) = bits.get_mut(index(piece)) {
                    *ones -= u32::from(*byte & bit(piece) != 0);
                    *byte &= !bit(piece);
                }
            }
        }
        self.settle();
        Ok(())
    }

    /// Sets the number of pieces of the torrent. Pieces beyond it, which the peer claimed before the number was known, are dropped.
    pub fn set_count(&mut self, count: u32) {
        self.count = Some(count);
        if let Had::Bits { bits, ones: had } = &mut self.had {
            bits.resize(bytes(count), 0);
            bits.shrink_to_fit();
            if let Some(last) = bits.last_mut() {
                *last &= !spare_bits(count);
            }
            *had = ones(bits);
        }
        self.settle();
    }

    /// Keeps no more than the number of pieces from now on, to save the memory. A piece that the peer names twice counts twice.
    pub fn keep_only_count(&mut self) {
        self.keep = Keep::Count;
        if let Had::Bits { ones, .. } = self.had {
            self.had = Had::Count(ones);
        }
    }

    /// The bytes of memory that it has allocated.
    pub fn allocated(&self) -> usize {
        match &self.had {
            Had::Bits { bits, .. } => bits.capacity(),
            Had::None | Had::All | Had::Count(_) => 0,
        }
    }

    fn check(&self, piece: u32) -> Result<(), PiecesError> {
        if piece < self.count.unwrap_or(MAX_UNKNOWN_PIECES) {
            Ok(())
        } else {
            Err(PiecesError::OutOfRange { piece, piece_count: self.count })
        }
    }

    /// Turns as many pieces as there are into all, and zero into none.
    fn settle(&mut self) {
        let (Had::Bits { ones, .. } | Had::Count(ones)) = self.had else { return };
        if ones == 0 {
            self.had = Had::None;
        } else if self.count.is_some_and(|count| ones >= count) {
            self.had = Had::All;
        }
    }
}

/// Leaves out the bits.
impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pieces").field(&self.progress()).finish()
    }
}

/// The number of bytes with a bit for each piece.
const fn bytes(count: u32) -> usize {
    count.div_ceil(8) as usize
}

/// The bits of the last byte that are for no piece.
const fn spare_bits(count: u32) -> u8 {
    match count % 8 {
        0 => 0,
        used => 0xff >> used,
    }
}

fn without_spare(mut bits: Vec<u8>, spare: u8) -> Vec<u8> {
    if let Some(last) = bits.last_mut() {
        *last &= !spare;
    }
    bits
}

fn ones(bits: &[u8]) -> u32 {
    bits.iter().map(|byte| byte.count_ones()).sum()
}

const fn index(piece: u32) -> usize {
    piece as usize / 8
}

const fn bit(piece: u32) -> u8 {
    0x80 >> (piece % 8)
}

/// What a peer says of its pieces contradicts the torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PiecesError {
    /// A bitfield does not have a bit for each piece.
    #[error("a bitfield of {length} bytes is not one of {}", of(*.piece_count))]
    BitfieldLength {
        /// The length of the bitfield, in bytes.
        length: usize,
        /// The number of pieces, if it is known.
        piece_count: Option<u32>,
    },
    /// There is no such piece.
    #[error("there is no piece {piece} among {}", of(*.piece_count))]
    OutOfRange {
        /// The index of the piece.
        piece: u32,
        /// The number of pieces, if it is known.
        piece_count: Option<u32>,
    },
}

fn of(piece_count: Option<u32>) -> String {
    match piece_count {
        Some(count) => format!("{count} pieces"),
        None => format!("at most {MAX_UNKNOWN_PIECES} pieces"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn progress(had: u32, of: Option<u32>, is_complete: bool) -> Progress {
        Progress { had, of, is_complete }
    }

    #[test]
    fn a_bitfield_replaces_what_was_known() {
        let mut pieces = Pieces::new(Some(10));
        pieces.insert(9).expect("a piece");
        assert_eq!(pieces.progress(), progress(1, Some(10), false));

        // The six spare bits do not count.
        pieces.set_bitfield(b"\x81\x3f").expect("two bytes");
        assert_eq!(pieces.progress(), progress(2, Some(10), false));
        let had: Vec<_> = (0..20).filter(|&piece| pieces.contains(piece)).collect();
        assert_eq!(had, [0, 7]);

        pieces.set_bitfield(b"\xff\xc0").expect("two bytes");
        assert_eq!(pieces.progress(), progress(10, Some(10), true));
        assert_eq!(pieces.allocated(), 0);
        assert!(pieces.contains(9) && !pieces.contains(10));

        pieces.set_bitfield(b"\0\0").expect("two bytes");
        assert_eq!(pieces.progress(), progress(0, Some(10), false));
        assert_eq!(pieces.allocated(), 0);

        pieces.set_all();
        assert_eq!(pieces.progress(), progress(10, Some(10), true));
        pieces.set_none();
        assert_eq!(pieces.progress(), progress(0, Some(10), false));
    }

    #[test]
    fn what_contradicts_the_number_of_pieces_is_an_error() {
        let mut pieces = Pieces::new(Some(10));
        pieces.insert(3).expect("a piece");
        for bitfield in [&b""[..], b"\xff", b"\xff\xff\xff"] {
            let error = PiecesError::BitfieldLength { length: bitfield.len(), piece_count: Some(10) };
            assert_eq!(pieces.set_bitfield(bitfield), Err(error));
        }
        let error = PiecesError::OutOfRange { piece: 10, piece_count: Some(10) };
        assert_eq!(pieces.insert(10), Err(error));
        assert_eq!(pieces.remove(10), Err(error));
        assert_eq!(error.to_string(), "there is no piece 10 among 10 pieces");
        assert_eq!(pieces.progress(), progress(1, Some(10), false));

        let mut pieces = Pieces::new(None);
        assert_eq!(pieces.insert(2_097_151), Ok(()));
        let error = PiecesError::OutOfRange { piece: 2_097_152, piece_count: None };
        assert_eq!(pieces.insert(2_097_152), Err(error));
        assert_eq!(error.to_string(), "there is no piece 2097152 among at most 2097152 pieces");
        assert_eq!(pieces.set_bitfield(&[0; 262_144]), Ok(()));
        let error = PiecesError::BitfieldLength { length: 262_145, piece_count: None };
        assert_eq!(pieces.set_bitfield(&[0; 262_145]), Err(error));
    }

    #[test]
    fn the_number_of_pieces_may_come_later() {
        let mut pieces = Pieces::new(None);
        pieces.set_bitfield(b"\xff\xff").expect("two bytes");
        // They may be 9 to 16.
        assert_eq!(pieces.progress(), progress(16, None, false));
        pieces.set_count(9);
        assert_eq!(pieces.progress(), progress(9, Some(9), true));

        let mut pieces = Pieces::new(None);
        pieces.insert(3).expect("a piece");
        pieces.insert(70).expect("a piece");
        pieces.insert(70).expect("a piece");
        assert_eq!(pieces.progress(), progress(2, None, false));
        pieces.set_count(70);
        assert_eq!(pieces.progress(), progress(1, Some(70), false));
        assert_eq!(pieces.allocated(), 9);
        pieces.insert(69).expect("a piece");

        let mut pieces = Pieces::new(None);
        pieces.set_all();
        assert_eq!(pieces.progress(), progress(0, None, true));
        // Which are left of an unknown number cannot be kept.
        pieces.remove(5).expect("a piece");
        assert_eq!(pieces.progress(), progress(0, None, true));
        pieces.set_count(3);
        assert_eq!(pieces.progress(), progress(3, Some(3), true));
        pieces.remove(1).expect("a piece");
        assert_eq!(pieces.progress(), progress(2, Some(3), false));
        assert!(pieces.contains(0) && !pieces.contains(1) && pieces.contains(2) && !pieces.contains(3));
    }

    #[test]
    fn a_torrent_without_pieces_is_complete_only_if_the_peer_says_so() {
        let mut pieces = Pieces::new(Some(0));
        assert_eq!(pieces.set_bitfield(b""), Ok(()));
        assert_eq!(pieces.progress(), progress(0, Some(0), false));
        pieces.set_all();
        assert_eq!(pieces.progress(), progress(0, Some(0), true));
    }

    proptest! {
        /// The bits are those of a set, and the count is its size. With the count alone it is the same, as long as no
        /// piece is named twice.
        #[test]
        fn pieces_are_a_set(
            count in 1..30_u32,
            is_count_known: bool,
            changes in prop::collection::vec((0..5, any::<u32>()), 0..40),
        ) {
            let known = is_count_known.then_some(count);
            let mut pieces = Pieces::new(known);
            let mut counted = Pieces::new(known);
            counted.keep_only_count();
            let mut model = BTreeSet::new();
            for (change, number) in changes {
                let piece = number % count;
                match change {
                    0 if !model.contains(&piece) => {
                        model.insert(piece);
                        pieces.insert(piece).expect("in range");
                        counted.insert(piece).expect("in range");
                    }
                    1 if model.contains(&piece) => {
                        model.remove(&piece);
                        pieces.remove(piece).expect("in range");
                        counted.remove(piece).expect("in range");
                    }
                    2 => {
                        let bitfield = &number.to_be_bytes()[..bytes(count)];
                        model = (0..count).filter(|&piece| bitfield[index(piece)] & bit(piece) != 0).collect();
                        let bitfield = without_spare(bitfield.to_vec(), spare_bits(count));
                        pieces.set_bitfield(&bitfield).expect("the right length");
                        counted.set_bitfield(&bitfield).expect("the right length");
                    }
                    3 if is_count_known => {
                        model = (0..count).collect();
                        pieces.set_all();
                        counted.set_all();
                    }
                    4 => {
                        model.clear();
                        pieces.set_none();
                        counted.set_none();
                    }
                    _ => {}
                }
                let is_complete = is_count_known && model.len() == count as usize;
                let expected = progress(model.len() as u32, known, is_complete);
                prop_assert_eq!(pieces.progress(), expected);
                prop_assert_eq!(counted.progress(), expected);
                prop_assert_eq!(counted.allocated(), 0);
                prop_assert!((0..40).all(|piece| pieces.contains(piece) == model.contains(&piece)));
            }
            pieces.set_count(count);
            prop_assert_eq!(pieces.progress(), progress(model.len() as u32, Some(count), model.len() == count as usize));
        }
    }
}
