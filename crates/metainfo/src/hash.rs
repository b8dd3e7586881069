//! The SHA-1 pipeline that creating and verifying share: content in, one digest per piece out, on
//! all cores.
//!
//! Every worker takes the next run of pieces, reads it through its own file handle in chunks that
//! stay in its core's cache, and hashes each chunk at once. No thread reads on behalf of others, so
//! that no byte crosses from core to core. Memory: [`CHUNK`] bytes per worker, and 20 bytes per
//! piece of what stands finished in the channel.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use sha1::{Digest, Sha1};

/// The progress of hashing, in bytes of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes hashed so far.
    pub hashed: u64,
    /// Bytes in total.
    pub total: u64,
}

/// The maximum number of threads that hash, also if more are requested.
pub(crate) const MAX_THREADS: usize = 256;

/// The bytes of one read: large enough that the cost of the system call is negligible, small enough
/// for a core's own cache.
const CHUNK: usize = 128 << 10;

/// The minimum bytes that a worker takes at a time: small pieces are taken together, so that reads
/// stay long and messages few.
const RUN_BYTES: u64 = 1 << 20;

/// A torrent's content: the bytes that are cut into pieces.
#[derive(Debug)]
pub(crate) struct Content {
    /// In order, without gaps, none of them empty.
    segments: Vec<Segment>,
    piece_length: u64,
    total: u64,
}

#[derive(Debug)]
struct Segment {
    offset: u64,
    length: u64,
    file: usize,
    source: Source,
}

/// The source of a file's bytes.
#[derive(Debug)]
pub(crate) enum Source {
    Path(PathBuf),
    /// A pad file of [BEP 47](https://www.bittorrent.org/beps/bep_0047.html).
    Zeros,
    /// Not there: the pieces that touch it fail.
    Absent,
}

impl Content {
    /// The content made of `files`, in this order. Failures name a file by its number in it.
    pub(crate) fn new(piece_length: u64, files: impl IntoIterator<Item = (u64, Source)>) -> Self {
        assert!(piece_length > 0, "a piece has a length");
        let mut segments = Vec::new();
        let mut total = 0;
        for (file, (length, source)) in files.into_iter().enumerate() {
            if length > 0 {
                segments.push(Segment { offset: total, length, file, source });
                total += length;
            }
        }
        Self { segments, piece_length, total }
    }

    pub(crate) fn piece_count(&self) -> usize {
        usize::try_from(self.total.div_ceil(self.piece_length)).expect("limited by the callers to 2^21 pieces")
    }
}

/// The result of hashing a piece.
pub(crate) type Outcome = Result<[u8; 20], ReadFailure>;

/// A piece could not be read.
#[derive(Debug)]
pub(crate) struct ReadFailure {
    /// The number of the file in the content.
    pub(crate) file: usize,
    /// `None` if the file is [`Source::Absent`]; [`io::ErrorKind::UnexpectedEof`] if it is shorter
    /// than it should be.
    pub(crate) error: Option<io::Error>,
}

/// Pieces that follow one another, hashed by one worker.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) first: usize,
    pub(crate) outcomes: Vec<Outcome>,
    /// The number of bytes of content they cover.
    pub(crate) bytes: u64,
}

