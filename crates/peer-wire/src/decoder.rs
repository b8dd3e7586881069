//! Messages out of a stream of bytes.

use thiserror::Error;

use crate::message::{BITFIELD, EXTENDED};
use crate::pieces::MAX_UNKNOWN_PIECES;
use crate::{Message, MessageError};

/// The most bytes of the content of an extended message. Larger than any seen: the longest carry 16 KiB of metadata, or 100 IPv6
/// addresses.
pub const MAX_EXTENDED_BYTES: usize = 64 * 1024;

/// The bytes that a decoder may keep allocated from one message that came in several segments to the next.
const KEPT_BYTES: usize = 512;

/// Cuts a stream of bytes, which may come in segments of any size, into messages.
///
/// Messages that are whole in a segment are not copied, and others are kept until their rest has come, which takes no more memory
/// than what has come of them, rounded up to the next doubling. The longest message depends on the number of pieces of the
/// torrent: it is a bitfield, or else an extended message with [`MAX_EXTENDED_BYTES`].
///
/// [`Piece`](Message::Piece) messages, which come only to those who request them, and [`Unknown`](Message::Unknown) ones are
/// passed over without keeping any of their bytes.
///
/// ```
/// use peer_wire::{Decoder, Message};
///
/// let mut decoder = Decoder::new(Some(100));
/// let mut segment = &b"\0\0\0\x01\x0f\0\0\0\x05\x04\0"[..];
/// assert_eq!(decoder.decode(&mut segment)?, Some(Message::HaveNone));
/// assert_eq!(decoder.decode(&mut segment)?, None);
/// let mut segment = &b"\0\0\x63"[..];
/// assert_eq!(decoder.decode(&mut segment)?, Some(Message::Have { piece: 99 }));
/// # Ok::<(), peer_wire::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    /// The most bytes of a message.
    limit: usize,
    state: State,
    /// What has come of a message that was not whole in its first segment.
    buffer: Vec<u8>,
    /// `true` if the message in `buffer` was returned.
    is_returned: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// So many bytes of the next message's length have come.
    Length { bytes: [u8; 4], count: usize },
    /// So many bytes of a message are missing; those before are in the buffer.
    Message { missing: usize },
    /// So many bytes of a message that is passed over are missing.
    PassedOver { missing: usize },
}

impl State {
    const NEXT: Self = Self::Length { bytes: [0; 4], count: 0 };
}

impl Decoder {
    /// A decoder for what follows the handshake. `piece_count` is that of the torrent, if it is known; if not, a bitfield may have
    /// as many as [`MAX_UNKNOWN_PIECES`].
    pub fn new(piece_count: Option<u32>) -> Self {
        Self { limit: limit(piece_count), state: State::NEXT, buffer: Vec::new(), is_returned: false }
    }

    /// Sets the number of pieces, for the messages that have not begun.
    pub fn set_piece_count(&mut self, piece_count: u32) {
        self.limit = limit(Some(piece_count));
    }

    /// Takes bytes from the front of `input`, until there is a message. `None` if `input` is empty and the message is not
    /// complete. Call it until then, with the rest of the segment: until then it keeps the previous message.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::TooLong`] as soon as the length of a message has come, and [`DecodeError::Message`] when the whole
    /// message has. What would follow is meaningless; use the decoder no more.
    pub fn decode<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Message<'a>>, DecodeError> {
        if self.is_returned {
            self.is_returned = false;
            self.buffer.clear();
            self.buffer.shrink_to(KEPT_BYTES);
        }
        // The whole message if it is in the input, `None` if it is in the buffer.
        let whole = loop {
            match &mut self.state {
                State::Length { bytes, count } => {
                    let taken = take(input, bytes.len() - *count);
                    bytes[*count..][..taken.len()].copy_from_slice(taken);
                    *count += taken.len();
                    if *count < bytes.len() {
                        return Ok(None);
                    }
                    let length = u32::from_be_bytes(*bytes) as usize;
                    if length > self.limit {
                        return Err(DecodeError::TooLong { length, limit: self.limit });
                    }
                    self.state = State::Message { missing: length };
                }
                &mut State::Message { missing } if self.buffer.is_empty() && input.len() >= missing => {
                    self.state = State::NEXT;
                    let whole = take(input, missing);
                    if whole.first().is_none_or(|&id| has_meaning(id)) {
                        break Some(whole);
                    }
                }
                State::Message { missing } => {
                    let Some(&id) = self.buffer.first().or_else(|| input.first()) else { return Ok(None) };
                    if !has_meaning(id) {
                        self.state = State::PassedOver { missing: *missing };
                        continue;
                    }
                    let taken = take(input, *missing);
                    if self.buffer.capacity() - self.buffer.len() < taken.len() {
                        self.buffer.reserve_exact(self.buffer.len().max(taken.len()).min(*missing));
                    }
                    self.buffer.extend_from_slice(taken);
                    *missing -= taken.len();
                    if *missing > 0 {
                        return Ok(None);
                    }
                    self.state = State::NEXT;
                    self.is_returned = true;
                    break None;
                }
                State::PassedOver { missing } => {
                    *missing -= take(input, *missing).len();
                    if *missing > 0 {
                        return Ok(None);
                    }
                    self.state = State::NEXT;
                }
            }
        };
        Ok(Some(Message::decode(whole.unwrap_or(&self.buffer))?))
    }

    /// The bytes of memory that it has allocated.
    pub(crate) fn allocated(&self) -> usize {
        self.buffer.capacity()
    }
}

/// The most bytes of a message.
fn limit(piece_count: Option<u32>) -> usize {
    let bitfield = 1 + piece_count.unwrap_or(MAX_UNKNOWN_PIECES).div_ceil(8) as usize;
    bitfield.max(2 + MAX_EXTENDED_BYTES)
}

