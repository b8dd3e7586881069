//! The info dictionary, from a peer.

use thiserror::Error;

use crate::extension::DECODER;

/// Bytes of each piece of the info dictionary but the last ([BEP 9](https://www.bittorrent.org/beps/bep_0009.html)).
pub const METADATA_PIECE_BYTES: usize = 16 * 1024;

/// The largest info dictionary that is fetched, in bytes: 8 MiB, that of about 400,000 pieces.
pub const MAX_METADATA_BYTES: u32 = 8 * 1024 * 1024;

/// A `ut_metadata` message, by which a peer that knows a torrent only by its info-hash gets the info dictionary
/// ([BEP 9](https://www.bittorrent.org/beps/bep_0009.html)).
///
/// ```
/// use peer_wire::MetadataMessage;
///
/// let payload = b"d8:msg_typei1e5:piecei0e10:total_sizei7eed1:ai1ee";
/// let message = MetadataMessage::decode(payload)?;
/// assert_eq!(message, MetadataMessage::Data { piece: 0, total_size: 7, data: b"d1:ai1ee" });
/// # Ok::<(), peer_wire::MetadataMessageError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetadataMessage<'a> {
    /// The sender wants a piece.
    Request {
        /// The index of the piece.
        piece: u32,
    },
    /// A piece.
    Data {
        /// The index of the piece.
        piece: u32,
        /// The size of the whole info dictionary, in bytes.
        total_size: u32,
        /// The bytes of the piece.
        data: &'a [u8],
    },
    /// The sender does not give a piece.
    Reject {
        /// The index of the piece.
        piece: u32,
    },
}

impl<'a> MetadataMessage<'a> {
    /// Reads the payload of a `ut_metadata` message.
    ///
    /// # Errors
    ///
    /// Returns [`MetadataMessageError`] if it is none of the three messages. Ignore such a message, as BEP 9 demands of new types.
    pub fn decode(payload: &'a [u8]) -> Result<Self, MetadataMessageError> {
        let document = DECODER.decode(payload).map_err(|_| MetadataMessageError)?;
        let dict = document.root().as_dict().ok_or(MetadataMessageError)?;
        let number = |key: &str| dict.get(key)?.as_u64()?.try_into().ok();
        let piece = number("piece").ok_or(MetadataMessageError)?;
        match number("msg_type") {
            Some(0) => Ok(Self::Request { piece }),
            Some(1) => {
                let total_size = number("total_size").ok_or(MetadataMessageError)?;
                Ok(Self::Data { piece, total_size, data: document.trailing() })
            }
            Some(2) => Ok(Self::Reject { piece }),
            _ => Err(MetadataMessageError),
        }
    }

    /// The payload of the extended message.
    pub fn encode(&self) -> Vec<u8> {
        let (msg_type, piece, total_size, data) = match *self {
            Self::Request { piece } => (0, piece, None, &[][..]),
            Self::Data { piece, total_size, data } => (1, piece, Some(total_size), data),
            Self::Reject { piece } => (2, piece, None, &[][..]),
        };
        let encoded = bencode::encode(|message| {
            message.dict(|dict| {
                dict.int("msg_type", msg_type);
                dict.int("piece", piece);
                if let Some(total_size) = total_size {
                    dict.int("total_size", total_size);
                }
            });
        });
        let mut payload = encoded.expect("the keys are different ones, and the numbers small");
        payload.extend(data);
        payload
    }
}

/// The payload is none of the three `ut_metadata` messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a ut_metadata message with a known meaning")]
pub struct MetadataMessageError;

/// Puts an info dictionary together from the pieces of one peer.
///
/// Send a request for [`next_piece`](Self::next_piece) as long as there is one, after the start and after each answer: two are on
/// their way at a time, as libtorrent has it. A peer answers in the order of the requests. The memory grows with what comes.
///
/// The result may be anything: compare its digest with the info-hash before you use it, SHA-1 for a v1 torrent and the first 20 bytes
/// of SHA-256 for a v2 torrent.
#[derive(Debug)]
pub struct MetadataAssembler {
    size: u32,
    /// The pieces before `requested` that have come.
    bytes: Vec<u8>,
    /// The number of pieces that have been requested.
    requested: u32,
}

