//! A thread that reads and hashes.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sha1_lanes::{Engine, MAX_LANES};

use super::content::Content;
use super::open_files::{OpenFiles, READS_AHEAD};
use super::{Outcome, RUN_BYTES, Run};

/// The maximum bytes of one read: large enough that the cost of the system call is negligible.
pub(super) const CHUNK: usize = 128 << 10;

/// The maximum bytes of the parts in a worker's buffer, one of each piece that is hashed side by side: small enough for
/// a core's own cache.
pub(super) const BUFFER: usize = 512 << 10;

/// The bytes between two parts in the buffer: a cache line, so that equal places of all parts do not fall into the same
/// set of the cache.
const GAP: usize = 64;

/// The maximum bytes of each piece that the system is asked to read ahead: 64 MiB with 16 pieces. A hard disk takes
/// longer to read 4 MiB than to seek to them.
pub(super) const READ_AHEAD: u64 = 4 << 20;

/// The time per byte from which content is taken to come from a disk instead of the page cache: 1 GB/s.
const SLOW: Duration = Duration::from_nanos(1);

pub(super) struct Worker<'c> {
    engine: Engine,
    content: &'c Content,
    cancel: &'c AtomicBool,
    /// The maximum bytes of a part, a multiple of 64 unless pieces are shorter.
    chunk: usize,
    buffer: Vec<u8>,
    open_files: OpenFiles,
    /// The time that reading has taken, and the bytes read in it, since [`Worker::reading_is_slow`] was last called.
    reading: (Duration, u64),
}

impl<'c> Worker<'c> {
    pub(super) fn new(content: &'c Content, engine: Engine, cancel: &'c AtomicBool, max_open: usize) -> Self {
        let chunk = CHUNK.min(BUFFER / engine.lanes());
        let chunk = usize::try_from(content.piece_length).map_or(chunk, |length| length.min(chunk));
        let buffer = vec![0; engine.lanes() * (chunk + GAP)];
        let open_files = OpenFiles::new(max_open.min(engine.lanes()));
        Self { engine, content, cancel, chunk, buffer, open_files, reading: Default::default() }
    }

    /// Hashes pieces and gives their outcomes to `send`, and progress before. `None` when cancelled, or once `send`
    /// returns it.
    pub(super) fn run(&mut self, first: usize, pieces: usize, mut send: impl FnMut(Run) -> Option<()>) -> Option<()> {
        let piece_length = self.content.piece_length;
        let end = (first + pieces).min(self.content.piece_count());
        let mut done = Run { first, outcomes: Vec::with_capacity(end - first), bytes: 0 };
        let mut piece = first;
        while piece < end {
            let start = piece as u64 * piece_length;
            let left = self.content.total - start;
            // The last piece of the content, if it is shorter, is hashed by itself.
            let whole = usize::try_from(left / piece_length).unwrap_or(usize::MAX);
            // Without read-ahead a disk is read in order.
            let in_order = !READS_AHEAD && piece_length > self.chunk as u64 && self.reading_is_slow();
            let lanes = if in_order { 1 } else { self.engine.lanes() };
            let count = lanes.min(end - piece).min(whole).max(1);
            let length = piece_length.min(left);
            let mut left = count as u64 * length;
            let outcomes = self.side_by_side(start, length, count, |bytes| {
                left -= bytes;
                done.bytes += bytes;
                if done.bytes < RUN_BYTES.max(piece_length) {
                    return Some(());
                }
                let bytes = mem::take(&mut done.bytes);
                send(Run { first: piece, outcomes: Vec::new(), bytes })
            })?;
            done.bytes += left;
            done.outcomes.extend(outcomes);
            piece += count;
        }
        send(done)
    }

    /// Hashes `count` consecutive pieces of `length` bytes, part by part. After all parts but the last it calls
    /// `progress` with the number of bytes hashed. `None` when cancelled, or once `progress` returns it.
    fn side_by_side(
        &mut self,
        start: u64,
        length: u64,
        count: usize,
        mut progress: impl FnMut(u64) -> Option<()>,
    ) -> Option<Vec<Outcome>> {
        let stride = self.chunk + GAP;
        let mut outcomes: Vec<Outcome> = (0..count).map(|_| Ok([0; 20])).collect();
        let mut hasher = self.engine.hasher(count);
        let mut done = 0_u64;
        loop {
            if self.cancel.load(Ordering::Relaxed) {
                return None;
            }
            // What is in the page cache is not worth the system calls.
            let is_due = count > 1 && length > self.chunk as u64 && done.is_multiple_of(READ_AHEAD);
            if READS_AHEAD && is_due && self.reading_is_slow() {
                self.read_ahead(start, length, count, done);
            }
            let began = Instant::now();
            let part = usize::try_from(length - done).map_or(self.chunk, |left| left.min(self.chunk));
            let starts = (0..count as u64).map(|piece| start + piece * length + done);
            for ((outcome, start), buffer) in outcomes.iter_mut().zip(starts).zip(self.buffer.chunks_mut(stride)) {
                if outcome.is_ok()
                    && let Err(failure) = self.open_files.read(self.content, start, &mut buffer[..part])
                {
                    *outcome = Err(failure);
                }
            }
            self.reading.0 += began.elapsed();
            self.reading.1 += (count * part) as u64;
            if outcomes.iter().all(Result::is_err) {
                return Some(outcomes);
            }
            let mut parts: [&[u8]; MAX_LANES] = [&[]; MAX_LANES];
            for (place, buffer) in parts.iter_mut().zip(self.buffer.chunks(stride)).take(count) {
                *place = &buffer[..part];
            }
            done += part as u64;
            if done == length {
                let mut digests = [[0; 20]; MAX_LANES];
                hasher.finish(&parts[..count], &mut digests[..count]);
                let hashed = outcomes.into_iter().zip(digests);
                return Some(hashed.map(|(outcome, digest)| outcome.map(|_| digest)).collect());
            }
            hasher.update(&parts[..count]);
            progress((count * part) as u64)?;
        }
    }

    /// Returns `true` if content has come from a disk since the last call, or if none has been read.
    fn reading_is_slow(&mut self) -> bool {
        let (time, bytes) = mem::take(&mut self.reading);
        time.as_nanos() >= u128::from(bytes) * SLOW.as_nanos()
    }

    /// Asks the system to read ahead what comes next of pieces that are hashed side by side, in the order of the
    /// content.
    fn read_ahead(&mut self, start: u64, length: u64, count: usize, done: u64) {
        let count = count as u64;
        if length <= READ_AHEAD {
            self.open_files.read_ahead(self.content, start..start + count * length);
            return;
        }
        for piece in 0..count {
            let start = start + piece * length;
            self.open_files.read_ahead(self.content, start + done..start + length.min(done + READ_AHEAD));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use sha1_lanes::Path;

    use super::*;
    use crate::hash::content::Source;

    #[test]
    fn memory_does_not_depend_on_the_piece_length() {
        let cancel = AtomicBool::new(false);
        for piece_length in [1, 100, 16 << 10, 1 << 20, 16 << 20, u64::from(u32::MAX), u64::MAX] {
            let content = Content::new(piece_length, [(u64::MAX, Source::Path(PathBuf::new()))]);
            for engine in Path::ALL.into_iter().filter_map(|path| Engine::with_path(path).ok()) {
                let worker = Worker::new(&content, engine, &cancel, 128);
                assert!(worker.buffer.capacity() <= BUFFER + MAX_LANES * GAP, "{piece_length} by {engine:?}");
                assert!(worker.chunk.is_multiple_of(64) || worker.chunk as u64 == piece_length);
            }
        }
    }
}
