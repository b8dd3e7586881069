//! Tests of the invariants of handshakes: any segments, any damage.

mod invariants;

use proptest::prelude::*;

proptest! {
    // Each case makes eight exponentiations or more.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn of_random_operations(input: Vec<u8>) {
        invariants::mse(&input);
    }

    #[test]
    fn of_random_segments(
        choice: u8,
        seed: u8,
        segments in proptest::collection::vec((any::<bool>(), any::<u8>()), 0..100),
    ) {
        let operations = segments.into_iter().flat_map(|(direction, count)| [u8::from(direction), count]);
        invariants::mse(&[choice, seed].into_iter().chain(operations).collect::<Vec<u8>>());
    }

    /// One byte of the encrypted fields is changed, at most.
    #[test]
    fn of_one_damaged_byte(choice: u8, seed: u8, at in 0..1300_usize, change: u8, direction: bool) {
        let direction = u8::from(direction);
        let mut input = vec![choice, seed];
        for _ in 0..at {
            // First the other side sends its message, for without it there is no answer.
            input.extend([1 - direction, 255, direction, 1]);
        }
        input.extend([2 | direction, change]);
        invariants::mse(&input);
    }
}

#[test]
fn of_all_methods_byte_by_byte() {
    for choice in 0..16 {
        invariants::mse(&[&[choice, choice][..], &[0, 1, 1, 1].repeat(2000)].concat());
    }
}