impl MetadataAssembler {
    const REQUESTS_AT_ONCE: u32 = 2;

    /// For an info dictionary of so many bytes, as the peer says.
    ///
    /// # Errors
    ///
    /// It is empty, or larger than [`MAX_METADATA_BYTES`].
    pub fn new(size: u32) -> Result<Self, MetadataSizeError> {
        if size == 0 || size > MAX_METADATA_BYTES {
            return Err(MetadataSizeError { size });
        }
        Ok(Self { size, bytes: Vec::new(), requested: 0 })
    }

    /// The next piece to request now, if there is one. Each is named once.
    pub fn next_piece(&mut self) -> Option<u32> {
        let received = (self.bytes.len() / METADATA_PIECE_BYTES) as u32;
        let next = self.requested;
        let is_due = next < received + Self::REQUESTS_AT_ONCE && next < self.piece_count();
        is_due.then(|| {
            self.requested += 1;
            next
        })
    }

    /// Takes a piece. Returns the info dictionary if it was the last one.
    ///
    /// # Errors
    ///
    /// The piece is not the one that comes next, or does not have its length. Give up then.
    pub fn insert(&mut self, piece: u32, data: &[u8]) -> Result<Option<Vec<u8>>, MetadataPieceError> {
        let expected = (self.bytes.len() / METADATA_PIECE_BYTES) as u32;
        let missing = self.size as usize - self.bytes.len();
        let is_right = piece == expected && piece < self.requested && data.len() == missing.min(METADATA_PIECE_BYTES);
        if !is_right {
            return Err(MetadataPieceError { piece, length: data.len() });
        }
        self.bytes.extend_from_slice(data);
        Ok((data.len() == missing).then(|| std::mem::take(&mut self.bytes)))
    }

    /// Returns `true` if [`next_piece`](Self::next_piece) has named this piece.
    pub fn has_requested(&self, piece: u32) -> bool {
        piece < self.requested
    }

    /// The bytes of memory that it has allocated.
    pub(crate) fn allocated(&self) -> usize {
        self.bytes.capacity()
    }

    fn piece_count(&self) -> u32 {
        self.size.div_ceil(METADATA_PIECE_BYTES as u32)
    }
}

/// A peer says that the info dictionary has a size which none that is fetched has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an info dictionary of {size} bytes is not fetched: it must have 1 to {MAX_METADATA_BYTES}")]
pub struct MetadataSizeError {
    /// The size, in bytes.
    pub size: u32,
}

