//! [`Pieces`]: the digests of a torrent's pieces.

use std::fmt;

/// The SHA-1 digests of a torrent's pieces, in order.
///
/// All files stand end to end as one run of bytes, cut every
/// [`piece_length`](crate::Info::piece_length) bytes; the last piece may be shorter.
#[derive(Clone, PartialEq, Eq)]
pub struct Pieces(Box<[[u8; 20]]>);

impl Pieces {
    pub(crate) fn new(digests: &[[u8; 20]]) -> Self {
        Self(digests.into())
    }

    /// The number of pieces; at least one in a parsed torrent.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns `true` if there are no pieces.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The digest of piece `index`.
    pub fn get(&self, index: usize) -> Option<&[u8; 20]> {
        self.0.get(index)
    }

    /// The digests in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8; 20]> {
        self.0.iter()
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pieces({} digests)", self.len())
    }
}
