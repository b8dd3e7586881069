//! The choice of the path for a number of messages.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::hasher::compress_all;
use crate::{Block, Digest, Hasher, MAX_LANES, Path, State};

/// The time for measuring the paths. Two rounds are measured even if they take longer.
const MEASURING: Duration = Duration::from_millis(1);

/// The blocks of each message that is hashed to measure a path. [`MAX_LANES`] messages have 32 KiB, which fit in any
/// cache.
const MEASURED_BLOCKS: usize = 32;

/// Hashes messages by the fastest path, or by one that the caller has chosen. Small, and cheap to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engine {
    /// At `n - 1` the path that hashes the next messages if `n` are left. All of them are available.
    paths: [Path; MAX_LANES],
}

/// The given path is not available on this CPU.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the path {path} is not available on this CPU")]
pub struct UnavailablePathError {
    /// The path.
    pub path: Path,
}

impl Engine {
    /// The engine with the fastest path of this CPU for each number of messages.
    ///
    /// The first call measures them all, which takes about a millisecond. All engines of a process are the same.
    #[must_use]
    pub fn fastest() -> Self {
        static FASTEST: OnceLock<Engine> = OnceLock::new();
        *FASTEST.get_or_init(|| Self::from_costs(&measure()))
    }

    /// An engine that hashes by `path`, however many messages there are.
    ///
    /// # Errors
    ///
    /// Returns an [`UnavailablePathError`] unless [`Path::is_available`].
    pub fn with_path(path: Path) -> Result<Self, UnavailablePathError> {
        if path.is_available() { Ok(Self { paths: [path; MAX_LANES] }) } else { Err(UnavailablePathError { path }) }
    }

    /// The path that hashes [`MAX_LANES`] messages or more.
    #[must_use]
    pub fn path(&self) -> Path {
        self.paths[MAX_LANES - 1]
    }

    /// The number of messages that are best hashed together: the lanes of [`path`](Self::path).
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.path().lanes()
    }

    /// Hashes any number of messages, all of the same length, and writes the digest of each to the same place of
    /// `digests`.
    ///
    /// # Panics
    ///
    /// If the messages have different lengths, or `digests` is not as long as `messages`.
    pub fn hash_all(&self, messages: &[&[u8]], digests: &mut [Digest]) {
        assert_eq!(messages.len(), digests.len(), "a digest for each message");
        if let Some(first) = messages.first() {
            assert!(messages.iter().all(|message| message.len() == first.len()), "messages of the same length");
        }
        for (messages, digests) in messages.chunks(MAX_LANES).zip(digests.chunks_mut(MAX_LANES)) {
            self.hasher(messages.len()).finish(messages, digests);
        }
    }

    /// A hasher for `count` messages of the same length, which takes them part by part.
    ///
    /// # Panics
    ///
    /// If `count` is larger than [`MAX_LANES`].
    #[must_use]
    pub fn hasher(&self, count: usize) -> Hasher {
        Hasher::new(*self, count)
    }

    /// The path for the next messages if `left` are left, at least one.
    pub(crate) fn path_for(&self, left: usize) -> Path {
        self.paths[left.min(MAX_LANES) - 1]
    }

    /// The cheapest way through up to [`MAX_LANES`] messages: for each number of them, the path that costs least
    /// together with the cheapest way through those that it leaves.
    fn from_costs(costs: &[(Path, Duration)]) -> Self {
        let mut paths = [Path::Single; MAX_LANES];
        let mut totals = [Duration::ZERO; MAX_LANES + 1];
        for left in 1..=MAX_LANES {
            let total = |&(path, cost): &(Path, Duration)| (cost + totals[left.saturating_sub(path.lanes())], path);
            let cheapest = costs.iter().map(total).min_by_key(|(cost, _)| *cost);
            (totals[left], paths[left - 1]) = cheapest.unwrap_or((Duration::ZERO, Path::Single));
        }
        Self { paths }
    }
}

/// The available paths, and how long one use of each takes for messages of a fixed length.
///
/// They take turns, and the shortest time of each counts: one without an interruption, and after the CPU has switched
/// its wide vector units on.
fn measure() -> Vec<(Path, Duration)> {
    let available = Path::ALL.into_iter().filter(|path| path.is_available());
    let mut costs: Vec<_> = available.map(|path| (path, Duration::MAX)).collect();
    if costs.len() == 1 {
        return costs;
    }
    let content = vec![[0x5a_u8; 64]; MEASURED_BLOCKS * MAX_LANES];
    let messages: Vec<&[Block]> = content.chunks(MEASURED_BLOCKS).collect();
    let mut states = [State::default(); MAX_LANES];
    let begun = Instant::now();
    let mut rounds = 0;
    while rounds < 2 || begun.elapsed() < MEASURING {
        for (path, shortest) in &mut costs {
            let engine = Engine { paths: [*path; MAX_LANES] };
            let uses = MAX_LANES / path.lanes();
            let started = Instant::now();
            compress_all(&engine, black_box(&mut states), black_box(&messages));
            *shortest = (*shortest).min(started.elapsed() / uses as u32);
        }
        rounds += 1;
    }
    costs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(single: u64, avx2: u64, avx512: u64) -> Engine {
        let costs = [(Path::Single, single), (Path::Avx2, avx2), (Path::Avx512, avx512)];
        Engine::from_costs(&costs.map(|(path, cost)| (path, Duration::from_micros(cost))))
    }

    /// The paths for `count` messages, one after the other.
    fn paths(engine: Engine, mut count: usize) -> Vec<Path> {
        let mut paths = Vec::new();
        while count > 0 {
            paths.push(engine.path_for(count));
            count = count.saturating_sub(engine.path_for(count).lanes());
        }
        paths
    }

    #[test]
    fn empty_lanes_cost_as_much_as_full_ones() {
        use Path::{Avx2, Avx512, Single};

        let fast = engine(10, 30, 45);
        assert_eq!((fast.path(), fast.lanes()), (Avx512, 16));
        assert_eq!(paths(fast, 0), []);
        assert_eq!(paths(fast, 2), [Single; 2]);
        assert_eq!(paths(fast, 4), [Avx2]);
        assert_eq!(paths(fast, 9), [Single, Avx2]);
        assert_eq!(paths(fast, 11), [Avx512]);
        assert_eq!(paths(fast, 33), [Avx512, Avx512, Single]);
    }

    #[test]
    fn a_path_that_is_slower_is_not_taken() {
        let without_vectors = engine(10, 90, 170);
        assert_eq!((without_vectors.path(), without_vectors.lanes()), (Path::Single, 1));
        assert_eq!(paths(without_vectors, 16), [Path::Single; 16]);

        let slow_when_wide = engine(10, 40, 81);
        assert_eq!((slow_when_wide.path(), slow_when_wide.lanes()), (Path::Avx2, 8));
        assert_eq!(paths(slow_when_wide, 16), [Path::Avx2; 2]);
    }

    #[test]
    fn only_what_is_available_is_measured() {
        let measured: Vec<_> = measure().into_iter().map(|(path, _)| path).collect();
        let available: Vec<_> = Path::ALL.into_iter().filter(|path| path.is_available()).collect();
        assert_eq!(measured, available);
    }
}
