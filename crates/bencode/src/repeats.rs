//! Duplicate keys.

use std::collections::HashSet;
use std::hash::Hash;

/// The places of keys that occur earlier in the list, in the order of the list.
///
/// A hostile dict may have a million keys in any order: the work is linear in their bytes, and the hash is randomly keyed, so
/// that collisions cannot be prepared.
pub(crate) fn repeats<P, K: Hash + Eq>(keys: impl ExactSizeIterator<Item = (P, K)>) -> Vec<P> {
    let mut seen = HashSet::with_capacity(keys.len());
    keys.filter_map(|(place, key)| (!seen.insert(key)).then_some(place)).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hash::{Hash, Hasher};

    use super::repeats;

    #[test]
    fn every_occurrence_after_the_first_is_a_repeat() {
        let places = |keys: &[u8]| repeats(keys.iter().enumerate());
        assert_eq!(places(&[]), []);
        assert_eq!(places(&[3, 1, 2]), []);
        assert_eq!(places(&[3, 1, 3, 1, 3]), [2, 3, 4]);
    }

    /// A key that counts how often it is looked at.
    struct Counted<'c> {
        key: usize,
        looks: &'c Cell<usize>,
    }

    impl Hash for Counted<'_> {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.looks.set(self.looks.get() + 1);
            self.key.hash(state);
        }
    }

    impl PartialEq for Counted<'_> {
        fn eq(&self, other: &Self) -> bool {
            self.looks.set(self.looks.get() + 1);
            self.key == other.key
        }
    }

    impl Eq for Counted<'_> {}

    #[test]
    fn the_work_does_not_grow_with_the_square_of_the_keys() {
        let n = 100_000;
        let orders: [fn(usize) -> usize; 4] = [
            |i| usize::MAX - i,                          // descending
            |i| i.wrapping_mul(0x9e37_79b1) % (1 << 32), // scattered
            |i| i << 20,                                 // alike in their low bits
            |i| i % 2,                                   // two keys again and again
        ];
        for order in orders {
            let looks = Cell::new(0);
            let keys = (0..n).map(|i| Counted { key: order(i), looks: &looks });
            repeats(keys.enumerate());
            // One hash each, and one comparison with a key that is the same or, rarely, has a similar hash.
            assert!(looks.get() < 3 * n, "{} looks", looks.get());
        }
    }
}
