//! Giving the info dictionary to the peer.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::{MAX_METADATA_BYTES, METADATA_PIECE_BYTES, MetadataMessage};

/// Requests that wait until what was sent before has left: all pieces of the largest info dictionary, since WebTorrent requests
/// all at once.
const MAX_WAITING: usize = MAX_METADATA_BYTES as usize / METADATA_PIECE_BYTES;

/// The info dictionary that the peer was offered, and the pieces of it that the peer has requested.
#[derive(Debug, Default)]
pub(super) struct MetadataUpload {
    info: Option<Bytes>,
    waiting: VecDeque<u16>,
}

impl MetadataUpload {
    /// Offers this one to the peer. Returns its size, which is at most [`MAX_METADATA_BYTES`].
    pub(super) fn offer(&mut self, info: Option<&Bytes>) -> Option<u32> {
        self.info = info.cloned();
        self.total_size()
    }

    pub(super) fn is_offered(&self) -> bool {
        self.info.is_some()
    }

    /// The peer requests a piece. Returns `false` if it is not given: there is none, or too many requests wait.
    pub(super) fn request(&mut self, piece: u32) -> bool {
        let Some(index) = u16::try_from(piece).ok().filter(|&index| self.piece(index).is_some()) else { return false };
        let has_room = self.waiting.len() < MAX_WAITING;
        if has_room {
            self.waiting.push_back(index);
        }
        has_room
    }

    /// Takes the next piece to send, as the payload of a message.
    pub(super) fn next_piece(&mut self) -> Option<Vec<u8>> {
        let index = self.waiting.pop_front()?;
        let total_size = self.total_size()?;
        Some(MetadataMessage::Data { piece: index.into(), total_size, data: self.piece(index)? }.encode())
    }

    /// The bytes of memory that it has allocated. The info dictionary is shared.
    pub(super) fn allocated(&self) -> usize {
        self.waiting.capacity() * size_of::<u16>()
    }

    fn piece(&self, index: u16) -> Option<&[u8]> {
        self.info.as_ref()?.chunks(METADATA_PIECE_BYTES).nth(index.into())
    }

    fn total_size(&self) -> Option<u32> {
        self.info.as_ref().map(|info| info.len() as u32)
    }
}