/// Returns `true` for the messages that the decoder returns.
const fn has_meaning(id: u8) -> bool {
    matches!(id, 0..=4 | BITFIELD | 6 | 8 | 9 | 13..=17 | EXTENDED)
}

/// Takes up to `most` bytes from the front.
fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let taken;
    (taken, *input) = input.split_at(most.min(input.len()));
    taken
}

/// The bytes are not messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A message is longer than any may be.
    #[error("a message of {length} bytes is longer than {limit}, the most that there may be")]
    TooLong {
        /// The length that the message claims, in bytes.
        length: usize,
        /// The most that it may have.
        limit: usize,
    },
    /// A message has the wrong length for its id.
    #[error(transparent)]
    Message(#[from] MessageError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Decodes segments, and returns what came as text, since messages live no longer than their segment.
    fn decode(decoder: &mut Decoder, segments: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        for mut segment in segments.iter().copied() {
            loop {
                match decoder.decode(&mut segment) {
                    Ok(Some(message)) => found.push(format!("{message:?}")),
                    Ok(None) => break,
                    Err(error) => {
                        found.push(error.to_string());
                        return found;
                    }
                }
            }
            assert!(segment.is_empty());
        }
        found
    }

    #[test]
    fn pieces_and_unknown_messages_are_passed_over() {
        let stream = b"\0\0\0\x0b\x07\0\0\0\x01\0\0\x40\0hi\0\0\0\x03\x15hi\0\0\0\x01\x0a\0\0\0\x01\x0e";
        assert_eq!(decode(&mut Decoder::new(None), &[stream]), ["HaveAll"]);
        let bytes: Vec<_> = stream.chunks(1).collect();
        assert_eq!(decode(&mut Decoder::new(None), &bytes), ["HaveAll"]);

        let mut decoder = Decoder::new(None);
        let piece = [&b"\0\0\x40\x09\x07"[..], &[0; 8 + 16384]].concat();
        for segment in piece.chunks(1000) {
            assert_eq!(decode(&mut decoder, &[segment]), [""; 0]);
            assert_eq!(decoder.allocated(), 0);
        }
    }

    #[test]
    fn exactly_messages_with_a_meaning_are_returned() {
        for id in 0..=u8::MAX {
            // One of these lengths is right for each message.
            let messages = [1, 2, 3, 5, 9, 13].map(|length| [vec![id], vec![0; length - 1]].concat());
            let message = messages.iter().find_map(|bytes| Message::decode(bytes).ok()).expect("a possible length");
            let skipped = matches!(message, Message::Piece { .. } | Message::Unknown { .. });
            assert_eq!(has_meaning(id), !skipped, "{message:?}");
        }
    }

    #[test]
    fn the_limit_follows_the_number_of_pieces() {
        for (piece_count, limit) in [
            (None, 262_145),
            (Some(0), 65_538),
            (Some(524_296), 65_538),
            (Some(524_297), 65_539),
            (Some(8_000_000), 1_000_001),
            (Some(u32::MAX), 536_870_913),
        ] {
            let mut decoder = Decoder::new(piece_count);
            let mut longest = &u32::to_be_bytes(limit)[..];
            assert_eq!(decoder.decode(&mut longest), Ok(None));

            let mut decoder = Decoder::new(None);
            if let Some(piece_count) = piece_count {
                decoder.set_piece_count(piece_count);
            }
            let mut longer = &u32::to_be_bytes(limit + 1)[..];
            let limit = limit as usize;
            assert_eq!(decoder.decode(&mut longer), Err(DecodeError::TooLong { length: limit + 1, limit }));
        }
    }

    #[test]
    fn memory_is_no_more_than_the_message_and_is_given_back() {
        let mut decoder = Decoder::new(Some(80_000));
        let mut stream = Vec::new();
        Message::Bitfield(&[0xff; 10_000]).encode(&mut stream);
        let mut received = 0;
        for segment in stream.chunks(100) {
            received += segment.len();
            let mut rest = segment;
            let complete = decoder.decode(&mut rest).expect("a bitfield").is_some();
            assert_eq!(complete, received == stream.len());
            assert!(decoder.allocated() <= (2 * received).min(10_001), "{} of {received}", decoder.allocated());
        }
        assert_eq!(decoder.decode(&mut &b""[..]), Ok(None));
        assert!(decoder.allocated() <= KEPT_BYTES);
    }

    #[test]
    fn a_wrong_length_is_an_error() {
        assert_eq!(
            decode(&mut Decoder::new(None), &[b"\0\0\0\x01\x0f\0\0\0\x06\x04", b"\0\0\0\0\0\0\0\0\x01\x0f"]),
            ["HaveNone", "message 4 has the impossible length of 6 bytes"]
        );
    }

    proptest! {
        /// A stream means the same in whatever segments it comes.
        #[test]
        fn segments_make_no_difference(
            messages in prop::collection::vec((0..24_u8, prop::collection::vec(any::<u8>(), 0..20)), 0..10),
            cuts in prop::collection::vec(1..9_usize, 1..10),
        ) {
            let mut stream = Vec::new();
            for (id, payload) in &messages {
                stream.extend((payload.len() as u32 + 1).to_be_bytes());
                stream.push(*id);
                stream.extend(payload);
            }
            let whole = decode(&mut Decoder::new(Some(8)), &[&stream]);

            let mut segments = Vec::new();
            let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
            while !rest.is_empty() {
                segments.push(take(&mut rest, *cuts.next().expect("at least one cut")));
            }
            prop_assert_eq!(decode(&mut Decoder::new(Some(8)), &segments), whole);
        }
    }
}
