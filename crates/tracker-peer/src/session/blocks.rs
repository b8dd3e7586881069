//! Blocks that were read, on their way to a peer.

use std::collections::VecDeque;
use std::ops::Range;

use peer_wire::Block;
use peer_wire::mse::Ciphers;

use crate::{Content, ContentError};

/// Bytes of blocks that are offered to the socket at once, as far as these are whole blocks. Messages that come meanwhile wait for them.
const PORTION: usize = 64 * 1024;

/// Blocks of a torrent, as the piece messages that they are sent in.
#[derive(Debug)]
pub(crate) struct ReadBlocks {
    bytes: Vec<u8>,
    blocks: VecDeque<Block>,
}

impl ReadBlocks {
    /// Reads blocks. Waits for the disk.
    pub(crate) fn read(content: &dyn Content, blocks: VecDeque<Block>) -> Result<Self, ContentError> {
        let mut bytes = vec![0; blocks.iter().copied().map(message_bytes).sum()];
        let mut rest = &mut bytes[..];
        for &block in &blocks {
            let (message, after) = rest.split_at_mut(message_bytes(block));
            let (header, data) = message.split_at_mut(Block::HEADER_BYTES);
            header.copy_from_slice(&block.header());
            content.read(block, data)?;
            rest = after;
        }
        Ok(Self { bytes, blocks })
    }
}

/// Blocks that are to be sent, in their order.
///
/// They leave in portions of whole blocks, between which other messages can be sent. A portion is encrypted in its place when it is
/// its turn, since both sides must encrypt everything in the order in which it is sent.
#[derive(Debug, Default)]
pub(crate) struct BlockQueue {
    read: VecDeque<ReadBlocks>,
    /// The portion that is sent now, of the first.
    portion: Range<usize>,
    /// How much of the first block's message has left.
    sent_of_first: usize,
}

impl BlockQueue {
    pub(crate) fn push(&mut self, blocks: ReadBlocks) {
        self.read.push_back(blocks);
    }

    /// The bytes that wait, or are being sent.
    pub(crate) fn len(&self) -> usize {
        let all: usize = self.read.iter().map(|read| read.bytes.len()).sum();
        all - self.portion.start
    }

    /// The rest of the portion that is sent now; empty if another one, or something else, may be sent.
    pub(crate) fn portion(&self) -> &[u8] {
        self.read.front().map_or(&[], |read| &read.bytes[self.portion.clone()])
    }

    /// The bytes of the next block's message, if a new portion may begin with it.
    pub(crate) fn next(&self) -> Option<usize> {
        // The portion before it has left whole.
        self.read.front()?.blocks.front().copied().map(message_bytes)
    }

    /// Begins a portion of as many blocks as have at most so many bytes, but of one at least if there is one. Returns its bytes.
    pub(crate) fn begin_portion(&mut self, most: usize, ciphers: &mut Ciphers) -> usize {
        let Some(ReadBlocks { bytes, blocks }) = self.read.front_mut() else { return 0 };
        let mut length = 0;
        for &block in blocks.iter() {
            let with_this = length + message_bytes(block);
            if length > 0 && with_this > most.min(PORTION) {
                break;
            }
            length = with_this;
        }
        self.portion.end = self.portion.start + length;
        ciphers.encrypt(&mut bytes[self.portion.clone()]);
        length
    }

    /// So many bytes of the portion have left. Returns how many of these are of blocks, without their headers.
    pub(crate) fn sent(&mut self, bytes: usize) -> u32 {
        let Some(read) = self.read.front_mut() else { return 0 };
        self.portion.start += bytes;
        let (mut left, mut of_blocks) = (bytes, 0);
        while left > 0
            && let Some(&block) = read.blocks.front()
        {
            let part = left.min(message_bytes(block) - self.sent_of_first);
            let before = self.sent_of_first.max(Block::HEADER_BYTES);
            self.sent_of_first += part;
            left -= part;
            of_blocks += self.sent_of_first.max(Block::HEADER_BYTES) - before;
            if self.sent_of_first == message_bytes(block) {
                read.blocks.pop_front();
                self.sent_of_first = 0;
            }
        }
        if self.portion.start == read.bytes.len() {
            self.read.pop_front();
            self.portion = 0..0;
        }
        u32::try_from(of_blocks).expect("a portion is short")
    }

