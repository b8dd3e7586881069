//! The SHA-1 pipeline that creating and verifying share: content in, one digest per piece out, on
//! all cores.
//!
//! Every worker takes the next run of pieces, and hashes up to [`Engine::lanes`] of them side by side. It
//! reads a part of each through its own file handles, hashes these parts while they are in its core's
//! cache, and goes on to the next ones. No thread reads on behalf of others, so that no byte crosses
//! from core to core. Memory: [`worker::BUFFER`] bytes per worker, however long the pieces are, and the
//! outcomes of at most four runs per worker in the channel.
//!
//! The parts of pieces that are hashed side by side are far apart in a file, and a hard disk must not seek
//! for each of them. So where reading is slow, Linux is asked to read these pieces ahead, in their order;
//! on other systems pieces are then hashed one after the other.

mod content;
mod open_files;
mod worker;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use sha1_lanes::Engine;

pub(crate) use content::{Content, ReadFailure, Source};
use worker::Worker;

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

/// The maximum number of files that all workers together have open, half of macOS's default limit for a process. More
/// workers than this have one each.
const MAX_OPEN_FILES: usize = 128;

/// The minimum bytes that a worker takes at a time: small pieces are taken together, so that reads
/// stay long and messages few.
const RUN_BYTES: u64 = 1 << 20;

/// The result of hashing a piece.
pub(crate) type Outcome = Result<[u8; 20], ReadFailure>;