/// A piece of the info dictionary is not the one that was to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("piece {piece} of the info dictionary, with {length} bytes, is not the one that was to come")]
pub struct MetadataPieceError {
    /// The index of the piece.
    pub piece: u32,
    /// Its length, in bytes.
    pub length: usize,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_are_read_and_written() {
        let cases: [(&[u8], MetadataMessage<'_>); 4] = [
            (b"d8:msg_typei0e5:piecei9999ee", MetadataMessage::Request { piece: 9999 }),
            (
                b"d8:msg_typei1e5:piecei3e10:total_sizei34256eed4:name1:x",
                MetadataMessage::Data { piece: 3, total_size: 34256, data: b"d4:name1:x" },
            ),
            (
                b"d8:msg_typei1e5:piecei0e10:total_sizei0ee",
                MetadataMessage::Data { piece: 0, total_size: 0, data: b"" },
            ),
            (b"d8:msg_typei2e5:piecei9999ee", MetadataMessage::Reject { piece: 9999 }),
        ];
        for (payload, message) in cases {
            assert_eq!(MetadataMessage::decode(payload), Ok(message));
            assert_eq!(message.encode().escape_ascii().to_string(), payload.escape_ascii().to_string());
        }
        // rTorrent rejects with a size.
        assert_eq!(
            MetadataMessage::decode(b"d8:msg_typei2e5:piecei9999e10:total_sizei6213ee"),
            Ok(MetadataMessage::Reject { piece: 9999 })
        );
    }

    #[test]
    fn others_have_no_meaning() {
        for payload in [
            &b""[..],
            b"de",
            b"le",
            b"d8:msg_typei3e5:piecei0ee",
            b"d8:msg_typei-1e5:piecei0ee",
            b"d8:msg_typei256e5:piecei0ee",
            b"d8:msg_typei0ee",
            b"d8:msg_typei0e5:piecei-1ee",
            b"d8:msg_typei0e5:piecei4294967296ee",
            b"d8:msg_typei1e5:piecei0eehi",
            b"d8:msg_type1:05:piecei0ee",
        ] {
            assert_eq!(MetadataMessage::decode(payload), Err(MetadataMessageError), "{}", payload.escape_ascii());
        }
    }

    #[test]
    fn two_requests_are_on_their_way() {
        let mut assembler = MetadataAssembler::new(3 * 16384 + 1).expect("a possible size");
        let piece = [7; METADATA_PIECE_BYTES];
        assert_eq!([0; 3].map(|_| assembler.next_piece()), [Some(0), Some(1), None]);
        assert_eq!(assembler.insert(0, &piece), Ok(None));
        assert_eq!([0; 2].map(|_| assembler.next_piece()), [Some(2), None]);
        assert_eq!(assembler.insert(1, &piece), Ok(None));
        assert_eq!([0; 2].map(|_| assembler.next_piece()), [Some(3), None]);
        assert_eq!(assembler.insert(2, &piece), Ok(None));
        assert_eq!(assembler.next_piece(), None);
        let whole = assembler.insert(3, b"x").expect("the last piece").expect("the whole");
        assert_eq!(whole, [&piece.repeat(3)[..], b"x"].concat());
    }

    #[test]
    fn sizes_have_a_limit() {
        for size in [0, MAX_METADATA_BYTES + 1, u32::MAX] {
            assert_eq!(MetadataAssembler::new(size).map(drop), Err(MetadataSizeError { size }));
        }
        let assembler = MetadataAssembler::new(MAX_METADATA_BYTES).expect("a possible size");
        assert_eq!((assembler.piece_count(), assembler.allocated()), (512, 0));
    }

    #[test]
    fn other_pieces_than_the_next_are_refused() {
        let piece = &[0; METADATA_PIECE_BYTES][..];
        let mut assembler = MetadataAssembler::new(40_000).expect("a possible size");
        // Not requested yet.
        let error = MetadataPieceError { piece: 0, length: 16384 };
        assert_eq!(assembler.insert(0, piece), Err(error));
        assert_eq!(
            error.to_string(),
            "piece 0 of the info dictionary, with 16384 bytes, is not the one that was to come"
        );
        assert_eq!(assembler.next_piece(), Some(0));
        for (index, data) in
            [(1, piece), (0, &piece[1..]), (0, &[0; METADATA_PIECE_BYTES + 1]), (0, b""), (9999, piece)]
        {
            let error = MetadataPieceError { piece: index, length: data.len() };
            assert_eq!(assembler.insert(index, data), Err(error));
        }
        assert_eq!(assembler.insert(0, piece), Ok(None));
        assert!(assembler.insert(0, piece).is_err(), "it came twice");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(kind in 0..3, piece: u32, total_size: u32, data in prop::collection::vec(any::<u8>(), 0..99)) {
            let message = match kind {
                0 => MetadataMessage::Request { piece },
                1 => MetadataMessage::Data { piece, total_size, data: &data },
                _ => MetadataMessage::Reject { piece },
            };
            let payload = message.encode();
            prop_assert_eq!(MetadataMessage::decode(&payload), Ok(message));
        }

        #[test]
        fn the_pieces_are_put_together(size in 1..100_000_u32, byte: u8) {
            let whole: Vec<_> = (0..size).map(|index| byte.wrapping_add((index / 3) as u8)).collect();
            let mut assembler = MetadataAssembler::new(size).expect("a possible size");
            let mut requests = std::collections::VecDeque::new();
            let result = loop {
                requests.extend(std::iter::from_fn(|| assembler.next_piece()));
                let piece = requests.pop_front().expect("a request, until all is there");
                let data = whole.chunks(METADATA_PIECE_BYTES).nth(piece as usize).expect("a piece");
                if let Some(result) = assembler.insert(piece, data).expect("the next piece") {
                    break result;
                }
            };
            prop_assert!(requests.is_empty());
            prop_assert_eq!(result, whole);
        }
    }
}
