//! How long it takes to answer requests.

use std::array;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Counters that threads take turns at: with fewer threads than that, each has its own.
const STRIPES: usize = 16;

/// The binary logarithm of the number of ranges into which each doubling of the time is divided.
const STEPS_LOG2: u32 = 3;

const STEPS: usize = 1 << STEPS_LOG2;

/// The binary logarithm of the nanoseconds below which all times are in the first range: about a microsecond.
const SHORTEST_LOG2: u32 = 10;

/// Doublings of the time, up to 17 s. What takes longer is in the last range.
const DOUBLINGS: usize = 24;

const RANGES: usize = STEPS * DOUBLINGS;

/// Counts how many requests were answered in which time. Cheap to clone; all clones are one.
///
/// Times are counted in ranges, so that memory is bounded (25 kB) and a count costs one atomic addition, which threads seldom do
/// to the same one.
#[derive(Clone)]
pub struct AnswerTimes(Arc<[Stripe; STRIPES]>);

/// The counts of some threads. It has its cache lines for itself.
#[repr(align(128))]
struct Stripe([AtomicU64; RANGES]);

/// The number of requests that were answered in each range of times.
#[derive(Clone, PartialEq, Eq)]
pub struct AnswerCounts(Box<[u64; RANGES]>);

impl AnswerTimes {
    /// Nothing was answered yet.
    pub fn new() -> Self {
        Self(Arc::new(array::from_fn(|_| Stripe(array::from_fn(|_| AtomicU64::new(0))))))
    }

    /// Counts requests whose answers took so long, from when they were there until they were handed to the system to be sent.
    pub fn record(&self, requests: u64, took: Duration) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static STRIPE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
        }
        self.0[STRIPE.with(|stripe| *stripe)].0[range_of(took)].fetch_add(requests, Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn counts(&self) -> AnswerCounts {
        let count = |range: usize| self.0.iter().map(|stripe| stripe.0[range].load(Ordering::Relaxed)).sum();
        AnswerCounts(Box::new(array::from_fn(count)))
    }
}

impl AnswerCounts {
    /// Adds those of another server.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&*other.0).for_each(|(count, other)| *count = count.saturating_add(*other));
    }

    /// Without those that had been counted earlier already.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self(Box::new(array::from_fn(|range| self.0[range].saturating_sub(earlier.0[range]))))
    }

    /// Adds requests whose answers took so long.
    pub fn add_requests(&mut self, requests: u64, took: Duration) {
        let count = &mut self.0[range_of(took)];
        *count = count.saturating_add(requests);
    }

    /// The requests by the time that their answers took at least, the shortest time first: what [`add_requests`](Self::add_requests)
    /// makes the same counts of.
    pub fn by_time(&self) -> impl Iterator<Item = (Duration, u64)> {
        let start_of = |range: usize| range.checked_sub(1).map_or(Duration::ZERO, end_of);
        self.0.iter().enumerate().filter(|(_, count)| **count > 0).map(move |(range, count)| (start_of(range), *count))
    }

    /// The number of requests.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The time within which this part of the requests was answered, `0.5` for the median; `None` if there were none. It is at
    /// most an eighth too long, but never less than a microsecond nor more than 17 s.
    pub fn within(&self, part: f64) -> Option<Duration> {
        let wanted = (self.total() as f64 * part).ceil() as u64;
        let mut sum = 0_u64;
        let range = self.0.iter().position(|count| {
            sum = sum.saturating_add(*count);
            *count > 0 && sum >= wanted
        });
        range.map(end_of)
    }
}

/// The range that a time is in: the doubling, and the part of it.
fn range_of(time: Duration) -> usize {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1 << SHORTEST_LOG2);
    let doubling = nanos.ilog2();
    let step = (nanos >> (doubling - STEPS_LOG2)) as usize & (STEPS - 1);
    ((doubling - SHORTEST_LOG2) as usize * STEPS + step).min(RANGES - 1)
}

/// The time at which a range ends.
fn end_of(range: usize) -> Duration {
    let (doubling, step) = (range / STEPS, range % STEPS);
    Duration::from_nanos(((STEPS + step + 1) as u64) << (SHORTEST_LOG2 - STEPS_LOG2) << doubling)
}

impl Default for AnswerTimes {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for AnswerCounts {
    fn default() -> Self {
        Self(Box::new([0; RANGES]))
    }
}

impl Debug for AnswerTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnswerTimes").field(&self.counts()).finish()
    }
}

/// Without all the ranges.
impl Debug for AnswerCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.debug_struct("AnswerCounts").field("total", &self.total()).field("median", &self.within(0.5)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_time_is_in_a_range_that_ends_shortly_after_it() {
        for nanos in (0..36).flat_map(|power| [1_u64 << power, (1 << power) * 5 / 4, (2 << power) - 1]) {
            let (time, end) = (Duration::from_nanos(nanos), end_of(range_of(Duration::from_nanos(nanos))));
            match nanos {
                ..1024 => assert_eq!(end, Duration::from_nanos(1152), "{nanos}"),
                1024..0x4_0000_0000 => assert!(end > time && end <= time * 9 / 8, "{nanos}: {end:?}"),
                _ => assert_eq!(end, Duration::from_nanos(1 << 34), "{nanos}"),
            }
        }
        assert_eq!(range_of(Duration::MAX), RANGES - 1);
    }

    #[test]
    fn counts_can_be_written_down() {
        let times = AnswerTimes::new();
        for range in 0..RANGES {
            times.record(range as u64 % 3, end_of(range) - Duration::from_nanos(1));
        }
        let (counts, mut again) = (times.counts(), AnswerCounts::default());
        assert_eq!(counts.by_time().count(), RANGES * 2 / 3);
        counts.by_time().for_each(|(took, requests)| again.add_requests(requests, took));
        assert_eq!(again, counts);
        // Not even the largest counts stop the program.
        for took in [Duration::ZERO, Duration::ZERO, Duration::from_secs(1)] {
            again.add_requests(u64::MAX, took);
        }
        again.add(&again.clone());
        assert_eq!((again.total(), again.within(1.0).is_some()), (u64::MAX, true));
    }

    #[test]
    fn counts_of_all_threads_tell_the_median() {
        let times = AnswerTimes::new();
        assert_eq!((times.counts().total(), times.counts().within(0.5)), (0, None));
        times.record(7, Duration::from_secs(1));
        let before = times.counts();
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| (0..99).for_each(|_| times.record(1, Duration::from_micros(10))));
                scope.spawn(|| times.record(1, Duration::from_millis(3)));
            }
        });
        let mut counts = times.counts().since(&before);
        assert_eq!(counts.total(), 2000);
        let near = |part, micros: u64| {
            let time = counts.within(part).unwrap();
            assert!(time >= Duration::from_micros(micros) && time <= Duration::from_micros(micros) * 9 / 8, "{time:?}");
        };
        near(0.0, 10);
        near(0.5, 10);
        near(0.99, 10);
        near(0.991, 3000);
        near(1.0, 3000);
        counts.add(&before);
        assert_eq!(counts, times.counts());
    }
}
