//! Numbers drawn at random, neighbours together.

use rand::{Rng, RngExt};

/// About how many neighbours come together. A cache line holds as many IPv4 peers, and reading one from memory is most of what a draw
/// costs where there are many.
const RUN: u32 = 8;

/// Draws numbers without repetition, in short runs of neighbours. What it takes depends on how many are drawn, not on how many
/// there are.
///
/// The numbers stand in a circle, which is cut at a random place into parts of equal length, give or take one. The parts take turns: each
/// gives one number, from a random place in it on, at its end goes on at its beginning, and so walks past neighbours. That
/// they take turns lets the processor read from all places at once. So after any number of draws each number is equally likely to be
/// among them, since the cut may be at each place; none comes twice; and each part begins at a random place of its own.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// The numbers are those below.
    n: u32,
    /// The number of draws left.
    draws: u32,
    /// The number at which the first part begins. Places in parts are counted from here.
    cut: u32,
    parts: Vec<Part>,
    /// The number of the part whose turn it is.
    turn: usize,
}

#[derive(Debug)]
struct Part {
    begin: u32,
    end: u32,
    /// The place of the next draw.
    next: u32,
}

impl Runs {
    /// Starts again with the numbers below `n`, of which as many as `draws` can be drawn.
    pub(super) fn start(&mut self, n: u32, draws: u32, rng: &mut impl Rng) {
        (self.n, self.draws, self.turn) = (n, draws.min(n), 0);
        self.parts.clear();
        if n == 0 {
            return;
        }
        self.cut = rng.random_range(0..n);
        // No part is empty.
        let count = self.draws.div_ceil(RUN).max(1);
        // The longer ones first: all parts have given all they have when the draws come to the first shorter one in the last turn.
        let (length, longer) = (n / count, n % count);
        let mut begin = 0;
        self.parts.extend((0..count).map(|part| {
            let end = begin + length + u32::from(part < longer);
            let part = Part { begin, end, next: rng.random_range(begin..end) };
            begin = end;
            part
        }));
    }

    /// The next number, until as many were drawn as requested at the start.
    #[inline]
    pub(super) fn draw(&mut self) -> Option<usize> {
        self.draws = self.draws.checked_sub(1)?;
        let part = &mut self.parts[self.turn];
        // Both are below 2^24.
        let number = self.cut + part.next;
        part.next = if part.next + 1 == part.end { part.begin } else { part.next + 1 };
        self.turn = if self.turn + 1 == self.parts.len() { 0 } else { self.turn + 1 };
        Some(if number < self.n { number } else { number - self.n } as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn drawn(runs: &mut Runs, rng: &mut StdRng, n: u32, draws: u32) -> Vec<usize> {
        runs.start(n, draws, rng);
        std::iter::from_fn(|| runs.draw()).collect()
    }

    /// Also after others were drawn with the same memory.
    #[test]
    fn nothing_is_repeated_and_nothing_missed() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut runs = Runs::default();
        for (n, draws) in [
            (100, 100),
            (1, 1),
            (1, 0),
            (0, 0),
            (4096, 50),
            (100_000, 80),
            (3, 2),
            (20_000, 8000),
            (61, 61),
            (5000, 5000),
        ] {
            for _ in 0..3 {
                let drawn = drawn(&mut runs, &mut rng, n, draws);
                let distinct: BTreeSet<_> = drawn.iter().collect();
                assert_eq!((distinct.len(), drawn.len()), (draws as usize, draws as usize), "{draws} of {n}");
                assert!(drawn.iter().all(|&number| number < n as usize));
            }
        }
    }

    /// The chi-square of each number's share against an equal one, for each place in the order.
    #[test]
    fn each_number_is_equally_likely_at_each_place() {
        const N: usize = 61;
        const DRAWS: u32 = 20;
        const ROUNDS: usize = 20_000;
        let mut rng = StdRng::seed_from_u64(7);
        let mut runs = Runs::default();
        let mut counts = [[0_u32; N]; DRAWS as usize];
        for _ in 0..ROUNDS {
            for (place, number) in drawn(&mut runs, &mut rng, N as u32, DRAWS).into_iter().enumerate() {
                counts[place][number] += 1;
            }
        }
        let expected = ROUNDS as f64 / N as f64;
        for counts in counts {
            let chi_square: f64 = counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
            // With 60 degrees of freedom one in a million is above 131.
            assert!(chi_square < 131.0, "{chi_square}");
        }
    }

    /// Of two numbers, the second comes with the first almost always if they are neighbours, hardly ever if they are a run apart, and as
    /// often as if each were drawn by itself if they are in different parts.
    #[test]
    fn only_neighbours_come_together() {
        const N: usize = 400;
        const DRAWS: u32 = 40;
        const ROUNDS: usize = 20_000;
        let mut rng = StdRng::seed_from_u64(7);
        let mut runs = Runs::default();
        let mut together = [0_u32; N / 2];
        for _ in 0..ROUNDS {
            let drawn = drawn(&mut runs, &mut rng, N as u32, DRAWS);
            for (at, one) in drawn.iter().enumerate() {
                for other in &drawn[..at] {
                    let distance = one.abs_diff(*other);
                    together[distance.min(N - distance).min(N / 2 - 1)] += 1;
                }
            }
        }
        // How often the numbers of a pair at this distance came together, by how often two that are drawn by themselves do.
        let ratio = |distance: usize| {
            let independent = f64::from(DRAWS * (DRAWS - 1)) / (N * (N - 1)) as f64;
            f64::from(together[distance]) / (ROUNDS * N) as f64 / independent
        };
        let (run, part) = (RUN as usize, N / DRAWS.div_ceil(RUN) as usize);
        assert!((7.0..10.0).contains(&ratio(1)), "{}", ratio(1));
        for distance in run..N / 2 - 1 {
            assert!(ratio(distance) < 1.4, "{distance}: {}", ratio(distance));
        }
        for distance in part + run..N / 2 - 1 {
            assert!(ratio(distance) > 0.9, "{distance}: {}", ratio(distance));
        }
    }
}