/// The default number of threads: one per core that this process may use.
pub(crate) fn default_threads() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Hashes every piece of `content` and gives them to `sink`, run by run, in any order, on the
/// calling thread.
///
/// Ends early if `sink` fails, and without an error once `cancel` is `true`; the caller must check
/// it.
pub(crate) fn hash_pieces<E>(
    content: &Content,
    threads: NonZeroUsize,
    cancel: &AtomicBool,
    mut sink: impl FnMut(Run) -> Result<(), E>,
) -> Result<(), E> {
    let run_pieces = usize::try_from(RUN_BYTES / content.piece_length).map_or(1, |n| n.max(1));
    let runs = content.piece_count().div_ceil(run_pieces);
    let workers = threads.get().min(MAX_THREADS).min(runs);
    let next_run = AtomicUsize::new(0);
    let (send, receive) = mpsc::sync_channel(4 * workers);

    thread::scope(|scope| {
        for _ in 0..workers {
            let (send, next_run) = (send.clone(), &next_run);
            scope.spawn(move || {
                let mut worker = Worker::new(content, cancel);
                loop {
                    let run = next_run.fetch_add(1, Ordering::Relaxed);
                    if run >= runs {
                        return;
                    }
                    let Some(done) = worker.run(run * run_pieces, run_pieces) else { return };
                    // The receiver is gone when the sink has failed: the work is no longer needed.
                    if send.send(done).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        // Consumes the receiver, so that an early return wakes workers that wait for room in the
        // channel.
        receive.into_iter().try_for_each(&mut sink)
    })
}

struct Worker<'c> {
    content: &'c Content,
    cancel: &'c AtomicBool,
    buffer: Vec<u8>,
    open: Option<OpenFile>,
}

/// The file read last, where the next piece most often begins.
struct OpenFile {
    segment: usize,
    handle: File,
    position: u64,
}

impl<'c> Worker<'c> {
    fn new(content: &'c Content, cancel: &'c AtomicBool) -> Self {
        let chunk = usize::try_from(content.piece_length).map_or(CHUNK, |length| length.min(CHUNK));
        Self { content, cancel, buffer: vec![0; chunk], open: None }
    }

    /// `None` when cancelled.
    fn run(&mut self, first: usize, pieces: usize) -> Option<Run> {
        let end = (first + pieces).min(self.content.piece_count());
        let mut outcomes = Vec::with_capacity(end - first);
        let mut bytes = 0;
        for piece in first..end {
            let start = piece as u64 * self.content.piece_length;
            let length = self.content.piece_length.min(self.content.total - start);
            outcomes.push(self.piece(start, length)?);
            bytes += length;
        }
        Some(Run { first, outcomes, bytes })
    }

    fn piece(&mut self, start: u64, length: u64) -> Option<Outcome> {
        let segments = &self.content.segments;
        let end = start + length;
        let mut hasher = Sha1::new();
        let first = segments.partition_point(|segment| segment.offset + segment.length <= start);
        for (number, segment) in segments.iter().enumerate().skip(first).take_while(|(_, s)| s.offset < end) {
            let mut from = start.max(segment.offset) - segment.offset;
            let to = end.min(segment.offset + segment.length) - segment.offset;
            while from < to {
                if self.cancel.load(Ordering::Relaxed) {
                    return None;
                }
                let chunk = usize::try_from(to - from).map_or(self.buffer.len(), |left| left.min(self.buffer.len()));
                if let Err(error) = self.fill(number, from, chunk) {
                    return Some(Err(ReadFailure { file: segment.file, error }));
                }
                hasher.update(&self.buffer[..chunk]);
                from += chunk as u64;
            }
        }
        Some(Ok(hasher.finalize().into()))
    }

    /// Reads `length` bytes at `from` of a segment to the start of the buffer.
    fn fill(&mut self, number: usize, from: u64, length: usize) -> Result<(), Option<io::Error>> {
        let buffer = &mut self.buffer[..length];
        let path = match &self.content.segments[number].source {
            Source::Path(path) => path,
            Source::Zeros => {
                buffer.fill(0);
                return Ok(());
            }
            Source::Absent => return Err(None),
        };
        let mut open = match self.open.take() {
            Some(open) if open.segment == number => open,
            _ => OpenFile { segment: number, handle: File::open(path)?, position: 0 },
        };
        if open.position != from {
            open.handle.seek(SeekFrom::Start(from))?;
        }
        open.handle.read_exact(buffer)?;
        open.position = from + length as u64;
        self.open = Some(open);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::fs;

    use super::*;

    fn digests(content: &Content, threads: usize) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = (0..content.piece_count()).map(|_| None).collect();
        let mut bytes = 0;
        let threads = NonZeroUsize::new(threads).unwrap();
        hash_pieces(content, threads, &AtomicBool::new(false), |run| {
            bytes += run.bytes;
            for (i, outcome) in run.outcomes.into_iter().enumerate() {
                assert!(outcomes[run.first + i].replace(outcome).is_none(), "hashed twice");
            }
            Ok::<_, Infallible>(())
        })
        .unwrap();
        assert_eq!(bytes, content.total);
        outcomes.into_iter().map(Option::unwrap).collect()
    }

    /// Compares with the plain implementation: everything in one buffer, cut and hashed.
    #[test]
    fn pieces_across_files() {
        let folder = tempfile::tempdir().unwrap();
        // Lengths around a chunk, a piece and nothing; contents that differ everywhere.
        let lengths = [0, 1, 5000, CHUNK as u64 + 1, 0, 3 << 20, 16_384, 2 * CHUNK as u64 - 3, 7];
        let mut whole = Vec::new();
        let mut paths = Vec::new();
        for (i, &length) in lengths.iter().enumerate() {
            let bytes: Vec<u8> = (0..length).map(|n| (n * 31 + n / 251 + i as u64) as u8).collect();
            let path = folder.path().join(i.to_string());
            fs::write(&path, &bytes).unwrap();
            whole.extend_from_slice(&bytes);
            paths.push(path);
        }
        for piece_length in [100, 16_384, 20_000, 1 << 20, 16 << 20] {
            let expected: Vec<[u8; 20]> = whole.chunks(piece_length).map(|piece| Sha1::digest(piece).into()).collect();
            for threads in [1, 3, 1000] {
                let files = lengths.iter().zip(&paths).map(|(&length, path)| (length, Source::Path(path.clone())));
                let content = Content::new(piece_length as u64, files);
                let got: Vec<[u8; 20]> = digests(&content, threads).into_iter().map(Result::unwrap).collect();
                assert!(got == expected, "{piece_length} with {threads}");
            }
        }
    }

    #[test]
    fn failures_name_the_file_and_spare_other_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let short = folder.path().join("short");
        fs::write(&short, [1; 150]).unwrap();
        let content = Content::new(
            100,
            [
                (100, Source::Zeros),
                (200, Source::Path(short)),
                (100, Source::Absent),
                (0, Source::Absent),
                (100, Source::Path(folder.path().join("missing"))),
                (50, Source::Zeros),
            ],
        );
        let outcomes = digests(&content, 2);
        assert_eq!(outcomes[0].as_ref().unwrap()[..], Sha1::digest([0; 100])[..]);
        assert_eq!(outcomes[1].as_ref().unwrap()[..], Sha1::digest([1; 100])[..]);
        let failure = |piece: usize| {
            let failure = outcomes[piece].as_ref().unwrap_err();
            (failure.file, failure.error.as_ref().map(io::Error::kind))
        };
        assert_eq!(failure(2), (1, Some(io::ErrorKind::UnexpectedEof)));
        assert_eq!(failure(3), (2, None));
        assert_eq!(failure(4), (4, Some(io::ErrorKind::NotFound)));
        assert_eq!(outcomes[5].as_ref().unwrap()[..], Sha1::digest([0; 50])[..]);
    }

    #[test]
    fn a_failing_sink_and_the_flag_stop_the_workers() {
        // 2^41 bytes would take minutes.
        let content = Content::new(1 << 20, [(1 << 41, Source::Zeros)]);
        let threads = NonZeroUsize::new(4).unwrap();
        let result = hash_pieces(&content, threads, &AtomicBool::new(false), |_| Err("enough"));
        assert_eq!(result, Err("enough"));

        let cancel = AtomicBool::new(false);
        let mut runs = 0_usize;
        let result = hash_pieces(&content, threads, &cancel, |_| {
            runs += 1;
            cancel.store(true, Ordering::Relaxed);
            Ok::<_, Infallible>(())
        });
        assert_eq!(result, Ok(()));
        assert!(runs < content.piece_count());
    }
}
