//! The popularity of torrents.

use rand::Rng;
use rand_distr::{Distribution, Zipf};

/// A rule by which peers choose their torrent.
#[derive(Debug, Clone)]
pub(crate) enum Popularity {
    /// Torrent number `n` has a weight of 1 / (n + 1)^exponent.
    Zipf(Zipf<f64>),
    /// Each in turn, so that all have the same number of peers or one more.
    Even { torrents: u32 },
}

impl Popularity {
    /// By Zipf's law; an exponent of 0 makes all torrents equally likely. `None` if the exponent is negative or not a
    /// number.
    pub(crate) fn zipf(torrents: u32, exponent: f64) -> Option<Self> {
        Zipf::new(f64::from(torrents), exponent).ok().map(Self::Zipf)
    }

    /// Draws the torrent for the peers of a place.
    pub(crate) fn torrent(&self, place: u32, rng: &mut impl Rng) -> u32 {
        match self {
            // The ranks are whole numbers from 1 on.
            Self::Zipf(zipf) => zipf.sample(rng) as u32 - 1,
            Self::Even { torrents } => place % torrents,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn shares(popularity: &Popularity, torrents: u32) -> Vec<f64> {
        const PEERS: u32 = 200_000;
        let mut rng = StdRng::seed_from_u64(7);
        let mut counts = vec![0.0; torrents as usize];
        for place in 0..PEERS {
            counts[popularity.torrent(place, &mut rng) as usize] += 1.0 / f64::from(PEERS);
        }
        counts
    }

    #[test]
    fn shares_follow_the_law() {
        for exponent in [0.0, 0.7, 1.0, 1.5] {
            let shares = shares(&Popularity::zipf(50, exponent).unwrap(), 50);
            let sum: f64 = (1..=50).map(|rank| f64::from(rank).powf(-exponent)).sum();
            for (index, share) in shares.iter().enumerate() {
                let expected = (index as f64 + 1.0).powf(-exponent) / sum;
                // Five standard deviations.
                let slack = 5.0 * (expected / 200_000.0).sqrt();
                assert!((share - expected).abs() < slack, "{exponent}: torrent {index} has {share}, not {expected}");
            }
        }
    }

    #[test]
    fn even_is_exact() {
        let mut rng = StdRng::seed_from_u64(7);
        let even = Popularity::Even { torrents: 3 };
        assert_eq!([0, 1, 2, 3, 4, 5].map(|place| even.torrent(place, &mut rng)), [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn bad_exponents_are_refused() {
        assert!(Popularity::zipf(10, -1.0).is_none());
        assert!(Popularity::zipf(10, f64::NAN).is_none());
    }
}
