/// Which keys stand in a list twice: the places, in ascending order, of all but the first occurrence of each.
///
/// The keys of a hostile dict may be a million, in any order: this compares O(n log n) times.
pub(crate) fn repeats<K: Ord, P: Ord + Copy>(keys: impl Iterator<Item = (K, P)>) -> Vec<P> {
    let mut keys: Vec<(K, P)> = keys.collect();
    keys.sort_unstable();

    let mut repeats: Vec<P> = keys.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1).collect();
    repeats.sort_unstable();
    repeats
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, cmp::Ordering};

    use super::repeats;

    #[test]
    fn every_occurrence_after_the_first_is_a_repeat() {
        let places = |keys: &[u8]| repeats(keys.iter().zip(0..));
        assert_eq!(places(&[]), []);
        assert_eq!(places(&[3, 1, 2]), []);
        assert_eq!(places(&[3, 1, 3, 1, 3]), [2, 3, 4]);
    }

    /// A key that counts how often it is compared.
    struct Counted<'c> {
        key: u64,
        comparisons: &'c Cell<u64>,
    }

    impl Ord for Counted<'_> {
        fn cmp(&self, other: &Self) -> Ordering {
            self.comparisons.set(self.comparisons.get() + 1);
            self.key.cmp(&other.key)
        }
    }

    impl PartialOrd for Counted<'_> {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    impl PartialEq for Counted<'_> {
        fn eq(&self, other: &Self) -> bool {
            self.cmp(other).is_eq()
        }
    }

    impl Eq for Counted<'_> {}

    #[test]
    fn the_work_does_not_grow_with_the_square_of_the_keys() {
        let n = 1_u64 << 17;
        let orders: [fn(u64, u64) -> u64; 5] = [
            |i, n| n - i,                             // descending
            |i, _| i.wrapping_mul(0x9e37_79b9) >> 7,  // scattered
            |i, _| i % 2,                             // two keys again and again
            |i, n| if i < n / 2 { i } else { n - i }, // up, then down
            |i, _| i & 0xff,                          // a saw
        ];
        for order in orders {
            let comparisons = Cell::new(0);
            let keys = (0..n).map(|i| Counted { key: order(i, n), comparisons: &comparisons });
            repeats(keys.zip(0..n));
            // A comparison of pairs may ask twice, for equality and then for order.
            assert!(comparisons.get() < 2 * 2 * n * 17, "{} comparisons", comparisons.get());
        }
    }
}
