//! A set of byte ranges.

use std::ops::Range;

/// The bytes of a content that were sent to somebody: ranges that do not touch, in ascending order.
///
/// It holds a limited number of ranges. Beyond, the shortest one is forgotten: it never says that a byte was sent that was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RangeSet(Vec<Range<u64>>);

impl RangeSet {
    /// Adds a range, and joins it with those that it touches. Afterwards there are at most `limit` ranges.
    pub(crate) fn insert(&mut self, range: Range<u64>, limit: usize) {
        if range.is_empty() {
            return;
        }
        let Self(ranges) = self;
        // Those from `first` up to `last` touch the new one: they give way to the join of all of them.
        let first = ranges.partition_point(|other| other.end < range.start);
        let last = first + ranges[first..].partition_point(|other| other.start <= range.end);
        let joined = match &ranges[first..last] {
            [] => range,
            all => range.start.min(all[0].start)..range.end.max(all[all.len() - 1].end),
        };
        ranges.splice(first..last, [joined]);
        while ranges.len() > limit.max(1) {
            let shortest = (0..ranges.len()).min_by_key(|&place| ranges[place].end - ranges[place].start);
            ranges.remove(shortest.expect("there are some"));
        }
    }

    /// Adds all ranges of another set.
    pub(crate) fn merge(&mut self, other: &Self, limit: usize) {
        other.0.iter().for_each(|range| self.insert(range.clone(), limit));
    }

    /// The ranges, in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }

    /// The number of bytes in all ranges.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// The number of ranges.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns `true` if every byte of the other set is in this one.
    pub(crate) fn is_superset(&self, other: &Self) -> bool {
        other.0.iter().all(|range| self.covers(range))
    }

    /// Returns `true` if every byte of this range is in the set.
    pub(crate) fn covers(&self, range: &Range<u64>) -> bool {
        let place = self.0.partition_point(|other| other.end < range.end);
        range.is_empty() || self.0.get(place).is_some_and(|other| other.start <= range.start && range.end <= other.end)
    }
}

impl From<Range<u64>> for RangeSet {
    fn from(range: Range<u64>) -> Self {
        let mut set = Self::default();
        set.insert(range, 1);
        set
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn set<const N: usize>(ranges: [(u64, u64); N]) -> RangeSet {
        let mut set = RangeSet::default();
        ranges.into_iter().for_each(|(start, end)| set.insert(start..end, 100));
        set
    }

    fn ranges(set: &RangeSet) -> Vec<(u64, u64)> {
        set.0.iter().map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn ranges_that_touch_become_one() {
        assert_eq!(ranges(&set([(5, 10), (0, 5)])), [(0, 10)]);
        assert_eq!(ranges(&set([(0, 5), (6, 10)])), [(0, 5), (6, 10)]);
        assert_eq!(ranges(&set([(0, 5), (6, 10), (5, 6)])), [(0, 10)]);
        assert_eq!(ranges(&set([(10, 20), (30, 40), (50, 60), (15, 55)])), [(10, 60)]);
        assert_eq!(ranges(&set([(10, 20), (12, 15), (20, 20)])), [(10, 20)]);
        assert_eq!(set([]).bytes(), 0);
    }

    #[test]
    fn a_resumed_download_covers_all_and_a_look_at_the_end_does_not() {
        assert!(set([(0, 60), (60, 100)]).covers(&(0..100)));
        assert!(!set([(0, 60), (90, 100)]).covers(&(0..100)));
        assert!(set([(0, 60), (90, 100)]).covers(&(95..100)));
        assert!(set([]).covers(&(7..7)));
        assert!(!set([]).covers(&(0..1)));
    }

    #[test]
    fn the_shortest_is_forgotten_when_there_are_too_many() {
        let mut set = set([(0, 10), (20, 21), (30, 40)]);
        set.insert(50..55, 3);
        assert_eq!(ranges(&set), [(0, 10), (30, 40), (50, 55)]);
        set.insert(100..200, 0);
        assert_eq!(ranges(&set), [(100, 200)], "there is always room for one");
    }

    #[test]
    fn it_is_what_a_naive_set_is() {
        let seed = rand::random();
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..200 {
            let (mut set, mut naive) = (RangeSet::default(), [false; 64]);
            for _ in 0..20 {
                let start = rng.random_range(0..64);
                let end = rng.random_range(start..=64);
                set.insert(start..end, 64);
                naive[start as usize..end as usize].fill(true);
                assert_eq!(set.bytes(), naive.iter().filter(|&&sent| sent).count() as u64, "seed {seed}");
                let (a, b) = (rng.random_range(0..64), rng.random_range(0..64));
                let covers = (a.min(b)..a.max(b)).all(|byte: u64| naive[byte as usize]);
                assert_eq!(set.covers(&(a.min(b)..a.max(b))), covers, "seed {seed}");
            }
        }
    }
}
