//! Hashing messages part by part.

use std::fmt;

use crate::{Block, Digest, Engine, MAX_LANES, Path, State};

/// The state before the first block.
const INITIAL: State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// The bytes of the message's length at its end.
const LENGTH_BYTES: usize = 8;

/// Hashes up to [`MAX_LANES`] messages of the same length side by side, part by part.
///
/// Made by [`Engine::hasher`]. It holds 20 bytes of state per message, and copies no content but the last partial
/// block.
///
/// ```
/// use sha1_lanes::Engine;
///
/// // Two pieces of a file, of which the hasher never sees more than 64 KiB each.
/// let content = vec![0xaa; 2 << 20];
/// let (first, second) = content.split_at(1 << 20);
///
/// let mut hasher = Engine::fastest().hasher(2);
/// for (first, second) in first.chunks(64 << 10).zip(second.chunks(64 << 10)) {
///     hasher.update(&[first, second]);
/// }
/// let mut digests = [[0; 20]; 2];
/// hasher.finish(&[&[], &[]], &mut digests);
/// assert_eq!(digests[0], digests[1]);
/// ```
#[derive(Clone)]
pub struct Hasher {
    engine: Engine,
    /// Those of the first `count` messages are used.
    states: [State; MAX_LANES],
    count: usize,
    /// The bytes hashed so far of each message.
    hashed: u64,
}

impl Hasher {
    pub(crate) fn new(engine: Engine, count: usize) -> Self {
        assert!(count <= MAX_LANES, "{count} messages: at most {MAX_LANES} are hashed together");
        Self { engine, states: [INITIAL; MAX_LANES], count, hashed: 0 }
    }

    /// The number of messages.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Hashes the next part of each message. Parts of 16 to 64 KiB are best: the parts of all messages fit in a core's
    /// own cache.
    ///
    /// # Panics
    ///
    /// If there are not as many parts as messages, if the parts have different lengths, or if their length is not a
    /// multiple of 64 bytes. What is left at the end goes to [`finish`](Self::finish).
    pub fn update(&mut self, parts: &[&[u8]]) {
        let length = self.length_of(parts);
        assert!(length.is_multiple_of(size_of::<Block>()), "parts of {length} bytes: a multiple of 64 is needed");
        self.hash_blocks(parts);
    }

    /// Hashes the last part of each message, of any length and also empty, and writes the messages' digests.
    ///
    /// # Panics
    ///
    /// If there are not as many parts, or places for digests, as messages, or if the parts have different lengths.
    pub fn finish(mut self, parts: &[&[u8]], digests: &mut [Digest]) {
        let length = self.length_of(parts);
        assert_eq!(digests.len(), self.count, "a digest for each message");
        self.hash_blocks(parts);
        let bits = self.hashed.wrapping_add((length % size_of::<Block>()) as u64).wrapping_mul(8);

        // What is left of each message, a bit, zeros up to the end of the first or the second block, and the length.
        let mut padded = [[[0; size_of::<Block>()]; 2]; MAX_LANES];
        let left = length % size_of::<Block>();
        let blocks = if left + 1 + LENGTH_BYTES <= size_of::<Block>() { 1 } else { 2 };
        let mut lasts: [&[Block]; MAX_LANES] = [&[]; MAX_LANES];
        for ((padded, part), last) in padded.iter_mut().zip(parts).zip(&mut lasts) {
            let bytes = padded[..blocks].as_flattened_mut();
            bytes[..left].copy_from_slice(&part[length - left..]);
            bytes[left] = 0x80;
            *bytes.last_chunk_mut().expect("a block is longer than a length") = bits.to_be_bytes();
            *last = &padded[..blocks];
        }
        compress_all(&self.engine, &mut self.states[..self.count], &lasts[..self.count]);

        for (digest, state) in digests.iter_mut().zip(&self.states) {
            for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
                *bytes = word.to_be_bytes();
            }
        }
    }

    /// The length of each part, after checking that there is one per message and that all are as long.
    fn length_of(&self, parts: &[&[u8]]) -> usize {
        assert_eq!(parts.len(), self.count, "a part of each message");
        let length = parts.first().map_or(0, |part| part.len());
        assert!(parts.iter().all(|part| part.len() == length), "parts of the same length");
        length
    }

    /// Hashes the whole blocks at the start of the parts.
    fn hash_blocks(&mut self, parts: &[&[u8]]) {
        let mut messages: [&[Block]; MAX_LANES] = [&[]; MAX_LANES];
        for (blocks, part) in messages.iter_mut().zip(parts) {
            (*blocks, _) = part.as_chunks();
        }
        compress_all(&self.engine, &mut self.states[..self.count], &messages[..self.count]);
        self.hashed = self.hashed.wrapping_add(size_of_val(messages[0]) as u64);
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { engine, count, hashed, .. } = self;
        f.debug_struct("Hasher")
            .field("path", &engine.path())
            .field("count", count)
            .field("hashed", hashed)
            .finish_non_exhaustive()
    }
}

/// Hashes the blocks of any number of messages, all with the same number of blocks, into their states.
pub(crate) fn compress_all(engine: &Engine, mut states: &mut [State], mut messages: &[&[Block]]) {
    while !messages.is_empty() {
        let path = engine.path_for(messages.len());
        let together = path.lanes().min(messages.len());
        let (some, others) = states.split_at_mut(together);
        let (of_some, of_others) = messages.split_at(together);
        compress_by(path, some, of_some);
        (states, messages) = (others, of_others);
    }
}

fn compress_by(path: Path, states: &mut [State], messages: &[&[Block]]) {
    match path {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Path::ShaNi | Path::Avx2 | Path::Avx512 => crate::vector::compress_by(path, states, messages),
        _ => {
            for (state, blocks) in states.iter_mut().zip(messages) {
                sha1::block_api::compress(state, blocks);
            }
        }
    }
}
