//! The messages after the handshake.

use thiserror::Error;

/// The id of [`Message::Extended`].
pub(crate) const EXTENDED: u8 = 20;
/// The id of [`Message::Bitfield`].
pub(crate) const BITFIELD: u8 = 5;
/// The id of [`Message::Piece`].
pub(crate) const PIECE: u8 = 7;

/// A message: those of [BEP 3](https://www.bittorrent.org/beps/bep_0003.html), of the fast extension
/// ([BEP 6](https://www.bittorrent.org/beps/bep_0006.html)) and of the extension protocol
/// ([BEP 10](https://www.bittorrent.org/beps/bep_0010.html)), and the port of the DHT
/// ([BEP 5](https://www.bittorrent.org/beps/bep_0005.html)).
///
/// On the wire, its length in four bytes stands before it. [`decode`](Self::decode) takes what follows the length; a
/// [`Decoder`](crate::Decoder) takes the length, too.
///
/// ```
/// use peer_wire::Message;
///
/// let mut bytes = Vec::new();
/// Message::Have { piece: 7 }.encode(&mut bytes);
/// assert_eq!(bytes, b"\0\0\0\x05\x04\0\0\0\x07");
/// assert_eq!(Message::decode(&bytes[4..])?, Message::Have { piece: 7 });
/// # Ok::<(), peer_wire::MessageError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Message<'a> {
    /// An empty message, sent so that the connection is not taken for a dead one.
    KeepAlive,
    /// The sender does not answer requests.
    Choke,
    /// The sender answers requests.
    Unchoke,
    /// The sender wants pieces of the receiver.
    Interested,
    /// The sender wants nothing of the receiver.
    NotInterested,
    /// The sender has this piece.
    Have {
        /// The index of the piece.
        piece: u32,
    },
    /// The pieces that the sender has: a bit for each, the highest bit of the first byte for the first piece.
    Bitfield(&'a [u8]),
    /// The sender wants a block.
    Request(Block),
    /// A block.
    Piece {
        /// The index of the piece.
        piece: u32,
        /// The offset of the block in the piece, in bytes.
        begin: u32,
        /// The bytes of the block.
        data: &'a [u8],
    },
    /// The sender does not want a block any more.
    Cancel(Block),
    /// The UDP port of the sender's DHT node.
    Port(u16),
    /// The receiver should get this piece first.
    Suggest {
        /// The index of the piece.
        piece: u32,
    },
    /// The sender has all pieces.
    HaveAll,
    /// The sender has no pieces.
    HaveNone,
    /// The sender will not answer this request.
    Reject(Block),
    /// The receiver may request this piece even if choked.
    AllowedFast {
        /// The index of the piece.
        piece: u32,
    },
    /// A message of an extension.
    Extended {
        /// The id of the extension in the receiver's [`ExtendedHandshake`](crate::ExtendedHandshake); 0 for such a
        /// handshake itself.
        id: u8,
        /// The content.
        payload: &'a [u8],
    },
    /// A message without a known meaning.
    Unknown {
        /// Its id.
        id: u8,
        /// The content.
        payload: &'a [u8],
    },
}

/// A part of a piece, as it is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// The index of the piece.
    pub piece: u32,
    /// The offset in the piece, in bytes.
    pub begin: u32,
    /// The length, in bytes. Clients ask for 16 KiB, or for less at the end of a piece.
    pub length: u32,
}

