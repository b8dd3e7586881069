//! When a peer should announce again.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::Config;

/// The times that go into one answer, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Intervals {
    pub(crate) interval: Duration,
    pub(crate) min_interval: Duration,
    /// Silence after which the peer that gets this answer is dropped.
    pub(crate) timeout: Duration,
}

impl Intervals {
    /// No peer is dropped sooner after its announce.
    pub(crate) fn shortest_timeout(config: &Config) -> Duration {
        Duration::from_secs(config.peer_timeout.as_secs())
    }

    /// The times for a peer among `peers`, all of them in the tracker.
    pub(crate) fn draw(config: &Config, peers: usize, rng: &mut impl Rng) -> Self {
        let due = (peers as u64).div_ceil(u64::from(config.announce_budget));
        let base = due.clamp(config.interval_floor.as_secs(), config.interval_ceiling.as_secs());
        let jitter = base * u64::from(config.interval_jitter_percent) / 100;
        let interval = rng.random_range(base - jitter..=base + jitter);
        let min_interval = (interval / 2).max(config.min_interval_floor.as_secs()).min(interval);
        let timeout = Self::shortest_timeout(config).as_secs().max(2 * interval + 60);
        Self {
            interval: Duration::from_secs(interval),
            min_interval: Duration::from_secs(min_interval),
            timeout: Duration::from_secs(timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn draw(config: &Config, peers: usize) -> Vec<Intervals> {
        let mut rng = StdRng::seed_from_u64(1);
        (0..1000).map(|_| Intervals::draw(config, peers, &mut rng)).collect()
    }

    #[test]
    fn interval_follows_the_budget_within_its_bounds() {
        let config = Config { interval_jitter_percent: 0, ..Config::default() };
        for (peers, interval, min_interval, timeout) in [
            (0, 60, 30, 1260),
            (30, 60, 30, 1260),
            (30_000, 60, 30, 1260),
            (100_000, 200, 100, 1260),
            (400_000, 800, 400, 1660),
            (10_000_000, 1800, 900, 3660),
        ] {
            let drawn = draw(&config, peers)[0];
            let secs = |duration: Duration| duration.as_secs();
            assert_eq!(
                (secs(drawn.interval), secs(drawn.min_interval), secs(drawn.timeout)),
                (interval, min_interval, timeout),
                "{peers} peers"
            );
        }
    }

    #[test]
    fn jitter_spreads_over_ten_percent_either_way() {
        let drawn: Vec<u64> = draw(&Config::default(), 500_000).iter().map(|drawn| drawn.interval.as_secs()).collect();
        assert!(drawn.iter().all(|interval| (900..=1100).contains(interval)));
        assert!(drawn.iter().any(|&interval| interval < 920) && drawn.iter().any(|&interval| interval > 1080));
    }

    #[test]
    fn a_peer_is_kept_longer_than_its_interval() {
        for peers in [0, 1000, 500_000, 100_000_000] {
            assert!(draw(&Config::default(), peers).iter().all(|drawn| drawn.timeout > drawn.interval * 2));
        }
    }
}
