//! Numbers drawn at random.

mod runs;
mod singles;

use rand::Rng;
use runs::Runs;
use singles::Singles;

/// Draws numbers without repetition, each equally likely. Keeps its memory from one sample to the next.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    singles: Singles,
    runs: Runs,
    is_in_runs: bool,
}

impl Sample {
    /// Starts again with the numbers below `n`, of which as many as `draws` can be drawn. Each order of them is equally likely.
    pub(crate) fn start(&mut self, n: usize, draws: usize) {
        self.is_in_runs = false;
        self.singles.start(n, draws);
    }

    /// Starts again with the numbers below `n`, of which as many as `draws` can be drawn. Neighbours come together, which
    /// is faster where there are many.
    pub(crate) fn start_in_runs(&mut self, n: usize, draws: usize, rng: &mut impl Rng) {
        self.is_in_runs = true;
        let [n, draws] = [n, draws].map(|number| u32::try_from(number).expect(FITS));
        self.runs.start(n, draws, rng);
    }

    /// The next number, until as many were drawn as requested at the start.
    #[inline]
    pub(crate) fn draw(&mut self, rng: &mut impl Rng) -> Option<usize> {
        if self.is_in_runs { self.runs.draw() } else { self.singles.draw(rng) }
    }
}

const FITS: &str = "Config::validate bounds a swarm to fewer than 2^24 peers";