impl<'a> Message<'a> {
    /// Reads a message from the bytes after its length.
    ///
    /// # Errors
    ///
    /// Returns [`MessageError`] if the length is not one that the message can have.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, MessageError> {
        let Some((&id, payload)) = bytes.split_first() else { return Ok(Self::KeepAlive) };
        let message = match (id, payload) {
            (0, []) => Some(Self::Choke),
            (1, []) => Some(Self::Unchoke),
            (2, []) => Some(Self::Interested),
            (3, []) => Some(Self::NotInterested),
            (4, _) => index(payload).map(|piece| Self::Have { piece }),
            (BITFIELD, _) => Some(Self::Bitfield(payload)),
            (6, _) => Block::decode(payload).map(Self::Request),
            (PIECE, _) => numbers(payload).map(|([piece, begin], data)| Self::Piece { piece, begin, data }),
            (8, _) => Block::decode(payload).map(Self::Cancel),
            (9, _) => payload.try_into().ok().map(|port| Self::Port(u16::from_be_bytes(port))),
            (13, _) => index(payload).map(|piece| Self::Suggest { piece }),
            (14, []) => Some(Self::HaveAll),
            (15, []) => Some(Self::HaveNone),
            (16, _) => Block::decode(payload).map(Self::Reject),
            (17, _) => index(payload).map(|piece| Self::AllowedFast { piece }),
            (EXTENDED, _) => payload.split_first().map(|(&id, payload)| Self::Extended { id, payload }),
            (0..=3 | 14 | 15, _) => None,
            _ => Some(Self::Unknown { id, payload }),
        };
        message.ok_or(MessageError { id, length: bytes.len() })
    }

    /// Appends the message, with its length before it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend([0; 4]);
        match *self {
            Self::KeepAlive => {}
            Self::Choke => out.push(0),
            Self::Unchoke => out.push(1),
            Self::Interested => out.push(2),
            Self::NotInterested => out.push(3),
            Self::Have { piece } => put(out, 4, &[piece]),
            Self::Bitfield(bits) => put_bytes(out, BITFIELD, bits),
            Self::Request(block) => block.encode(out, 6),
            Self::Piece { piece, begin, data } => {
                put(out, PIECE, &[piece, begin]);
                out.extend(data);
            }
            Self::Cancel(block) => block.encode(out, 8),
            Self::Port(port) => put_bytes(out, 9, &port.to_be_bytes()),
            Self::Suggest { piece } => put(out, 13, &[piece]),
            Self::HaveAll => out.push(14),
            Self::HaveNone => out.push(15),
            Self::Reject(block) => block.encode(out, 16),
            Self::AllowedFast { piece } => put(out, 17, &[piece]),
            Self::Extended { id, payload } => {
                out.extend([EXTENDED, id]);
                out.extend(payload);
            }
            Self::Unknown { id, payload } => put_bytes(out, id, payload),
        }
        let length = u32::try_from(out.len() - start - 4).expect("a message is shorter than 4 GiB");
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

impl Block {
    /// The number of bytes of a [piece message](Message::Piece) before its data.
    pub const HEADER_BYTES: usize = 13;

    /// The bytes of a [piece message](Message::Piece) with this block before its data, which must have the block's length. So the
    /// data can be read to where it is sent from.
    ///
    /// ```
    /// use peer_wire::{Block, Message};
    ///
    /// let block = Block { piece: 7, begin: 16384, length: 4 };
    /// let mut bytes = Vec::new();
    /// Message::Piece { piece: 7, begin: 16384, data: b"data" }.encode(&mut bytes);
    /// assert_eq!(bytes, [&block.header()[..], b"data"].concat());
    /// ```
    #[must_use]
    pub fn header(self) -> [u8; Self::HEADER_BYTES] {
        let mut header = [0; Self::HEADER_BYTES];
        // The id and two numbers come before the data.
        header[..4].copy_from_slice(&self.length.saturating_add(9).to_be_bytes());
        header[4] = PIECE;
        header[5..9].copy_from_slice(&self.piece.to_be_bytes());
        header[9..].copy_from_slice(&self.begin.to_be_bytes());
        header
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let ([piece, begin, length], []) = numbers(payload)? else { return None };
        Some(Self { piece, begin, length })
    }

    fn encode(self, out: &mut Vec<u8>, id: u8) {
        put(out, id, &[self.piece, self.begin, self.length]);
    }
}

/// A message has a length that it cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("message {id} has the impossible length of {length} bytes")]
pub struct MessageError {
    /// The id of the message.
    pub id: u8,
    /// The length of the message with its id, in bytes.
    pub length: usize,
}

/// The first `N` numbers of four bytes, and what follows them.
fn numbers<const N: usize>(payload: &[u8]) -> Option<([u32; N], &[u8])> {
    let (numbers, _) = payload.as_chunks::<4>();
    let numbers = numbers.first_chunk::<N>()?;
    Some((numbers.map(u32::from_be_bytes), &payload[4 * N..]))
}