/// Consecutive pieces that one worker has hashed; without outcomes, progress in pieces that are not finished yet.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) first: usize,
    pub(crate) outcomes: Vec<Outcome>,
    /// The bytes of content hashed since the worker's previous run.
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
    engine: Engine,
    threads: NonZeroUsize,
    cancel: &AtomicBool,
    mut sink: impl FnMut(Run) -> Result<(), E>,
) -> Result<(), E> {
    let pieces = content.piece_count();
    let threads = threads.get().min(MAX_THREADS);
    // Full lanes, unless other workers would have nothing to do.
    let full =
        usize::try_from(RUN_BYTES / content.piece_length).map_or(1, |n| n.max(1)).next_multiple_of(engine.lanes());
    let run_pieces = full.min(pieces.div_ceil(threads)).max(1);
    let runs = pieces.div_ceil(run_pieces);
    let workers = threads.min(runs);
    let next_run = AtomicUsize::new(0);
    let (send, receive) = mpsc::sync_channel(4 * workers);

    thread::scope(|scope| {
        for _ in 0..workers {
            let (send, next_run) = (send.clone(), &next_run);
            scope.spawn(move || {
                let mut worker = Worker::new(content, engine, cancel, (MAX_OPEN_FILES / workers).max(1));
                loop {
                    let run = next_run.fetch_add(1, Ordering::Relaxed);
                    if run >= runs {
                        return;
                    }
                    // The receiver is gone when the sink has failed: the work is no longer needed.
                    if worker.run(run * run_pieces, run_pieces, |done| send.send(done).ok()).is_none() {
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::{fs, io};

    use sha1::{Digest, Sha1};

    use super::worker::{BUFFER, CHUNK, READ_AHEAD};
    use super::*;

    /// One per path of this CPU.
    fn engines() -> impl Iterator<Item = Engine> {
        sha1_lanes::Path::ALL.into_iter().filter_map(|path| Engine::with_path(path).ok())
    }

    fn digests(content: &Content, threads: usize) -> Vec<Outcome> {
        digests_by(Engine::fastest(), content, threads)
    }

    fn digests_by(engine: Engine, content: &Content, threads: usize) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = (0..content.piece_count()).map(|_| None).collect();
        let mut bytes = 0;
        let threads = NonZeroUsize::new(threads).unwrap();
        hash_pieces(content, engine, threads, &AtomicBool::new(false), |run| {
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
        for piece_length in [100, 16_384, 20_000, 100_000, 1 << 20, 16 << 20] {
            let expected: Vec<[u8; 20]> = whole.chunks(piece_length).map(|piece| Sha1::digest(piece).into()).collect();
            for (engine, threads) in engines().flat_map(|engine| [1, 3, 1000].map(|threads| (engine, threads))) {
                let files = lengths.iter().zip(&paths).map(|(&length, path)| (length, Source::Path(path.clone())));
                let content = Content::new(piece_length as u64, files);
                let got = digests_by(engine, &content, threads);
                let got: Vec<[u8; 20]> = got.into_iter().map(Result::unwrap).collect();
                assert!(got == expected, "{piece_length} with {threads} by {engine:?}");
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

    /// A piece that fails in its middle, beside others that are longer than what is read at once.
    #[test]
    fn failures_spare_pieces_that_are_hashed_side_by_side() {
        const PIECE: usize = CHUNK + 100;

        let folder = tempfile::tempdir().unwrap();
        let (whole, short) = (folder.path().join("whole"), folder.path().join("short"));
        fs::write(&whole, vec![1; 10 * PIECE]).unwrap();
        fs::write(&short, vec![2; PIECE + CHUNK]).unwrap();
        let expected = [1, 2].map(|byte| Sha1::digest(vec![byte; PIECE]).into());
        for engine in engines() {
            let files = [(10 * PIECE, &whole), (2 * PIECE, &short), (10 * PIECE, &whole)];
            let files = files.map(|(length, path)| (length as u64, Source::Path(path.clone())));
            let content = Content::new(PIECE as u64, files);
            let outcomes = digests_by(engine, &content, 1);
            let failure = outcomes[11].as_ref().unwrap_err();
            assert_eq!(failure.file, 1);
            assert_eq!(failure.error.as_ref().map(io::Error::kind), Some(io::ErrorKind::UnexpectedEof));
            for (number, outcome) in outcomes.iter().enumerate().filter(|(number, _)| *number != 11) {
                assert_eq!(outcome.as_ref().ok(), Some(&expected[usize::from(number == 10)]), "{engine:?}, {number}");
            }
        }
    }

    /// Pieces that are read ahead in several steps, the last of them short, and one across two files.
    #[test]
    fn pieces_longer_than_one_read_ahead() {
        let folder = tempfile::tempdir().unwrap();
        let piece_length = READ_AHEAD as usize + CHUNK + 100;
        let whole: Vec<u8> = (0..3 * piece_length as u32 + 1000).map(|n| (n * 31 + n / 251) as u8).collect();
        let (first, second) = whole.split_at(2 * piece_length - 5);
        let files = [("first", first), ("second", second)].map(|(name, bytes)| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            (bytes.len() as u64, path)
        });
        let expected: Vec<[u8; 20]> = whole.chunks(piece_length).map(|piece| Sha1::digest(piece).into()).collect();
        for engine in engines() {
            let files = files.iter().map(|(length, path)| (*length, Source::Path(path.clone())));
            let got = digests_by(engine, &Content::new(piece_length as u64, files), 1);
            let got: Vec<[u8; 20]> = got.into_iter().map(Result::unwrap).collect();
            assert!(got == expected, "{engine:?}");
        }
    }

    /// Progress does not wait for the outcomes of all pieces that are hashed side by side.
    #[test]
    fn progress_comes_at_least_once_a_piece() {
        const PIECE: u64 = 3 << 20;

        for engine in engines() {
            let content = Content::new(PIECE, [(5 * PIECE + 7, Source::Zeros)]);
            let (mut bytes, mut outcomes) = (0, 0);
            hash_pieces(&content, engine, NonZeroUsize::MIN, &AtomicBool::new(false), |run| {
                assert!(run.bytes > 0 && run.bytes <= PIECE + BUFFER as u64, "{} bytes by {engine:?}", run.bytes);
                bytes += run.bytes;
                outcomes += run.outcomes.len();
                Ok::<_, Infallible>(())
            })
            .unwrap();
            assert_eq!((bytes, outcomes), (5 * PIECE + 7, 6));
        }
    }

    #[test]
    fn a_failing_sink_and_the_flag_stop_the_workers() {
        // 2^41 bytes would take minutes.
        let content = Content::new(1 << 20, [(1 << 41, Source::Zeros)]);
        let threads = NonZeroUsize::new(4).unwrap();
        let result = hash_pieces(&content, Engine::fastest(), threads, &AtomicBool::new(false), |_| Err("enough"));
        assert_eq!(result, Err("enough"));

        let cancel = AtomicBool::new(false);
        let mut runs = 0_usize;
        let result = hash_pieces(&content, Engine::fastest(), threads, &cancel, |_| {
            runs += 1;
            cancel.store(true, Ordering::Relaxed);
            Ok::<_, Infallible>(())
        });
        assert_eq!(result, Ok(()));
        assert!(runs < content.piece_count());
    }
}