    /// Drops the blocks that are in no portion yet, and returns them.
    pub(crate) fn clear(&mut self) -> Vec<Block> {
        let mut dropped = Vec::new();
        if let Some(first) = self.read.front_mut() {
            let mut end = self.portion.start.saturating_sub(self.sent_of_first);
            let begun = first.blocks.iter().take_while(|block| {
                let is_begun = end < self.portion.end;
                end += message_bytes(**block);
                is_begun
            });
            let begun = begun.count();
            dropped.extend(first.blocks.drain(begun..));
            first.bytes.truncate(self.portion.end);
        }
        dropped.extend(self.read.drain(1.min(self.read.len())..).flat_map(|read| read.blocks));
        if self.portion().is_empty() {
            self.read.clear();
            self.portion = 0..0;
        }
        dropped
    }
}

/// The length of the message that a block is sent in.
fn message_bytes(block: Block) -> usize {
    Block::HEADER_BYTES + block.length as usize
}

#[cfg(test)]
mod tests {
    use peer_wire::Message;

    use super::*;
    use crate::spreader::Layout;

    /// Each byte says where it is.
    #[derive(Debug)]
    struct Numbers;

    impl Content for Numbers {
        fn layout(&self) -> Layout {
            Layout::new(1 << 30, 1 << 20).unwrap()
        }

        fn read(&self, block: Block, into: &mut [u8]) -> Result<(), ContentError> {
            if block.piece == 99 {
                return Err(ContentError);
            }
            into.iter_mut().zip(block.begin..).for_each(|(byte, position)| *byte = position as u8);
            Ok(())
        }
    }

    fn block(piece: u32, length: u32) -> Block {
        Block { piece, begin: piece * 3, length }
    }

    fn message(block: Block) -> Vec<u8> {
        let data: Vec<_> = (block.begin..block.begin + block.length).map(|position| position as u8).collect();
        let mut bytes = Vec::new();
        Message::Piece { piece: block.piece, begin: block.begin, data: &data }.encode(&mut bytes);
        bytes
    }

    fn queue(reads: &[&[Block]]) -> BlockQueue {
        let mut queue = BlockQueue::default();
        for blocks in reads {
            queue.push(ReadBlocks::read(&Numbers, blocks.iter().copied().collect()).unwrap());
        }
        queue
    }

    #[test]
    fn blocks_leave_as_messages_in_portions_of_whole_blocks() {
        let blocks = [block(1, 16_384), block(2, 16_384), block(3, 7), block(4, 40_000), block(5, 70_000)];
        let mut queue = queue(&[&blocks[..4], &blocks[4..]]);
        assert_eq!(queue.len(), blocks.iter().map(|block| message(*block).len()).sum::<usize>());
        let (mut sent, mut portions, mut of_blocks) = (Vec::new(), Vec::new(), 0);
        while let Some(next) = queue.next() {
            let most = if portions.is_empty() { 20_000 } else { usize::MAX };
            let length = queue.begin_portion(most, &mut Ciphers::plaintext());
            assert!(length >= next);
            portions.push(length);
            while !queue.portion().is_empty() {
                let part = queue.portion().len().min(9_999);
                sent.extend_from_slice(&queue.portion()[..part]);
                of_blocks += queue.sent(part);
            }
        }
        assert_eq!(portions, [16_397, 16_397 + 20 + 40_013, 70_013]);
        assert_eq!(sent, blocks.map(message).concat());
        assert_eq!((of_blocks, queue.len()), (blocks.iter().map(|block| block.length).sum(), 0));
    }

    #[test]
    fn what_has_begun_is_sent_to_its_end_and_the_rest_is_dropped() {
        let blocks = [block(1, 100), block(2, 100), block(3, 100), block(4, 100)];
        for sent in [0, 1, 50, 113, 150, 225] {
            let mut queue = queue(&[&blocks[..3], &blocks[3..]]);
            queue.begin_portion(230, &mut Ciphers::plaintext());
            let mut left = queue.portion()[..sent].to_vec();
            queue.sent(sent);
            assert_eq!(queue.clear(), blocks[2..]);
            left.extend_from_slice(queue.portion());
            queue.sent(queue.portion().len());
            assert_eq!(left, [message(blocks[0]), message(blocks[1])].concat(), "{sent}");
            assert_eq!((queue.len(), queue.next()), (0, None));
        }
        let mut queue = queue(&[&blocks]);
        assert_eq!(queue.clear(), blocks);
        assert_eq!((queue.len(), queue.next()), (0, None));
    }

    #[test]
    fn nothing_is_read_of_a_content_that_fails() {
        assert!(ReadBlocks::read(&Numbers, [block(1, 5), Block { piece: 99, begin: 0, length: 5 }].into()).is_err());
    }
}