/// The index of a piece, if that is all that there is.
fn index(payload: &[u8]) -> Option<u32> {
    payload.try_into().ok().map(u32::from_be_bytes)
}

fn put(out: &mut Vec<u8>, id: u8, numbers: &[u32]) {
    out.push(id);
    out.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
}

fn put_bytes(out: &mut Vec<u8>, id: u8, payload: &[u8]) {
    out.push(id);
    out.extend(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Block = Block { piece: 1, begin: 0x4000, length: 0x3fff };

    const CASES: &[(&[u8], Message<'_>)] = &[
        (b"\0\0\0\0", Message::KeepAlive),
        (b"\0\0\0\x01\x00", Message::Choke),
        (b"\0\0\0\x01\x01", Message::Unchoke),
        (b"\0\0\0\x01\x02", Message::Interested),
        (b"\0\0\0\x01\x03", Message::NotInterested),
        (b"\0\0\0\x05\x04\x01\x02\x03\x04", Message::Have { piece: 0x0102_0304 }),
        (b"\0\0\0\x03\x05\xff\x80", Message::Bitfield(b"\xff\x80")),
        (b"\0\0\0\x01\x05", Message::Bitfield(b"")),
        (b"\0\0\0\x0d\x06\0\0\0\x01\0\0\x40\0\0\0\x3f\xff", Message::Request(BLOCK)),
        (b"\0\0\0\x0b\x07\0\0\0\x01\0\0\x40\0hi", Message::Piece { piece: 1, begin: 0x4000, data: b"hi" }),
        (b"\0\0\0\x09\x07\0\0\0\x01\0\0\x40\0", Message::Piece { piece: 1, begin: 0x4000, data: b"" }),
        (b"\0\0\0\x0d\x08\0\0\0\x01\0\0\x40\0\0\0\x3f\xff", Message::Cancel(BLOCK)),
        (b"\0\0\0\x03\x09\x1a\xe1", Message::Port(6881)),
        (b"\0\0\0\x05\x0d\0\0\0\x09", Message::Suggest { piece: 9 }),
        (b"\0\0\0\x01\x0e", Message::HaveAll),
        (b"\0\0\0\x01\x0f", Message::HaveNone),
        (b"\0\0\0\x0d\x10\0\0\0\x01\0\0\x40\0\0\0\x3f\xff", Message::Reject(BLOCK)),
        (b"\0\0\0\x05\x11\0\0\0\x09", Message::AllowedFast { piece: 9 }),
        (b"\0\0\0\x04\x14\x00de", Message::Extended { id: 0, payload: b"de" }),
        (b"\0\0\0\x02\x14\x07", Message::Extended { id: 7, payload: b"" }),
        // 21 to 23 are of BEP 52.
        (b"\0\0\0\x03\x15hi", Message::Unknown { id: 21, payload: b"hi" }),
        (b"\0\0\0\x01\x0a", Message::Unknown { id: 10, payload: b"" }),
        (b"\0\0\0\x01\xff", Message::Unknown { id: 255, payload: b"" }),
    ];

    #[test]
    fn messages_are_read_and_written() {
        for (bytes, message) in CASES {
            assert_eq!(Message::decode(&bytes[4..]), Ok(*message));
            let mut out = b"before".to_vec();
            message.encode(&mut out);
            assert_eq!(out, [b"before", *bytes].concat(), "{message:?}");
        }
    }

    #[test]
    fn messages_of_another_length_are_refused() {
        let lengths: &[(&[u8], &[usize])] = &[
            (&[0, 1, 2, 3, 14, 15], &[1]),
            (&[4, 13, 17], &[5]),
            (&[6, 8, 16], &[13]),
            (&[9], &[3]),
            (&[PIECE], &[9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]),
            (&[EXTENDED], &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]),
        ];
        for (ids, possible) in lengths {
            for (&id, length) in ids.iter().flat_map(|id| (1..20).map(move |length| (id, length))) {
                let mut bytes = vec![0; length];
                bytes[0] = id;
                let message = Message::decode(&bytes);
                if possible.contains(&length) {
                    assert!(message.is_ok(), "{bytes:?}");
                } else {
                    assert_eq!(message, Err(MessageError { id, length }));
                }
            }
        }
    }
}
