//! The lengths of a torrent's pieces.

use peer_wire::Block;
use thiserror::Error;

/// The most pieces of a torrent that is given, as many as clients load by default.
pub const MAX_PIECES: u32 = 2 * 1024 * 1024;

/// The longest block that is given. Clients ask for 16 KiB, a few old ones for more.
pub const MAX_BLOCK_BYTES: u32 = 128 * 1024;

/// The lengths of a torrent's pieces: all alike, but for the last one, which may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    piece_length: u32,
    count: u32,
    last_length: u32,
}

impl Layout {
    /// The layout of a torrent with so many bytes in all.
    ///
    /// # Errors
    ///
    /// Returns [`LayoutError`] if there is no piece, or more than [`MAX_PIECES`].
    pub fn new(total_bytes: u64, piece_length: u32) -> Result<Self, LayoutError> {
        let error = LayoutError { total_bytes, piece_length };
        let last_byte = total_bytes.checked_sub(1).ok_or(error)?;
        let before_last = last_byte.checked_div(piece_length.into()).ok_or(error)?;
        let before_last = u32::try_from(before_last).ok().filter(|&before| before < MAX_PIECES).ok_or(error)?;
        let last_length = total_bytes - u64::from(before_last) * u64::from(piece_length);
        let last_length = u32::try_from(last_length).expect("it is at most a piece length");
        Ok(Self { piece_length, count: before_last + 1, last_length })
    }

    /// The number of pieces.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The length of every piece but the last, in bytes.
    pub const fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// The length of a piece, in bytes; 0 if there is no such piece.
    pub const fn length_of(&self, piece: u32) -> u32 {
        let last = self.count - 1;
        if piece < last {
            self.piece_length
        } else if piece == last {
            self.last_length
        } else {
            0
        }
    }

    /// Returns `true` if there is such a block, and it is not longer than [`MAX_BLOCK_BYTES`].
    pub fn has(&self, block: Block) -> bool {
        let end = u64::from(block.begin) + u64::from(block.length);
        (1..=MAX_BLOCK_BYTES).contains(&block.length) && end <= u64::from(self.length_of(block.piece))
    }
}

/// There is no such torrent, or it has too many pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{total_bytes} bytes in pieces of {piece_length} bytes are not between 1 and {MAX_PIECES} pieces")]
pub struct LayoutError {
    total_bytes: u64,
    piece_length: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(piece: u32, begin: u32, length: u32) -> Block {
        Block { piece, begin, length }
    }

    #[test]
    fn the_last_piece_may_be_shorter() {
        let lengths = |total, piece_length| {
            let layout = Layout::new(total, piece_length).unwrap();
            (0..layout.count()).map(|piece| layout.length_of(piece)).collect::<Vec<_>>()
        };
        assert_eq!(lengths(10, 4), [4, 4, 2]);
        assert_eq!(lengths(8, 4), [4, 4]);
        assert_eq!(lengths(1, 4), [1]);
        let layout = Layout::new(10, 4).unwrap();
        assert_eq!((layout.length_of(3), layout.length_of(u32::MAX)), (0, 0));
    }

    #[test]
    fn a_layout_has_between_one_and_so_many_pieces() {
        let most = u64::from(MAX_PIECES) * 16;
        assert_eq!(Layout::new(most, 16).unwrap().count(), MAX_PIECES);
        for (total, piece_length) in [(0, 16), (16, 0), (0, 0), (most + 1, 16), (u64::MAX, 1), (u64::MAX, u32::MAX)] {
            let error = Layout::new(total, piece_length).unwrap_err();
            assert_eq!(error, LayoutError { total_bytes: total, piece_length });
        }
    }

    #[test]
    fn a_block_is_within_its_piece() {
        let layout = Layout::new(300_000, 200_000).unwrap();
        for good in [block(0, 0, 1), block(0, 200_000 - 16_384, 16_384), block(1, 99_999, 1), block(0, 0, 131_072)] {
            assert!(layout.has(good), "{good:?}");
        }
        let bad = [
            block(0, 0, 0),
            block(0, 199_999, 2),
            block(1, 100_000, 1),
            block(2, 0, 1),
            block(0, 0, 131_073),
            block(0, u32::MAX, u32::MAX),
            block(u32::MAX, 0, 1),
        ];
        for bad in bad {
            assert!(!layout.has(bad), "{bad:?}");
        }
    }
}
